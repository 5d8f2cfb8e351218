"""Every signal of the reference, encoded here and decoded by cantools, and back."""

from __future__ import annotations

import csv
import functools
import math
import re
from pathlib import Path
from typing import Any

import cantools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols import signal as codes
from packhorse.protocols.j1939 import hvess
from packhorse.protocols.j1939.hvess import OURS, Content, Layout, decode, encode, layouts, pack_layouts, pack_pgn
from packhorse.protocols.signal import Meaning, Signal

REFERENCE = Path(__file__).parents[3] / "shared" / "reference"
ROWS = REFERENCE / "j1939_hv_signals.csv"
needs_reference = pytest.mark.skipif(not ROWS.exists(), reason=f"the reference is not beside the project: {ROWS}")

IN_OURS = {"°C": "degC", "Watt-hour": "Wh", "ohm per V": "ohm/V", "count": "", "source address": ""}


def rows() -> list[dict[str, str]]:
    if not ROWS.exists():
        return []
    with ROWS.open(encoding="utf-8") as text:
        return list(csv.DictReader(text))


@functools.cache
def judge() -> dict[int, Any]:
    database = cantools.database.load_file(REFERENCE / "j1939_hv.dbc")
    return {message.frame_id >> 8 & 0x3FFFF: message for message in database.messages}


def of_the_judge(pgn: int) -> Any:
    found = judge()
    return found[pgn] if pgn in found else found[pgn | 0xFF]


def ours(row: dict[str, str]) -> tuple[Layout, Signal]:
    layout = layouts()[int(row["pgn"])]
    return layout, next(s for s in layout.signals if s.spn == int(row["spn"]))


def of_the_bus(row: dict[str, str]) -> float:
    """What one of our unit is in that of the bus."""
    return 1.0 / OURS.get(IN_OURS.get(row["unit"], row["unit"]), ("", 1.0))[1]


@needs_reference
def test_all_552_signals_of_83_messages_are_here() -> None:
    table = rows()
    assert len(table) == 552
    assert len({row["pgn"] for row in table}) == 83
    known = {(layout.pgn, signal.spn) for layout in layouts().values() for signal in layout.signals if signal.spn}
    assert known == {(int(row["pgn"]), int(row["spn"])) for row in table}


@needs_reference
@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['acronym']}-{row['spn']}")
def test_every_signal_reads_the_same_to_the_judge_over_its_whole_range_and_its_special_codes(
    row: dict[str, str],
) -> None:
    layout, signal = ours(row)
    message, theirs, factor = of_the_judge(layout.pgn), f"SPN{row['spn']}", of_the_bus(row)
    half_bit = 0.5 * signal.scale * factor + 1e-12 * factor * (abs(signal.offset) + signal.last * signal.scale)
    for share in (0.0, 1e-4, 0.1, 1 / 3, 0.5, 0.77, 0.9999, 1.0):
        value = signal.offset + share * signal.last * signal.scale
        data = encode(layout, {signal.name: value})
        assert abs(message.decode(data[: message.length])[theirs] - value * factor) <= half_bit
    for raw in {0, 1, signal.last // 2, signal.last}:
        assert value_of_the_judges_bytes(message, layout, signal, raw) == signal.offset + raw * signal.scale
    for raw in {signal.absent, signal.error} - {-1}:
        assert math.isnan(value_of_the_judges_bytes(message, layout, signal, raw))
        values, errors = ({}, {signal.name}) if raw == signal.error else ({signal.name: math.nan}, ())
        data = encode(layout, values, errors)
        assert message.decode(data[: message.length], scaling=False)[theirs] == raw


def value_of_the_judges_bytes(message: Any, layout: Layout, signal: Signal, raw: int) -> float:
    """What is read here where the judge has set one code and zero elsewhere."""
    theirs = {s.name: 0 for s in message.signals} | {f"SPN{signal.spn}": raw}
    data = message.encode(theirs, scaling=False, strict=False)
    return decode(layout, data).values[signal.name]


@needs_reference
@pytest.mark.parametrize("pgn", sorted({int(row["pgn"]) for row in rows()}))
def test_a_whole_message_of_the_judge_is_read_signal_by_signal(pgn: int) -> None:
    message, layout = of_the_judge(pgn), layouts()[pgn]
    raw = {f"SPN{s.spn}": (7 * s.spn) % (s.last + 1) for s in layout.signals}
    data = message.encode(raw, scaling=False, strict=False)
    read = decode(layout, data).values
    assert read == {s.name: s.offset + raw[f"SPN{s.spn}"] * s.scale for s in layout.signals}
    assert encode(layout, read)[: len(data)] == bytes(
        a | b for a, b in zip(data, empty_bits(layout)[: len(data)], strict=True)
    )


def empty_bits(layout: Layout) -> bytes:
    """Ones where a message holds no signal."""
    word = (1 << 8 * layout.length) - 1
    for signal in layout.signals:
        word &= ~(((1 << signal.bits) - 1) << signal.start_bit)
    return word.to_bytes(layout.length, "little")


NO_FASTER = re.compile(r"no(?:t)? (?:faster|greater|more) than (?:every )?(\d+) ?ms")
TIME = re.compile(r"(\d+) ?(ms|s)\b|(\d+) seconds")


def rate_of(text: str) -> tuple[float, float]:
    """The longest time between two as the reference says it, 0 on request; and the shortest, NaN where it says none."""
    fastest = NO_FASTER.search(text)
    if text.casefold() == "on request":
        return 0.0, math.nan
    times = [float(n or s) * (1e-3 if unit == "ms" else 1.0) for n, unit, s in TIME.findall(NO_FASTER.sub("", text))]
    return max(times), float(fastest[1]) * 1e-3 if fastest else math.nan


@needs_reference
def test_every_message_has_the_rate_of_the_reference_and_is_sent_on_change_where_that_says_so() -> None:
    for row in rows():
        period_s, fastest_s = rate_of(row["rate"].partition("Note")[0].partition("See")[0].strip())
        layout = layouts()[int(row["pgn"])]
        assert layout.period_s == pytest.approx(period_s), row["acronym"]
        if len(row["rate"]) < 80:  # a longer text is cut off in the reference
            assert layout.fastest_s == pytest.approx(fastest_s, nan_ok=True), row["acronym"]


FIRST_OF_20 = {
    "S2": (62168, "1.1 1.3 1.5 1.7 2.1 2.3 5.1 5.3 5.5 5.7 6.1 6.3"),
    "D1": (62169, "1 3 5 7"),
    "D2": (62170, "1 3 5 7.1"),
    "D3": (62171, "1 3 5 7.1"),
    "D4": (62172, "1 3 5"),
    "D5": (62173, "1 3 5 7"),
    "D6": (62174, "1 3 5 6 7 8"),
    "S1": (62175, "1.1 1.3 1.5 2.1 2.3 2.5 3.1 3.5 3.7 4.1 4.5 4.7 5.1 6.1 6.5 7.5 8.1"),
    "D7": (62176, "1 4 7"),
}
REST_OF_19 = {
    "D7": (62161, "1 4 7"),
    "MS1": (62162, " ".join(f"{byte}.{bit}" for byte in range(1, 9) for bit in (1, 3, 5, 7))),
    "TS1": (62163, "1 3 5 6 7.1 7.3 7.5 8.1"),
    "D8": (62164, "1 2 3 4 5"),
    "D9": (62165, "1 2 3 4"),
    "D10": (62166, "1 2 3 4 5 7"),
    "D11": (62167, "1 3 5"),
}
"""Groups and places, byte and bit from 1, of packs 19 and 20 in the extract of J1939DA Oct-2020 that the table of ours
names as its source; the reference beside the project holds pack 1 alone."""


@pytest.mark.parametrize(("number", "blocks"), [(20, FIRST_OF_20), (19, REST_OF_19)])
def test_other_packs_have_the_groups_and_places_that_the_public_extract_gives_them(
    number: int, blocks: dict[str, tuple[int, str]]
) -> None:
    for block, (pgn, places) in blocks.items():
        layout = pack_layouts(number)[f"HVESP{number}{block}"]
        first_bits = [
            8 * (int(byte) - 1) + int(bit or 1) - 1 for byte, _, bit in (p.partition(".") for p in places.split())
        ]
        assert (layout.pgn, [s.start_bit for s in layout.signals]) == (pgn, first_bits), layout.name


@needs_reference
@pytest.mark.parametrize("number", [2, 7, 11, 26])
def test_the_judge_reads_other_packs_as_pack_1_but_for_their_groups(number: int) -> None:
    for block in (*hvess.BLOCK, "C1", "CFG", "HIST"):
        first, other = pack_layouts(1)[f"HVESP1{block}"], pack_layouts(number)[f"HVESP{number}{block}"]
        message = of_the_judge(first.pgn)
        values = {s.name: codes.value(s, (5 * k + number) % (s.last + 1)) for k, s in enumerate(other.signals)}
        read = message.decode(encode(other, values)[: message.length])
        for mine, theirs in zip(other.signals, first.signals, strict=True):
            unit = message.get_signal_by_name(f"SPN{theirs.spn}").unit or ""
            factor = OURS.get(IN_OURS.get(unit, unit), ("", 1.0))[1]
            assert read[f"SPN{theirs.spn}"] * factor == pytest.approx(values[mine.name], abs=1e-9), other.name


@needs_reference
def test_the_blocks_of_pack_1_have_the_parameter_groups_of_the_reference() -> None:
    theirs = {row["acronym"]: int(row["pgn"]) for row in rows() if row["acronym"].startswith("HVESP1")}
    assert {name: layout.pgn for name, layout in pack_layouts(1).items()} == theirs


def test_the_468_parameter_groups_of_26_packs_are_all_different_and_none_of_the_system() -> None:
    every = [pack_pgn(n, block) for n in range(1, 27) for block in (*hvess.BLOCK, "C1", "CFG", "HIST")]
    assert len(every) == len(set(every)) == 468
    assert not set(every) & {layout.pgn for layout in hvess.system_layouts().values()}


@pytest.mark.parametrize(
    ("number", "block", "pgn"),
    [
        (1, "S2", 61840),
        (6, "D11", 61929),
        (7, "S2", 61972),
        (10, "D11", 62031),
        (11, "S2", 62033),
        (26, "D11", 62272),
        (10, "C1", 13056),
        (11, "C1", 3840),
        (22, "C1", 6656),
        (23, "C1", 7936),
        (26, "C1", 8704),
        (6, "CFG", 64336),
        (7, "CFG", 64177),
        (10, "HIST", 64172),
        (11, "HIST", 64132),
        (26, "CFG", 64163),
    ],
)
def test_parameter_groups_at_the_ends_of_each_formula(number: int, block: str, pgn: int) -> None:
    assert pack_pgn(number, block) == pgn


@pytest.mark.parametrize("number", [0, 27, -1])
def test_a_pack_beyond_26_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="packs 1 to 26"):
        pack_pgn(number, "D1")


def test_a_packs_status_has_its_counter_elsewhere_and_no_number_of_packs() -> None:
    signals = {s.name: s.start_bit for s in pack_layouts(3)["HVESP3S1"].signals}
    assert (signals["counter"], signals["crc"]) == (52, 56)
    assert "packs_ready" not in signals


@pytest.mark.parametrize("layout", layouts().values(), ids=lambda layout: layout.name)
def test_signals_of_a_message_do_not_overlap_and_have_one_name_each(layout: Layout) -> None:
    taken = 0
    for signal in layout.signals:
        mask = ((1 << signal.bits) - 1) << signal.start_bit
        assert not taken & mask
        taken |= mask
    assert len({s.name for s in layout.signals}) == len(layout.signals)


def test_names_end_in_the_unit_of_their_slot() -> None:
    table = hvess._table()
    for entry in table["messages"].values():
        for _, name, _, slot, *_ in entry["signals"]:
            unit = table["slots"][slot]["unit"]
            ours_unit = OURS.get(unit, (unit, 1.0))[0]
            assert not ours_unit or name.endswith(f"_{ours_unit}"), name


@given(st.sampled_from(list(layouts().values())), st.binary(max_size=64))
def test_any_bytes_of_any_length_are_read_without_raising(layout: Layout, data: bytes) -> None:
    read = decode(layout, data)
    assert isinstance(read, Content)
    assert list(read.values) == [s.name for s in layout.signals]
    for signal in layout.signals:
        inside = signal.start_bit + signal.bits <= 8 * len(data)
        assert inside or math.isnan(read.values[signal.name])
    assert all(math.isnan(read.values[name]) for name in read.errors)


@given(st.sampled_from(list(layouts().values())), st.floats())
def test_no_value_spills_into_its_neighbours(layout: Layout, value: float) -> None:
    for signal in layout.signals:
        read = decode(layout, encode(layout, {signal.name: value})).values
        others = [s for s in layout.signals if s.name != signal.name and s.absent >= 0]
        assert all(math.isnan(read[s.name]) for s in others)


@pytest.mark.parametrize("length", [8, 17, 20, 37])
def test_a_configuration_of_any_length_gives_the_part_that_is_there(length: int) -> None:
    layout = hvess.system_layouts()["HVESSCFG"]
    values = {s.name: codes.value(s, s.last // 2) for s in layout.signals}
    data = encode(layout, values)
    read = decode(layout, (data + b"\xff" * 20)[:length]).values
    for signal in layout.signals:
        there = signal.start_bit + signal.bits <= 8 * length
        assert read[signal.name] == values[signal.name] if there else math.isnan(read[signal.name])


def test_a_check_byte_that_nobody_computes_is_sent_as_all_ones_and_unasked_fans_as_zero() -> None:
    assert encode(hvess.system_layouts()["HVESSS1"], {})[7] == 0xFF
    assert encode(hvess.system_layouts()["HVESSFC"], {})[4:] == b"\x00\x80\xff\xff"


def test_limits_stop_at_the_end_of_their_range_and_measurements_become_errors() -> None:
    layout = hvess.system_layouts()["HVESSD1"]
    values = {"discharge_power_W": 9e6, "charge_power_W": -1.0, "battery_V": 9e3, "current_A": 2e3}
    read = decode(layout, encode(layout, values))
    assert read.values["discharge_power_W"] == pytest.approx(3_212_750.0)
    assert read.values["charge_power_W"] == 0.0
    assert read.errors == ("battery_V", "current_A")
    assert codes.meaning(layout.signals[0], 0xFB00) is Meaning.RESERVED
