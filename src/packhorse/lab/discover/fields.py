"""Every number that the bytes of a message could hold, by the array codec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover.roles import ENOUGH_FRAMES, jumpiness
from packhorse.lab.discover.words import Field, Role, Selector, Stream, Unit, positions
from packhorse.pack.words import Array
from packhorse.protocols import decoding
from packhorse.protocols.frames import EXTENDED, from_rows
from packhorse.protocols.plan import Kind, Message, Signal, build

MOST_TURNS, FEWEST_IN_TURN = 256, 4
DIVIDED_FRAMES = 20_000
"""Frames that show a multiplexer."""
CLEARLY, POWERS_OF_TWO = 6.5, (8, 16, 32, 64, 128, 256)
"""How many times further than by chance turns must stand apart; rolling counters mostly have a power of two steps."""
CROSSING = 0.6
"""Where a number goes up by one, a longer one that holds it moves by less than this share, if it goes on behind it."""
CALMER, IN_ORDER = 0.7, 0.8
STANDING = (12, 16)
"""Widths of cell voltages, which may stand still for a whole log."""
ROUGH, SMALL_SHARE = 0.2, 0.03
"""A field that jumps through this share of its range on average is no number; a small range may be noise."""


class Layout(NamedTuple):
    """A place where a number may lie."""

    start: int
    bits: int
    motorola: bool


def layouts(width: int) -> list[Layout]:
    """Every place for a number of 8, 12, 16, 24 or 32 bits on borders of nibbles and bytes."""
    found = []
    for bits in (8, 12, 16, 24, 32):
        grain = 4 if bits == 12 else 8
        for at in range(0, 8 * width - bits + 1, grain):
            found.append(Layout(at, bits, motorola=False))
            if bits > 8:
                byte, inside = divmod(at, 8)
                found.append(Layout(8 * byte + 7 - inside, bits, motorola=True))
    return found


def extract(stream: Stream, places: Sequence[Layout]) -> Array:
    """Raw numbers (places, frames) of a message, unsigned."""
    signals = tuple(
        Signal(str(k), one.start, one.bits, motorola=one.motorola, kind=Kind.UNSIGNED) for k, one in enumerate(places)
    )
    width = stream.data.shape[1]
    plan = build([Message("m", stream.id, signals, width, extended=stream.extended)])
    flags = EXTENDED if stream.extended else 0
    heard = from_rows(stream.time_s, np.full(stream.time_s.size, stream.id, np.uint32), stream.data, flags=flags)
    return decoding.decode(plan, heard).values.reshape(len(places), stream.time_s.size)


def signed(raw: Array, bits: int) -> Array:
    """The same bits as numbers with a sign."""
    return np.where(raw >= 2.0 ** (bits - 1), raw - 2.0**bits, raw)


def span(raw: Array) -> float:
    """From the lowest to the highest reading, without the rarest."""
    low, high = np.quantile(raw, (0.01, 0.99))
    return float(high - low)


def roughness(raw: Array) -> float:
    """Mean step from reading to reading as a share of the range; a third for pure chance."""
    wide = span(raw)
    return float(np.mean(np.minimum(np.abs(np.diff(raw)), wide))) / wide if wide > 0.0 else 0.0


def selector_of(stream: Stream, doing: NDArray[np.int64]) -> Selector | None:
    """The byte or nibble that says which fields a message carries; None where the others do not depend on one."""
    head, some = (stream.data[:count].astype(np.int64) for count in (stream.whole, DIVIDED_FRAMES))
    for b in np.flatnonzero(doing != Role.CONSTANT)[:2]:
        likely = []
        for shift, bits in ((0, 8), (0, 4), (4, 4)):
            value = head[:, b] >> shift & ((1 << bits) - 1)
            turns = np.unique(value)
            dense = 1 < turns.size <= MOST_TURNS and turns[-1] - turns[0] + 1 <= 2 * turns.size
            if dense and value.size >= FEWEST_IN_TURN * turns.size and cycles(value):
                likely.append(Selector(8 * int(b) + shift, bits))
        if any(divides(some, some[:, b] >> one.start % 8 & ((1 << one.bits) - 1), int(b)) for one in likely):
            return likely[0]  # where a nibble divides and the byte goes round, the nibble is its lower part
    return None


def cycles(value: NDArray[np.int64]) -> bool:
    """Whether all turns come one after the other, always in the same order."""
    turns, place, count = np.unique(value, return_inverse=True, return_counts=True)
    step = np.diff(place) % turns.size
    common = np.bincount(step, minlength=2)[1:].max() / max(step.size, 1)
    return bool(count.max() <= 1.5 * count.min() + 2 and common >= IN_ORDER)


def divides(head: NDArray[np.int64], value: NDArray[np.int64], b: int) -> bool:
    """Whether numbers of the same turn are more alike than those of others, apart from what moves them all."""
    turns, which = np.unique(value, return_inverse=True)
    if turns.size not in POWERS_OF_TWO and turns.size > 4:
        return True
    by_chance = np.arange(which.size) % (turns.size + 1)
    for other in range(head.shape[1] - 1):
        if b in (other, other + 1) or (head[:, other : other + 2] == head[0, other : other + 2]).all():
            continue
        for high, low in ((other, other + 1), (other + 1, other)):
            own = apart_from_all((256 * head[:, high] + head[:, low]).astype(np.float64), turns.size)
            if stand_apart(own, which) > CLEARLY * max(stand_apart(own, by_chance), 1.0):
                return True
    return False


def stand_apart(values: Array, which: NDArray[np.int64]) -> float:
    """How far the means of groups lie apart, as a multiple of what chance makes of it."""
    count = np.bincount(which)
    mean = np.bincount(which, values) / count
    within = float(np.mean((values - mean[which]) ** 2))
    return float(np.mean((mean - values.mean()) ** 2 * count)) / max(within, 1e-12)


def apart_from_all(values: Array, cycle: int) -> Array:
    """What sets numbers apart from the mean of the cycle around them."""
    padded = np.pad(values, (cycle // 2, cycle - cycle // 2 - 1), mode="edge")
    return values - np.convolve(padded, np.full(cycle, 1.0 / cycle), mode="valid")


def units(number: int, stream: Stream, doing: NDArray[np.int64], places: Sequence[Layout] | None = None) -> list[Unit]:
    """Every number that a message may hold and that is not constant, a counter, a checksum or chance.

    Where the `places` of numbers are known, only those.
    """
    if places is not None:
        return known_units(number, stream, places)
    if stream.time_s.size < ENOUGH_FRAMES:
        return []
    apart = {8 * int(b) + k for b in np.flatnonzero(np.isin(doing, (Role.COUNTER, Role.CHECKSUM))) for k in range(8)}
    selector = selector_of(stream, doing)
    if selector is not None:
        apart |= set(range(selector.start, selector.start + selector.bits))
    found = []
    for turn, rows in turns(stream, selector):
        some = stream._replace(time_s=stream.time_s[rows], data=np.ascontiguousarray(stream.data[rows]))
        free = [one for one in layouts(stream.data.shape[1]) if not apart & positions(Field(number, *one))]
        moves = (some.data != some.data[0]).any(axis=0)
        free = [one for one in free if one.bits in STANDING or moves[bytes_of(one)].any()]
        if some.time_s.size >= FEWEST_IN_TURN and free:
            own = []
            for place, raw in zip(free, extract(some, free), strict=True):
                field = Field(number, *place, selector=selector or Selector(-1, 0), turn=turn)
                own += believable(Unit(field, some.time_s, raw))
            own = without_twins(own)
            found += [unit for unit in own if not any(goes_on(unit, longer) for longer in own)]
    return found


def known_units(number: int, stream: Stream, places: Sequence[Layout]) -> list[Unit]:
    """The numbers in known places that change."""
    found = []
    for place, raw in zip(places, extract(stream, places), strict=True):
        told = raw < 2.0**place.bits - 2.0 ** max(place.bits - 8, 0)
        if np.count_nonzero(told) >= ENOUGH_FRAMES and np.ptp(raw[told]) > 0.0:
            found.append(Unit(Field(number, *place), stream.time_s[told], raw[told]))
    return found


def standing_bytes(number: int, stream: Stream, doing: NDArray[np.int64]) -> list[Unit]:
    """Bytes that never change and may be a reading all the same, as those of a slow probe."""
    still = np.flatnonzero(doing == Role.CONSTANT) if stream.time_s.size >= ENOUGH_FRAMES else ()
    return [
        Unit(Field(number, 8 * int(b), 8, motorola=False), stream.time_s, stream.data[:, b].astype(np.float64))
        for b in still
        if 0 < stream.data[0, b] < 0xFA
    ]


def without_twins(units: list[Unit]) -> list[Unit]:
    """Of fields that share bits and order and have the same readings, the one whose width is usual for them."""
    kept: list[Unit] = []
    for unit in sorted(units, key=lambda one: abs(one.field.bits - (8 if one.raw.max() < 256.0 else 16))):
        if not any(are_twins(unit, other) for other in kept):
            kept.append(unit)
    return kept


def are_twins(unit: Unit, other: Unit) -> bool:
    """Whether two fields are one and the same; 12 and 16 bits may both be the width of a cell voltage."""
    one, two = unit.field, other.field
    alike = one.motorola == two.motorola and not {one.bits, two.bits} <= set(STANDING)
    return alike and bool(positions(one) & positions(two)) and np.array_equal(unit.raw, other.raw)


def goes_on(unit: Unit, longer: Unit) -> bool:
    """Whether a number is only the upper part of a longer one."""
    one, other = unit.field, longer.field
    more = other.bits - one.bits
    if more <= 0 or (other.motorola != one.motorola and one.bits > 8) or not positions(one) < positions(other):
        return False
    if top(one) != top(other) or unit.raw.size < ENOUGH_FRAMES:
        return False
    upper = longer.raw / 2.0**more
    crossing = np.flatnonzero(np.abs(np.diff(np.floor(upper))) == 1.0)
    return crossing.size >= 4 and float(np.median(np.abs(np.diff(upper))[crossing])) < CROSSING


def top(field: Field) -> int:
    """The highest bit of a number."""
    return field.start if field.motorola else field.start + field.bits - 1


def turns(stream: Stream, selector: Selector | None) -> list[tuple[int, NDArray[np.bool_]]]:
    """Which frames carry which turn; all of them without a selector."""
    if selector is None:
        return [(-1, np.ones(stream.time_s.size, dtype=bool))]
    byte = stream.data[:, selector.start // 8].astype(np.int64)
    value = byte >> selector.start % 8 & ((1 << selector.bits) - 1)
    return [(int(turn), value == turn) for turn in np.unique(value)]


def bytes_of(place: Layout) -> list[int]:
    """The bytes that a number touches."""
    return sorted({bit // 8 for bit in positions(Field(0, *place))})


def believable(unit: Unit) -> list[Unit]:
    """The number as it is smooth: without a sign or with one. None where it is rough either way, or never changes."""
    bits = unit.field.bits
    raw = unit.raw
    none = raw >= 2.0**bits - (2.0 ** (bits - 8) if bits > 8 else 1.0)
    if 0 < np.count_nonzero(none) < 0.5 * raw.size and not _wraps(raw[~none], bits):
        unit = unit._replace(time_s=unit.time_s[~none], raw=raw[~none])
        raw = unit.raw
    stands = bool((raw == raw[0]).all()) if raw.size else True
    if raw.size < FEWEST_IN_TURN or (stands and (bits not in STANDING or raw[0] == 0.0 or none[0])):
        return []  # filled up with zeros or ones, most likely
    if bits > 8 and (raw != raw[0]).any() and np.ptp(raw % (16.0 if bits == 12 else 256.0)) == 0.0:
        return []  # only its upper part changes: that part alone is the number
    if bits >= 16 and jumpiness(raw % 256.0) < CALMER * jumpiness(raw // 256.0 % 256.0):
        return []  # its lowest byte is calmer than the one above it: they are in the wrong order
    with_sign = signed(raw, bits)
    best = unit
    if roughness(with_sign) * span(with_sign) < 0.5 * roughness(raw) * span(raw):
        best = Unit(unit.field._replace(signed=True), unit.time_s, with_sign)
    rough = roughness(best.raw) > ROUGH and span(best.raw) > SMALL_SHARE * 2.0**bits
    return [] if rough else [best]


def _wraps(raw: Array, bits: int) -> bool:
    """Whether readings come close to the top, as small negative ones do."""
    return bool((raw > 0.97 * 2.0**bits).any())
