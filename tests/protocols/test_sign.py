"""Whether a declared sign of current is contradicted by what happens."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.j1939.sign import MOST, Evidence, Sign, judged, weigh

OCV, OHM = 650.0, 0.1


def driven(declared: float, seconds: float = 60.0, power: bool = True, sag: bool = True) -> Evidence:
    """A truck that pulls, rolls and brakes; its current is read with the declared sign (+1 right, -1 wrong)."""
    evidence = Evidence()
    for k in range(round(seconds / 0.1)):
        true_A = (0.0, 150.0, 150.0, -80.0)[k // 20 % 4]
        battery_V = OCV - (OHM * true_A if sag else 0.0)
        inverter_W = 0.95 * true_A * battery_V if power else math.nan
        evidence = weigh(evidence, 0.1 * k, declared * true_A, battery_V, inverter_W)
    return evidence


@pytest.mark.parametrize(("power", "sag"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize(("declared", "said"), [(1.0, Sign.RIGHT), (-1.0, Sign.WRONG)])
def test_power_or_sag_alone_tell_a_right_sign_from_a_wrong_one(
    declared: float, said: Sign, power: bool, sag: bool
) -> None:
    assert judged(driven(declared, 200.0, power, sag)) is said


def test_nothing_is_said_before_there_is_enough_evidence() -> None:
    assert judged(driven(-1.0, 10.0)) is Sign.UNKNOWN


def test_power_and_sag_that_disagree_say_nothing() -> None:
    assert judged(Evidence(power=MOST, sag=-MOST)) is Sign.UNKNOWN


def test_a_sign_that_changes_later_is_noticed() -> None:
    evidence = driven(1.0, 3600.0)
    assert evidence.power <= MOST
    for k in range(1000):
        evidence = weigh(evidence, 3600.0 + 0.1 * k, -150.0, OCV - 15.0, 90e3)
    assert evidence.power == -MOST


def test_small_currents_and_consumers_beside_the_inverter_are_no_evidence() -> None:
    evidence = Evidence()
    for k in range(1000):
        evidence = weigh(evidence, 0.1 * k, -1.0 if k % 2 else 1.0, OCV, 20e3)
    assert (evidence.power, evidence.sag) == (0.0, 0.0)


@given(st.lists(st.tuples(*[st.floats()] * 4), max_size=50))
def test_any_numbers_leave_the_evidence_finite(moments: list[tuple[float, float, float, float]]) -> None:
    evidence = Evidence()
    for moment in moments:
        evidence = weigh(evidence, *moment)
        assert abs(evidence.power) <= MOST
        assert abs(evidence.sag) <= MOST
        assert judged(evidence) in Sign
