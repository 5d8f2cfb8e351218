"""One number in a message: nearest code, whole range, special codes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.signal import Meaning, Signal, code, cut, meaning, special_codes, value


def made(bits: int, scale: float = 1.0, offset: float = 0.0, **more: bool) -> Signal:
    return Signal("test", 0, bits, scale, offset, *special_codes(bits), **more)


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (1, (1, -1, -1)),
        (2, (1, 3, 2)),
        (3, (6, 7, -1)),
        (4, (13, 15, 14)),
        (5, (30, 31, -1)),
        (8, (0xFA, 0xFF, 0xFE)),
        (16, (0xFAFF, 0xFFFF, 0xFE00)),
        (24, (0xFAFFFF, 0xFFFFFF, 0xFE0000)),
        (32, (0xFAFFFFFF, 0xFFFFFFFF, 0xFE000000)),
    ],
)
def test_special_codes_are_those_of_the_width(bits: int, said: tuple[int, int, int]) -> None:
    assert special_codes(bits) == said


@pytest.mark.parametrize("bits", range(1, 17))
def test_every_code_is_a_value_that_comes_back_or_nan(bits: int) -> None:
    signal = made(bits, 0.05, -1600.0)
    for raw in range(1 << bits):
        read = value(signal, raw)
        if meaning(signal, raw) is Meaning.VALUE:
            assert code(signal, read) == raw
        else:
            assert math.isnan(read)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (0xFAFF, Meaning.VALUE),
        (0xFB00, Meaning.RESERVED),
        (0xFDFF, Meaning.RESERVED),
        (0xFE00, Meaning.ERROR),
        (0xFE17, Meaning.ERROR),
        (0xFF00, Meaning.ABSENT),
        (0xFFFF, Meaning.ABSENT),
    ],
)
def test_the_highest_byte_says_what_a_wide_code_means(raw: int, said: Meaning) -> None:
    assert meaning(made(16), raw) is said


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([1, 2, 3, 4, 5, 8, 16, 24, 32]))
def test_a_value_never_wraps(given_value: float, bits: int) -> None:
    strict, soft = made(bits, 0.5, -10.0), made(bits, 0.5, -10.0, saturates=True)
    low, high = -10.0, strict.last * 0.5 - 10.0
    read, kept = value(strict, code(strict, given_value)), value(soft, code(soft, given_value))
    if low <= given_value <= high:
        assert abs(read - given_value) <= 0.25
        assert kept == read
    elif not math.isnan(given_value) and abs(given_value) > 2 * high + 20:
        assert math.isnan(read) or bits == 1
        assert kept == (high if given_value > high else low)


@pytest.mark.parametrize(("given_value", "said"), [(-0.05, 0xFFFF), (-1638.35, 0x8001), (0.05, 1), (math.nan, 0x8000)])
def test_a_signed_number_counts_from_the_middle_and_keeps_its_lowest_code_for_absent(
    given_value: float, said: int
) -> None:
    signal = Signal("current_A", 0, 16, 0.05, 0.0, 0x7FFF, 0x8000, 0x8000, signed=True)
    assert code(signal, given_value) == said
    assert value(signal, said) == pytest.approx(given_value, nan_ok=True)


@pytest.mark.parametrize(
    ("given_value", "strict", "soft"),
    [(1638.35, 0x7FFF, 0x7FFF), (1638.5, 0x8000, 0x7FFF), (-1638.5, 0x8000, 0x8001), (-1638.35, 0x8001, 0x8001)],
)
def test_a_signed_number_beyond_its_range_is_an_error_or_the_end_of_the_range(
    given_value: float, strict: int, soft: int
) -> None:
    signal = Signal("current_A", 0, 16, 0.05, 0.0, 0x7FFF, 0x8000, 0x8000, signed=True)
    assert code(signal, given_value) == strict
    assert code(signal._replace(saturates=True), given_value) == soft


def test_codes_that_a_signal_lacks_are_sent_as_unused_places() -> None:
    check = Signal("crc", 0, 8, 1.0, 0.0, 255, -1, -1)
    assert code(check, math.nan) == code(check, 300.0) == 255
    assert code(made(1), math.nan) == 0
    assert code(made(3), 99.0) == 7


def test_a_signal_beyond_the_end_of_the_message_is_not_there() -> None:
    signal = made(16)._replace(start_bit=8)
    assert cut(signal, b"\x01\x02\x03") == 0x0302
    assert cut(signal, b"\x01\x02") is None
