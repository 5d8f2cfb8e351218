"""How wrong the model is, measured on logs that were left out of the fit, by region.

What is left of the voltage has a part that lasts, which no averaging removes, and a part that comes and goes with the
current, and is averaged over as long as it is like itself. They are told apart by a low pass. Both grow with the
voltage over the resistances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from packhorse.compiled import compiled
from packhorse.lab.identify.circuit import Shape, arrhenius
from packhorse.lab.identify.describe import MOST_V, Errors
from packhorse.lab.identify.settled import TYPICAL_K
from packhorse.lab.identify.slow import CAPACITY_DOUBT
from packhorse.lab.identify.solve import Fit, Known, Piece, bounds, centre_of, residual, solution
from packhorse.lab.identify.training import steps_s
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.words import Array

FOLDS = 5
SPLIT_S = 600.0
"""What changes within this time comes and goes; what stays longer lasts. Split at a minute, errors of some minutes are
in neither, and the filter takes them for news."""
SOC_BINS: Array = np.array([0.0, 0.05, 0.12, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92, 1.0])
ALIKE_TIMES = 2.0
"""What is like itself for tau is as new after 2 tau, the integral of exp(-|t| / tau), as white noise at every row."""
LEAST_V = 0.003
"""No cell model is better than this for long, on a cell that it was not fitted on (assumed)."""
FEW_ROWS = 200.0
"""So many rows are worth as much as what all regions of a temperature say together."""
LEAST_SHARE, MOST_SHARE = 0.05, 0.3
LEAST_RESISTANCE_SIGMA = 0.2
"""Resistances differ by no less from day to day and over a cell's life, as a share (assumed)."""
SEEN_TIMES = 2.0
"""At most so many times what a fit leaves of logs that it has seen is taken for its error there (assumed)."""
ALONE_K = 20.0
"""Distance at which a fit without any work is taken to be (assumed)."""
DISTANCE_SHARE, BETWEEN_SHARE = (0.6, 3.0), 0.8
"""By how much an error found at one distance may be scaled to another, and what counts between (assumed)."""
NO_DRIVES_TIMES, NO_DRIVES_V, NO_WORK_V, NO_WORK_SHARE = 2.0, 0.010, 0.020, 0.5
"""Pulses leave about half of what drives will (seen on cells that had both); and what is taken at least (assumed)."""


def without(known: Known, fit: Fit, held: list[int]) -> Array:
    """The solution of a fit that has not seen some of its logs."""
    matrix, right = fit.matrix.copy(), fit.right.copy()
    for k in held:
        matrix -= fit.each[k].matrix
        right -= fit.each[k].right
    return solution(matrix, right, bounds(known.centres.size))


def left_out(known: Known, shape: Shape, pieces: list[Piece], fit: Fit) -> Iterator[tuple[Piece, Array]]:
    """Every log with what is left of its voltage by a fit that has not seen it, nor others of its fold.

    The logs of one temperature are dealt out over the folds: no fit lacks both its drives and its pulses.
    """
    fold = np.empty(len(pieces), dtype=int)
    for t in range(known.centres.size):
        here = [k for k, piece in enumerate(pieces) if centre_of(known, piece.log) == t]
        for n, k in enumerate(sorted(here, key=lambda k: pieces[k].kind)):
            fold[k] = n % FOLDS
    for one in range(FOLDS):
        mine = np.flatnonzero(fold == one).tolist()
        x = without(known, fit, mine)
        for k in mine:
            yield pieces[k], residual(known, shape, pieces[k], x)


def bounded(known: Known, shape: Shape, left: list[tuple[Piece, Array]], fit: Fit) -> list[tuple[Piece, Array]]:
    """What is left of each log, but no more than `SEEN_TIMES` what a fit leaves that has seen it.

    Where a temperature has one log at work, the fit without it speaks of another temperature's cell.
    """
    bound = []
    for piece, rest_V in left:
        seen_V = SEEN_TIMES * residual(known, shape, piece, fit.unknowns)
        bound.append((piece, rest_V if np.mean(rest_V**2) <= np.mean(seen_V**2) else seen_V))
    return bound


@compiled
def low_pass(values: Array, dt_s: Array, tau_s: float) -> Array:
    """First-order low pass of rows, run forward and back so that it does not lag."""
    out = np.empty_like(values)
    now = values[0]
    for k in range(values.shape[0]):
        keep = np.exp(-dt_s[k] / tau_s)
        now = keep * now + (1.0 - keep) * values[k]
        out[k] = now
    for k in range(values.shape[0] - 2, -1, -1):
        keep = np.exp(-dt_s[k + 1] / tau_s)
        now = keep * now + (1.0 - keep) * out[k]
        out[k] = now
    return out


def correlation_s(parts: list[tuple[Array, Array]], otherwise: float) -> float:
    """Time after which what is left has lost 1/e of its likeness to itself, over all logs."""
    lags = np.array([2, 5, 10, 20, 40, 80, 160, 320, 640, 1280])
    top, bottom = np.zeros(lags.size), 0.0
    for values, dt in parts:
        if np.median(dt) > 5.0:
            continue
        bottom += float(np.mean(values * values)) * values.size
        for k, lag in enumerate(lags):
            if values.size > 2 * lag:
                top[k] += float(np.mean(values[lag:] * values[:-lag])) * values.size
    if bottom == 0.0:
        return otherwise
    below = np.nonzero(top / bottom < np.exp(-1.0))[0]
    return float(lags[below[0]]) if below.size else float(lags[-1])


class Unseen(NamedTuple):
    """What a fit leaves of the drives of one temperature that it has not seen, and how far its nearest work is."""

    centre: int
    away_K: float
    sigma_V: Array  # (nodes,) lasting


def blind_fits(known: Known, shape: Shape, pieces: list[Piece], fit: Fit, *, pulses: bool) -> list[Unseen]:
    """For each temperature with drives: them, by a fit without drives there, with or without the pulses there."""
    found = []
    working = [(k, centre_of(known, piece.log)) for k, piece in enumerate(pieces) if piece.works]
    for t in range(known.centres.size):
        here = [k for k, centre in working if centre == t]
        mine = [k for k in here if pieces[k].kind == "drive"]
        out = mine if pulses else here
        if not mine or (pulses and len(mine) == len(here)):
            continue
        x = without(known, fit, out)
        others = {centre for _, centre in working} - {t}
        away_K = min((abs(float(known.centres[t] - known.centres[o])) for o in others), default=ALONE_K)
        left = [(pieces[k], residual(known, shape, pieces[k], x)) for k in mine]
        found.append(Unseen(t, away_K, row_of(lasting(left))))
    return found


def lasting(left: list[tuple[Piece, Array]]) -> list[tuple[Piece, Array]]:
    """Every log with the part of what is left of its voltage that lasts."""
    return [(piece, low_pass(rest_V, steps_s(piece.log), SPLIT_S)) for piece, rest_V in left]


def unseen_row(known: Known, t: int, seen: list[Unseen], *, scaled: bool) -> Array:
    """Lasting error at a temperature without drives, by what was found where drives were held back.

    Of the two nearest temperatures with drives. Where no work was done at all the error grows with the distance and
    with the resistance, and is smaller between two temperatures than beyond them.
    """
    near = sorted(seen, key=lambda one: abs(known.centres[one.centre] - known.centres[t]))[:2]
    away_K = min(abs(float(known.centres[one.centre] - known.centres[t])) for one in near)
    between = min(one.centre for one in seen) < t < max(one.centre for one in seen)
    rows = []
    for one in near:
        farther = max(float(arrhenius(known.centres[t], float(known.centres[one.centre]), TYPICAL_K)), 1.0) * away_K
        beyond = float(np.clip(farther / one.away_K, *DISTANCE_SHARE))
        share = BETWEEN_SHARE * min(away_K / one.away_K, 1.0) if between else beyond
        rows.append((share if scaled else 1.0) * one.sigma_V)
    return np.asarray(np.sqrt(np.mean(np.square(rows), axis=0)))


def table_of(known: Known, lasts: list[tuple[Piece, Array]], fits: tuple[list[Unseen], list[Unseen]]) -> Array:
    """Lasting error at every temperature, (temperatures, nodes), from the lasting part of what is left of each log.

    Where drives were fitted, their own by cross-validation. Elsewhere what was found where drives were held back, or,
    where no drives were given at all, a multiple of what pulses, or else slow tests, leave.
    """
    beside_pulses, alone = fits
    table = np.empty((known.centres.size, SOC_BINS.size))
    for t in range(known.centres.size):
        here = [one for one in lasts if one[0].works and centre_of(known, one[0].log) == t]
        driven = [one for one in here if one[0].kind == "drive"]
        own = row_of(driven or here or lasts)
        if not driven and alone:
            seen = beside_pulses if here and beside_pulses else alone
            own = np.maximum(own if here else 0.0, unseen_row(known, t, seen, scaled=not here))
        elif not driven:
            own = np.maximum(NO_DRIVES_TIMES * own, NO_DRIVES_V if here else NO_WORK_V)
        table[t] = own
    return table


def row_of(lasts: list[tuple[Piece, Array]]) -> Array:
    """Lasting error over SOC of some logs."""
    return by_soc([piece.soc for piece, _ in lasts], [lasting_V for _, lasting_V in lasts])


def contradiction_V(known: Known, doubt: float) -> Array:
    """How wrong the equilibrium may be where slow tests contradict each other in the charge, (temperatures, nodes).

    A wrong capacity stretches the curve from full, so that it is off by as much SOC as is doubted of the way from full.
    """
    beyond = float(np.sqrt(max(doubt**2 - CAPACITY_DOUBT**2, 0.0)))
    off = SOC_BINS + beyond * (1.0 - SOC_BINS)
    return np.array([np.interp(off, SOC_GRID, row) - np.interp(SOC_BINS, SOC_GRID, row) for row in known.ocv_V])


def measure(
    known: Known,
    left: list[tuple[Piece, Array]],
    fits: tuple[list[Unseen], list[Unseen]],
    drop_V: Callable[[Piece], Array],
    doubt: float,
) -> Errors:
    """Errors by temperature and SOC from what is left of the voltage. `drop_V` gives the voltage over resistances.

    Tests at work speak of a cell at work; slow tests speak only where there are no others at all. `doubt` is the
    share by which the capacity is not known.
    """
    working = [(piece, rest_V) for piece, rest_V in left if piece.works]
    speaking = working or left
    steps = [steps_s(piece.log) for piece, _ in speaking]
    lasts = lasting(speaking)
    slow = [lasting_V for _, lasting_V in lasts]
    quick = [rest_V - lasting_V for (_, rest_V), lasting_V in zip(speaking, slow, strict=True)]
    drops = [drop_V(piece) for piece, _ in speaking]
    share = share_of(slow, [low_pass(np.abs(drop), dt, SPLIT_S) for drop, dt in zip(drops, steps, strict=True)])
    table = np.hypot(table_of(known, lasts, fits), contradiction_V(known, doubt))
    brief, brief_share = brief_error(quick, drops)
    return Errors(
        known.centres,
        SOC_BINS,
        np.clip(table, LEAST_V, MOST_V),
        brief,
        brief_share,
        correlation_s(list(zip(slow, steps, strict=True)), 600.0),
        max(ALIKE_TIMES * correlation_s(list(zip(quick, steps, strict=True)), 10.0), 2.0),
        max(share, LEAST_RESISTANCE_SIGMA) if working else NO_WORK_SHARE,
    )


def brief_error(quick: list[Array], drops: list[Array]) -> tuple[float, float]:
    """What comes and goes: so many volts always, and a share of the voltage over the resistances."""
    error, drop = np.concatenate(quick), np.abs(np.concatenate(drops))
    calm = drop <= np.quantile(drop, 0.5)
    always = max(float(np.sqrt(np.mean(error[calm] ** 2))), LEAST_V)
    busy = ~calm
    more = max(float(np.mean(error[busy] ** 2)) - always**2, 0.0) / float(np.mean(drop[busy] ** 2) + 1e-12)
    return always, float(np.clip(np.sqrt(more), LEAST_SHARE, MOST_SHARE))


def share_of(slow: list[Array], drops: list[Array]) -> float:
    """How wrong resistances are, as a share: the slope of the lasting error over the voltage drop, by rms."""
    error, drop = np.concatenate(slow), np.concatenate(drops)
    busy = drop > np.quantile(drop, 0.5)
    base = float(np.mean(error[~busy] ** 2))
    share = np.sqrt(max(float(np.mean(error[busy] ** 2)) - base, 0.0) / float(np.mean(drop[busy] ** 2) + 1e-12))
    return float(np.clip(share, LEAST_SHARE, MOST_SHARE))


def by_soc(socs: list[Array], errors: list[Array]) -> Array:
    """Root mean square of errors about each of the SOC nodes, drawn to what is usual where rows are few.

    Where there are none at all it is that of all rows, ends and steep places included.
    """
    soc, square = np.concatenate(socs), np.concatenate(errors) ** 2
    edges = np.concatenate([[-np.inf], 0.5 * (SOC_BINS[1:] + SOC_BINS[:-1]), [np.inf]])
    here = [square[(soc >= low) & (soc < high)] for low, high in pairwise(edges)]
    usual = float(np.median([part.mean() for part in here if part.size]))
    drawn = [(part.sum() + FEW_ROWS * usual) / (part.size + FEW_ROWS) if part.size else square.mean() for part in here]
    return np.sqrt(drawn)
