"""Is each message still coming, at its rate, and does its counter count? Learned from what is heard, batch by batch.

A frame whose counter stands still repeats what was said before: it is counted, and proves no life.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.compiled import compiled, part
from packhorse.pack.words import Array, Index
from packhorse.protocols.decoding import CORRUPT
from packhorse.protocols.frames import CanFrames
from packhorse.protocols.plan import COUNTER_BITS, COUNTER_START, COUNTER_TOP, Plan, Tables

LEARNING = 0.1
"""How much a new interval counts in the learned period."""
PERIODS, SHORTEST_TIMEOUT_S, UNKNOWN_TIMEOUT_S = 5.0, 0.1, 2.5
"""A message is missing after so many of its periods, never sooner than the first time, and after the second where its
period is not known yet."""


class Liveness(NamedTuple):
    """What is known of each message of a plan."""

    last_s: Array  # (messages,) when it was last heard, -inf: never
    period_s: Array  # (messages,) as described, then as learned; NaN: not known
    heard: Index  # (messages,) how often
    counter: Index  # (messages,) last value, -1: none
    repeated: Index  # (messages,) how often the counter stood still
    lost: Index  # (messages,) how many values of the counter were left out
    corrupt: Index  # (1,) frames with a wrong checksum
    backward: Index  # (1,) times that run backwards, or are none


def start(plan: Plan) -> Liveness:
    """Nothing heard yet."""
    n = len(plan.messages)
    period_s = np.array([message.period_s for message in plan.messages], dtype=np.float64)
    zeros = [np.zeros(n, dtype=np.int64) for _ in range(3)]
    one = [np.zeros(1, dtype=np.int64) for _ in range(2)]
    return Liveness(np.full(n, -np.inf), period_s, zeros[0], np.full(n, -1, np.int64), zeros[1], zeros[2], *one)


def hear(plan: Plan, was: Liveness, frames: CanFrames, which: NDArray[np.int32]) -> Liveness:
    """What is known after some frames; `which` message each is, `decoding.decode` has told."""
    now = Liveness(
        was.last_s.copy(),
        was.period_s.copy(),
        was.heard.copy(),
        was.counter.copy(),
        was.repeated.copy(),
        was.lost.copy(),
        was.corrupt.copy(),
        was.backward.copy(),
    )
    _hear(plan.tables, now, frames, which)
    return now


@compiled
def _hear(tables: Tables, now: Liveness, frames: CanFrames, which: NDArray[np.int32]) -> None:
    for k in range(which.size):
        m = which[k]
        if m >= 0:
            now.heard[m] += 1
            new = tables.message[m, COUNTER_START] < 0 or count(tables.message[m], now, m, frames, k)
            if not np.isfinite(frames.time_s[k]):
                now.backward[0] += 1
            elif new:
                learn(now, m, frames.time_s[k])
        elif m == CORRUPT:
            now.corrupt[0] += 1


@part
def learn(now: Liveness, m: int, time_s: float) -> None:
    """A message was heard at this time: its period."""
    gap_s = time_s - now.last_s[m]
    if gap_s < 0.0:
        now.backward[0] += 1
    elif np.isfinite(gap_s):
        known = np.isfinite(now.period_s[m])
        share, was_s = (LEARNING, now.period_s[m]) if known else (1.0, 0.0)
        if now.heard[m] <= 2 or gap_s < PERIODS * now.period_s[m]:
            now.period_s[m] = was_s + share * (gap_s - was_s)
    now.last_s[m] = time_s


@part
def count(rule: Index, now: Liveness, m: int, frames: CanFrames, k: int) -> bool:
    """Compare a message counter with the last one; gives whether it went on, as far as can be told."""
    if (rule[COUNTER_START] + rule[COUNTER_BITS] + 7) // 8 > frames.length[k]:
        now.counter[m] = -1
        return True
    value = 0
    for bit in range(rule[COUNTER_BITS]):
        at = rule[COUNTER_START] + bit
        value |= ((np.int64(frames.data[frames.start[k] + at // 8]) >> (at % 8)) & 1) << bit
    was, now.counter[m] = now.counter[m], value if value <= rule[COUNTER_TOP] else -1
    if was < 0 or now.counter[m] < 0:
        return True
    step = (value - was) % (rule[COUNTER_TOP] + 1)
    if step == 0:
        now.repeated[m] += 1
        return False
    now.lost[m] += step - 1
    return True


def timeout_s(liveness: Liveness) -> Array:
    """How long each message may be silent."""
    learned = np.maximum(PERIODS * liveness.period_s, SHORTEST_TIMEOUT_S)
    return np.where(np.isnan(liveness.period_s), UNKNOWN_TIMEOUT_S, learned)


def missing(liveness: Liveness, now_s: float) -> NDArray[np.bool_]:
    """Which messages are not heard any more, or never were; a clock that was set back does not prolong the wait."""
    return ~(np.abs(now_s - liveness.last_s) <= timeout_s(liveness))
