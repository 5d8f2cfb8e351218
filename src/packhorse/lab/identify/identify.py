"""Identification on one page: settle, shape, fit, measure the error, describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import Shape
from packhorse.lab.identify.describe import Errors, chemistry_of, describe
from packhorse.lab.identify.errors import blind_fits, bounded, left_out, measure
from packhorse.lab.identify.settled import known_of, start_of, typical_ohm
from packhorse.lab.identify.slow import slow_tests
from packhorse.lab.identify.solve import (
    LONG_SOC,
    WEIGHT,
    Fit,
    Known,
    Piece,
    Seen,
    bounds,
    centre_of,
    counted,
    drop_V,
    found,
    moved,
    prior,
    seen,
    solution,
    sums,
)
from packhorse.lab.identify.training import clusters, nearest, split, thinned
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array

TAU1_S, TAU2_S = (3.0, 6.0, 12.0, 25.0), (60.0, 120.0, 250.0, 500.0, 1000.0, 2000.0)
RATES = {"lfp": (15.0, 40.0, 100.0), "nmc": (15.0, 50.0), "nca": (15.0, 50.0)}
SPEAKING = 2
ANCHORINGS = 2
AGED = 0.08
"""A log whose charge differs by more than this share from what its voltage says is of an aged cell."""
ACTIVATION_K = (4000.0, 1000.0, 1600.0, 2500.0, 5500.0)
"""The first is taken where temperatures say nothing."""


class Identified(NamedTuple):
    """A cell file and how well it fits."""

    cell: CellFile
    known: Known
    shape: Shape
    unknowns: Array
    pieces: list[Piece]
    left: list[tuple[Piece, Array]]  # what is left of each log's voltage by a fit that has not seen it [V]
    errors: Errors


def quiet(_part: str, _share: float) -> None:
    """Say nothing."""


def identify(training: Training, name: str, say: Callable[[str, float], None] = quiet) -> Identified:
    """A cell file from laboratory logs. `say` is told what is being done and how far it is.

    Raises ValueError, in one line, where the logs do not hold what is needed.
    """
    with threadpool_limits(limits=1):  # matrices this small gain nothing from threads, and lose all on a busy machine
        return identified(training, name, say)


def identified(training: Training, name: str, say: Callable[[str, float], None]) -> Identified:
    """`identify` on one thread."""
    say("slow tests", 0.0)
    logs = {kind: [thinned(log) for log in getattr(training, kind)] for kind in WEIGHT}
    slow = slow_tests(logs["ocv"])
    everything = [log for kind in WEIGHT for log in logs[kind]]
    known = known_of(slow, clusters(everything))
    doubt = min(slow, key=lambda one: abs(one.degC - ROOM_DEGC)).doubt
    chemistry = training.chemistry or chemistry_of(known.ocv_V[nearest(ROOM_DEGC, known.centres)])
    limits_V = (
        min(float(log.cell_V.min()) for log in logs["ocv"]),
        max(float(log.cell_V.max()) for log in logs["ocv"]),
    )
    pieces = [piece_of(known, part, kind, limits_V[1]) for kind in WEIGHT for log in logs[kind] for part in split(log)]
    pieces = [placed(known, piece, pieces) for piece in pieces]
    shape = best_shape(known, speaking(known, pieces), RATES[chemistry], say)
    say("circuit", 0.6)
    pieces = aged(known, shape, pieces)
    fit = fitted(known, shape, ready(known, pieces))
    for _ in range(ANCHORINGS):
        pieces = [moved(known, shape, piece, fit.unknowns) for piece in pieces]
        fit = fitted(known, shape, ready(known, pieces))
    say("model error", 0.8)
    left = list(left_out(known, shape, pieces, fit))
    blind = (
        blind_fits(known, shape, pieces, fit, pulses=True),
        blind_fits(known, shape, pieces, fit, pulses=False),
    )
    errors = measure(
        known, bounded(known, shape, left, fit), blind, lambda piece: drop_V(known, shape, piece, fit.unknowns), doubt
    )
    say("cell file", 1.0)
    cell = describe(name, chemistry, known, shape, fit.unknowns, errors, limits_V, doubt, everything)
    return Identified(cell, known, shape, fit.unknowns, pieces, left, errors)


def piece_of(known: Known, log: CellLog, kind: str, max_V: float) -> Piece:
    """A log with its SOC counted from where it starts."""
    start, hysteresis, guessed = start_of(known, log, max_V)
    return Piece(log, counted(known, log, start), kind, guessed, hysteresis)


def placed(known: Known, piece: Piece, pieces: list[Piece]) -> Piece:
    """A long piece whose start is a guess, started where the slow tests and it fit together best.

    On a flat curve a first voltage says little of the start, and the whole log much.
    """
    if not piece.guessed or not piece.works or float(np.ptp(piece.soc)) < LONG_SOC:
        return piece
    slow = [other for other in pieces if not other.works]
    shape = Shape(TAU1_S[2], TAU2_S[3], ACTIVATION_K[0], 50.0)
    room = (-float(piece.soc.min()), 1.0 - float(piece.soc.max()))
    moves = [move for move in np.arange(-0.24, 0.25, 0.04) if room[0] - 0.05 <= move <= room[1] + 0.05] or [0.0]
    tried = [piece._replace(soc=piece.soc + move) for move in moves]
    beside = ready(known, slow)
    costs = [cost(known, shape, [*beside, one]) + fixed_cost(one) for one in ready(known, tried)]
    return tried[int(np.argmin(costs))]


def fixed_cost(one: Seen) -> float:
    """What the OCV alone leaves of a log's voltage, squared and weighted; no fit changes it."""
    return float(one.rest_V @ (one.worth * one.rest_V))


def aged(known: Known, shape: Shape, pieces: list[Piece]) -> list[Piece]:
    """The logs, those marked that are of an aged cell: their voltage says that they went much farther than they count.

    A few percent say nothing: the end of the slow test and the rate do as much.
    """
    doubted = [piece._replace(aged=piece.works and float(np.ptp(piece.soc)) > LONG_SOC) for piece in pieces]
    unknowns = fitted(known, shape, ready(known, doubted)).unknowns
    told = [found(known, shape, piece, unknowns)[-1] if piece.aged else 0.0 for piece in doubted]
    return [piece._replace(aged=abs(share) > AGED) for piece, share in zip(pieces, told, strict=True)]


def speaking(known: Known, pieces: list[Piece]) -> list[Piece]:
    """The few logs at each temperature that say most of the dynamics: of the heaviest, those that move most charge."""
    chosen: list[Piece] = []
    for t in range(known.centres.size):
        here = [piece for piece in pieces if centre_of(known, piece.log) == t]
        here.sort(key=lambda p: (WEIGHT[p.kind], float(np.ptp(p.soc))), reverse=True)
        chosen += here[:SPEAKING]
    return chosen


def ready(known: Known, pieces: list[Piece]) -> list[Seen]:
    """Logs made ready to be fitted."""
    return [seen(known, piece) for piece in pieces]


def fitted(known: Known, shape: Shape, logs: list[Seen]) -> Fit:
    """The best fit of a shape to all logs and to what is believed beforehand."""
    capacity_Ah = float(known.capacity_Ah.max())
    typical = np.array([0.3 * typical_ohm(capacity_Ah, degC) for degC in known.centres])
    matrix, right = prior(known, typical, shape.activation_K)
    each = [sums(known, shape, one) for one in logs]
    for one in each:
        matrix += one.matrix
        right += one.right
    return Fit(matrix, right, each, solution(matrix, right, bounds(known.centres.size)))


def cost(known: Known, shape: Shape, logs: list[Seen]) -> float:
    """What the best fit of a shape leaves of the voltage, squared and weighted."""
    fit = fitted(known, shape, logs)
    return float(fit.unknowns @ fit.matrix @ fit.unknowns - 2.0 * (fit.right @ fit.unknowns))


def best_shape(known: Known, pieces: list[Piece], rates: tuple[float, ...], say: Callable[[str, float], None]) -> Shape:
    """Time constants, activation temperature and hysteresis rate by search along one after the other."""
    best = Shape(12.0, 250.0, 4000.0, rates[-1])
    choices: dict[str, tuple[float, ...]] = {
        "tau2_s": TAU2_S,
        "tau1_s": TAU1_S,
        "activation_K": ACTIVATION_K,
        "hysteresis_rate": rates,
    }
    logs, done = ready(known, pieces), 0
    for field, values in choices.items():
        costs = {}
        for value in values:
            costs[value] = cost(known, best._replace(**{field: value}), logs)
            done += 1
            say("time constants", 0.05 + 0.5 * done / sum(map(len, choices.values())))
        best = best._replace(**{field: min(costs, key=lambda value: costs[value])})
    return best
