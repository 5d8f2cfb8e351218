"""How wrong the model is, measured on logs that were left out of the fit, by region.

What is left of the voltage has a part that lasts for minutes, which no averaging removes, and a part that comes and
goes with the current. They are told apart by a low pass. Both grow with the voltage over the resistances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from packhorse.compiled import compiled
from packhorse.lab.identify.circuit import Shape
from packhorse.lab.identify.describe import Errors
from packhorse.lab.identify.solve import Fit, Known, Piece, bounds, centre_of, residual, solution
from packhorse.lab.identify.training import steps_s
from packhorse.pack.words import Array

FOLDS = 5
SPLIT_S = 60.0
"""What changes within this time comes and goes; what stays longer lasts."""
SOC_BINS: Array = np.array([0.0, 0.05, 0.12, 0.2, 0.35, 0.5, 0.65, 0.8, 0.92, 1.0])
LEAST_V = 0.003
"""No cell model is better than this for long, on a cell that it was not fitted on (assumed)."""
FEW_ROWS = 200.0
"""So many rows are worth as much as what all regions of a temperature say together."""
LEAST_SHARE, MOST_SHARE = 0.05, 0.3


def left_out(known: Known, shape: Shape, pieces: list[Piece], fit: Fit) -> Iterator[tuple[Piece, Array]]:
    """Every log with what is left of its voltage by a fit that has not seen it, nor others of its fold."""
    for fold in range(FOLDS):
        mine = [k for k in range(len(pieces)) if k % FOLDS == fold]
        less, rest = fit.matrix.copy(), fit.right.copy()
        for k in mine:
            less -= fit.each[k].matrix
            rest -= fit.each[k].right
        x = solution(less, rest, bounds(known.centres.size))
        for k in mine:
            yield pieces[k], residual(known, shape, pieces[k], x)


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


def measure(known: Known, left: list[tuple[Piece, Array]], drop_V: Callable[[Piece], Array]) -> Errors:
    """Errors by temperature and SOC from what is left of the voltage. `drop_V` gives the voltage over resistances.

    Tests at work speak of a cell at work; slow tests speak only where there are no others at all.
    """
    working = [(piece, rest_V) for piece, rest_V in left if piece.works] or left
    steps = [steps_s(piece.log) for piece, _ in working]
    slow = [low_pass(rest_V, dt, SPLIT_S) for (_, rest_V), dt in zip(working, steps, strict=True)]
    quick = [rest_V - lasting for (_, rest_V), lasting in zip(working, slow, strict=True)]
    drops = [drop_V(piece) for piece, _ in working]
    share = share_of(slow, [low_pass(np.abs(drop), dt, SPLIT_S) for drop, dt in zip(drops, steps, strict=True)])
    every = by_soc([piece.soc for piece, _ in working], slow)
    table = np.empty((known.centres.size, SOC_BINS.size))
    for t in range(known.centres.size):
        here = [k for k, (piece, _) in enumerate(working) if centre_of(known, piece.log) == t]
        table[t] = by_soc([working[k][0].soc for k in here], [slow[k] for k in here]) if here else every
    brief, brief_share = brief_error(quick, drops)
    stays = correlation_s(list(zip(slow, steps, strict=True)), 600.0)
    comes = correlation_s(list(zip(quick, steps, strict=True)), 10.0)
    return Errors(
        known.centres, SOC_BINS, np.maximum(table, LEAST_V), brief, brief_share, stays, max(comes, 2.0), share
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
    """Root mean square of errors about each of the SOC nodes, drawn to that of all where rows are few."""
    soc, square = np.concatenate(socs), np.concatenate(errors) ** 2
    overall = float(np.mean(square))
    out = np.empty(SOC_BINS.size)
    edges = np.concatenate([[-np.inf], 0.5 * (SOC_BINS[1:] + SOC_BINS[:-1]), [np.inf]])
    for k in range(SOC_BINS.size):
        here = square[(soc >= edges[k]) & (soc < edges[k + 1])]
        out[k] = np.sqrt((float(here.sum()) + FEW_ROWS * overall) / (here.size + FEW_ROWS))
    return out
