"""Rates are learned, silence is noticed, counters are watched."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.protocols import decoding, encoding, frames, liveness, plan
from packhorse.protocols.plan import Check, Message, Protection, Signal

PROTECTED = Protection(Check.CRC8, counter_start=52, counter_top=14)
PLAN = plan.build(
    [
        Message("D1", 0x0CF090FE, (Signal("s", 0, 16),), j1939=True),
        Message("S1", 0x0CF096FE, (Signal("t", 0, 16),), j1939=True, protection=PROTECTED),
        Message("Never", 0x123, (), extended=False, period_s=0.1),
    ]
)


def heard(message: str, times_s: np.ndarray, counter: int = 0) -> frames.CanFrames:
    signal = {"D1": "s", "S1": "t"}[message]
    return encoding.encode(PLAN, message, {signal: np.ones(times_s.size)}, times_s, sender=0xF3, counter=counter)


def after(*batches: frames.CanFrames) -> liveness.Liveness:
    now = liveness.start(PLAN)
    for batch in batches:
        now = liveness.hear(PLAN, now, batch, decoding.decode(PLAN, batch).which)
    return now


@pytest.mark.parametrize("period_s", [0.02, 0.1, 1.0])
def test_the_rate_is_learned_and_silence_noticed(period_s: float) -> None:
    now = after(heard("D1", np.arange(50) * period_s), heard("D1", np.arange(50, 80) * period_s))
    assert now.period_s[0] == pytest.approx(period_s)
    last_s, allowed_s = 79 * period_s, max(5 * period_s, 0.1)
    assert liveness.missing(now, last_s + 0.9 * allowed_s).tolist() == [False, True, True]
    assert liveness.missing(now, last_s + 1.1 * allowed_s).tolist() == [True, True, True]


def test_a_gap_does_not_spoil_the_rate() -> None:
    now = after(heard("D1", np.concatenate((np.arange(50) * 0.02, 100.0 + np.arange(3) * 0.02))))
    assert now.period_s[0] == pytest.approx(0.02)


def test_counters_that_stand_still_or_jump_are_counted() -> None:
    times_s = np.arange(20) * 0.02
    now = after(
        heard("S1", times_s), heard("S1", times_s[:1] + 1.0, counter=20 + 3), heard("S1", times_s[:1] + 1.1, counter=23)
    )
    assert (now.lost[1], now.repeated[1], now.counter[1]) == (3, 1, 23 % 15)
    assert now.corrupt[0] == 0


def test_wrong_checksums_and_clocks_are_counted() -> None:
    batch = heard("S1", np.array([0.0, 0.1, 0.05]))
    broken = batch.data.copy()
    broken[3] ^= 1
    now = after(batch, batch._replace(data=broken))
    assert (now.corrupt[0], now.backward[0], now.heard[1]) == (1, 2, 5)


def test_a_sender_whose_counter_stands_still_is_missing_after_a_while() -> None:
    live = after(heard("S1", np.arange(20) * 0.02))
    stuck = decoding.decode(PLAN, again := heard("S1", np.array([0.0]), counter=19)).which
    for k in range(50):
        live = liveness.hear(PLAN, live, again._replace(time_s=np.array([0.4 + 0.02 * k])), stuck)
    assert live.repeated[1] == 50
    assert liveness.missing(live, 1.4).tolist() == [True, True, True]
    live = liveness.hear(PLAN, live, heard("S1", np.array([1.42]), counter=20), stuck)
    assert not liveness.missing(live, 1.42)[1]


@pytest.mark.parametrize("wrong_s", [np.nan, np.inf, -np.inf])
def test_a_time_that_is_none_is_counted_and_proves_nothing(wrong_s: float) -> None:
    now = after(heard("D1", np.array([0.0, 0.1, wrong_s])))
    assert (now.heard[0], now.backward[0]) == (3, 1)
    assert now.last_s[0] == 0.1
    assert liveness.missing(now, 2.0)[0]


def test_a_clock_that_jumps_ahead_and_back_does_not_make_a_silent_message_live() -> None:
    now = after(heard("D1", np.array([0.0, 0.1, 0.2, 1e9])))
    assert liveness.missing(now, 0.4)[0]
    assert not liveness.missing(after(heard("D1", np.array([0.0, 0.1, 0.2]))), 0.4)[0]


def test_a_frame_too_short_for_its_counter_says_nothing_of_it() -> None:
    loose = plan.build([Message("C", 0x0CF096FE, (), j1939=True, protection=Protection(counter_start=52))])
    cut = frames.from_rows(np.arange(4) * 0.1, np.full(4, 0x0CF096F3, np.uint32), np.zeros((4, 6), np.uint8))
    now = liveness.hear(loose, liveness.start(loose), cut, decoding.decode(loose, cut).which)
    assert (now.heard[0], now.repeated[0], now.counter[0]) == (4, 0, -1)
