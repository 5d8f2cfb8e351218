"""The codec against cantools: any layout, decoded and encoded to the same."""

from __future__ import annotations

from collections.abc import Sequence

import cantools
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.protocols import dbc, decoding, encoding, frames, plan
from packhorse.protocols.plan import Check, Kind, Message, Protection, Signal

SCALES = st.sampled_from([1.0, 0.5, 0.1, 0.0015625, -2.0, 1e-7, 3.0])
OFFSETS = st.sampled_from([0.0, -40.0, -1600.0, 273.15, 1.5])


@st.composite
def layouts(draw: st.DrawFn, lengths: Sequence[int] = (8, 8, 3, 64)) -> tuple[int, list[Signal]]:
    """Signals that do not overlap, of every kind and both byte orders."""
    length = draw(st.sampled_from(lengths))
    taken: set[int] = set()
    signals: list[Signal] = []
    for number in range(draw(st.integers(1, 9))):
        kind = draw(st.sampled_from([Kind.UNSIGNED, Kind.UNSIGNED, Kind.SIGNED, Kind.FLOAT32, Kind.FLOAT64]))
        bits = {Kind.FLOAT32: 32, Kind.FLOAT64: 64}.get(kind) or draw(st.integers(1, 64))
        signal = Signal(
            f"S{number}",
            draw(st.integers(0, 8 * length - 1)),
            bits,
            draw(SCALES),
            draw(OFFSETS),
            motorola=draw(st.booleans()),
            kind=kind,
        )
        places = bits_taken(signal)
        if max(places) < 8 * length and taken.isdisjoint(places):
            taken |= places
            signals.append(signal)
    return length, signals


def bits_taken(signal: Signal) -> set[int]:
    at, places = signal.start, set()
    for _ in range(signal.bits):
        places.add(at)
        at = at + 1 if not signal.motorola else (at - 1 if at % 8 else at + 15)
    return places


def dbc_of(length: int, signals: Sequence[Signal], identifier: int = 0x123) -> str:
    lines = [f"BO_ {identifier} M: {length} Vector__XXX"]
    for s in signals:
        mux = s.selector or ""
        order, sign = "0" if s.motorola else "1", "+" if s.kind == Kind.UNSIGNED else "-"
        lines.append(
            f' SG_ {s.name} {mux}: {s.start}|{s.bits}@{order}{sign} ({s.scale!r},{s.offset!r}) [0|0] "" Vector__XXX'
        )
    floats = [
        f"SIG_VALTYPE_ {identifier} {s.name} : {s.kind - 1};" for s in signals if s.kind in (Kind.FLOAT32, Kind.FLOAT64)
    ]
    return 'VERSION ""\nNS_ :\nBS_:\nBU_: Vector__XXX\n' + "\n".join(lines) + "\n" + "\n".join(floats) + "\n"


def batch(payloads: Sequence[bytes], identifier: int = 0x123, flags: int = 0) -> frames.CanFrames:
    width = max(len(p) for p in payloads)
    data = np.array([list(p.ljust(width, b"\0")) for p in payloads], dtype=np.uint8).reshape(len(payloads), width)
    ids = np.full(len(payloads), identifier, np.uint32)
    length = np.array([len(p) for p in payloads], np.uint16)
    return frames.from_rows(np.arange(len(payloads)) * 0.1, ids, data, length=length, flags=flags)


def same(ours: float, theirs: float) -> bool:
    return bool(np.isclose(ours, theirs, rtol=1e-12, atol=1e-12, equal_nan=True))


@given(layout=layouts(), seed=st.integers(0, 2**32 - 1), many=st.booleans())
@settings(max_examples=300, deadline=None)
def test_decodes_as_cantools_does(layout: tuple[int, list[Signal]], seed: int, many: bool) -> None:
    length, signals = layout
    if not signals:
        return
    text = dbc_of(length, signals)
    ours = dbc.load(text, "test.dbc")
    judge = cantools.database.load_string(text, "dbc").messages[0]
    dice = np.random.default_rng(seed)
    payloads = [dice.integers(0, 256, length, dtype=np.uint8).tobytes() for _ in range(40 if many else 3)]
    decoded = decoding.decode(ours, batch(payloads))
    for signal in signals:
        values = decoding.column(ours, decoded, f"M.{signal.name}").values
        for value, payload in zip(values, payloads, strict=True):
            assert same(value, float(judge.decode(payload, decode_choices=False)[signal.name]))


@given(layout=layouts(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_encodes_what_cantools_decodes(layout: tuple[int, list[Signal]], seed: int) -> None:
    length, signals = layout
    if not signals:
        return
    text = dbc_of(length, signals)
    ours = dbc.load(text, "test.dbc")
    judge = cantools.database.load_string(text, "dbc").messages[0]
    dice = np.random.default_rng(seed)
    wanted = judge.decode(dice.integers(0, 256, length, dtype=np.uint8).tobytes(), decode_choices=False)
    values = {name: np.array([float(value)]) for name, value in wanted.items()}
    made = encoding.encode(ours, "M", values, np.zeros(1))
    again = judge.decode(frames.payload(made, 0), decode_choices=False)
    for s in signals:
        step = abs(s.scale) if s.kind in (Kind.UNSIGNED, Kind.SIGNED) else 0.0
        slack = 0.5 * step + 2e-7 * (abs(float(wanted[s.name])) + abs(s.offset)) * (s.kind == Kind.FLOAT32)
        slack += 4e-16 * abs(float(wanted[s.name])) + 1e-12 * abs(s.offset)
        assert abs(float(again[s.name]) - float(wanted[s.name])) <= slack or np.isnan(float(wanted[s.name]))


MULTIPLEXED = """VERSION ""
NS_ :
BS_:
BU_: N
BO_ 291 M: 8 N
 SG_ outer M : 0|4@1+ (1,0) [0|0] "" N
 SG_ inner m1M : 4|4@1+ (1,0) [0|0] "" N
 SG_ a m0 : 8|16@1- (0.5,0) [0|0] "" N
 SG_ b m2 : 8|16@1+ (1,-5) [0|0] "" N
 SG_ c m3 : 15|16@0- (1,0) [0|0] "" N
 SG_ d m7 : 24|8@1+ (1,0) [0|0] "" N
 SG_ always : 56|8@1+ (1,0) [0|0] "" N
SG_MUL_VAL_ 291 inner outer 1-1;
SG_MUL_VAL_ 291 a outer 0-0, 5-9;
SG_MUL_VAL_ 291 b outer 2-2;
SG_MUL_VAL_ 291 c inner 3-3;
SG_MUL_VAL_ 291 d inner 7-9, 12-12;
"""


def test_multiplexed_signals_are_there_as_cantools_has_them() -> None:
    ours = dbc.load(MULTIPLEXED, "mux.dbc")
    judge = cantools.database.load_string(MULTIPLEXED, "dbc").messages[0]
    payloads = [bytes([n, 250, 3, 17, 5, 6, 7, 99]) for n in range(256)]
    decoded = decoding.decode(ours, batch(payloads))
    compared = 0
    for name in ("outer", "inner", "a", "b", "c", "d", "always"):
        there = decoding.column(ours, decoded, f"M.{name}")
        found = dict(zip(there.frame.tolist(), there.values, strict=True))
        for k, payload in enumerate(payloads):
            try:
                expected = judge.decode(payload, decode_choices=False)
            except cantools.database.errors.DecodeError:
                continue  # cantools gives up on a multiplexer value that selects nothing
            assert (k in found) == (name in expected)
            if name in expected:
                assert found[k] == expected[name]
                compared += 1
    assert compared > 300


@pytest.mark.parametrize("chosen", [{"outer": 0, "a": -7.5}, {"outer": 1, "inner": 9, "d": 200}, {"outer": 2, "b": 11}])
def test_multiplexed_signals_are_encoded(chosen: dict[str, float]) -> None:
    ours = dbc.load(MULTIPLEXED, "mux.dbc")
    judge = cantools.database.load_string(MULTIPLEXED, "dbc").messages[0]
    values = {name: np.array([float(v)]) for name, v in {**chosen, "always": 3.0}.items()}
    made = encoding.encode(ours, "M", values, np.zeros(1))
    assert judge.decode(frames.payload(made, 0), decode_choices=False) == {**chosen, "always": 3}


def j1939(*signals: Signal, name: str = "D1", identifier: int = 0x0CF090FE, **more: object) -> Message:
    return Message(name, identifier, signals, j1939=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("bits", "highest"), [(2, 1), (4, 13), (8, 250), (12, 0xFAF), (16, 0xFAFF), (32, 0xFAFFFFFF)])
def test_codes_of_j1939_are_no_readings(bits: int, highest: int) -> None:
    ours = plan.build([j1939(Signal("s", 0, bits, 0.5, -10.0))])
    raws = sorted({0, highest, highest + 1, 2**bits - 1})
    payloads = [raw.to_bytes(8, "little") for raw in raws]
    decoded = decoding.decode(ours, batch(payloads, 0x0CF090F3, frames.EXTENDED))
    values = decoding.column(ours, decoded, "D1.s").values
    expected = [raw * 0.5 - 10.0 if raw <= highest else np.nan for raw in raws]
    assert np.array_equal(values, expected, equal_nan=True)
    assert decoded.none.tolist() == [[0, sum(raw > highest for raw in raws)]]


def test_j1939_writes_not_available_and_error() -> None:
    ours = plan.build([j1939(Signal("a", 0, 16, 0.05, -1600.0), Signal("b", 16, 2), Signal("c", 24, 8))])
    values = {"a": np.array([np.nan, 5000.0, -1600.0]), "b": np.array([1.0, np.nan, 9.0])}
    made = frames.rows(encoding.encode(ours, "D1", values, np.zeros(3), sender=0xF3), 8)
    assert made[:, :4].tolist() == [[255, 255, 0xFD, 255], [255, 0xFE, 0xFF, 255], [0, 0, 0xFE, 255]]


@pytest.mark.parametrize(
    ("bits", "absent", "error"), [(1, 0, 0), (2, 3, 2), (3, 7, 7), (4, 15, 14), (12, 0xFFF, 0xFEF)]
)
def test_codes_that_j1939_writes(bits: int, absent: int, error: int) -> None:
    ours = plan.build([j1939(Signal("s", 0, bits), length=2)])
    made = frames.rows(encoding.encode(ours, "D1", {"s": np.array([np.nan, 1e6])}, np.zeros(2)), 2)
    raws = [int.from_bytes(row.tobytes(), "little") & (2**bits - 1) for row in made]
    assert raws == [absent, error]


@pytest.mark.parametrize("identifier", [0x18F09003, 0x0CF090F3, 0x00F090FE])
def test_j1939_matches_any_priority_and_sender(identifier: int) -> None:
    ours = plan.build([j1939(Signal("s", 0, 8)), j1939(Signal("t", 0, 8), name="C1", identifier=0x181B00FE)])
    assert decoding.decode(ours, batch([bytes(8)], identifier, frames.EXTENDED)).which.tolist() == [0]
    assert decoding.decode(ours, batch([bytes(8)], identifier, 0)).which.tolist() == [decoding.UNKNOWN]


def test_pdu1_matches_any_destination_and_shared_groups_go_by_sender() -> None:
    ours = plan.build(
        [
            j1939(name="C1", identifier=0x181B00FE),
            j1939(name="A", identifier=0x18F00303),
            j1939(name="B", identifier=0x18F00304),
        ]
    )
    which = [
        int(decoding.decode(ours, batch([bytes(8)], i, frames.EXTENDED)).which[0])
        for i in (0x181B5B05, 0x0CF00303, 0x18F00304, 0x18F00305)
    ]
    assert which == [0, 1, 2, decoding.UNKNOWN]


def test_short_frames_and_impossible_ones_give_no_reading() -> None:
    ours = plan.build([j1939(Signal("a", 0, 16), Signal("b", 32, 16), Signal("c", 60, 4))])
    some = batch([bytes(8), bytes(5), b"", bytes(6)], 0x0CF09001, frames.EXTENDED)
    decoded = decoding.decode(ours, some)
    assert decoded.none[:, 0].tolist() == [1, 2, 3]
    beyond = some._replace(start=some.start + np.array([0, 10**12, -500, 20]))
    assert decoding.decode(ours, beyond).which.tolist() == [0, -1, -1, -1]
    marked = some._replace(flags=np.array([1, 1 | frames.REMOTE, 1 | frames.ERROR, 1], np.uint8))
    assert decoding.decode(ours, marked).which.tolist() == [0, -1, -1, 0]


@pytest.mark.parametrize("check", [Check.CRC8, Check.XOR8, Check.SUM8])
@pytest.mark.parametrize("prefix", [-1, 0x5B])
def test_protected_messages(check: Check, prefix: int) -> None:
    rule = Protection(check, 7, prefix=prefix, counter_start=52, counter_bits=4, counter_top=14)
    ours = plan.build([j1939(Signal("s", 0, 16), protection=rule)])
    made = encoding.encode(ours, "D1", {"s": np.arange(20.0)}, np.arange(20.0), counter=3)
    table = frames.rows(made, 8)
    assert (table[:, 6] >> 4).tolist() == [(k + 3) % 15 for k in range(20)]
    assert (decoding.decode(ours, made).which == 0).all()
    for bit in range(64):
        broken = table.copy()
        broken[5, bit // 8] ^= 1 << bit % 8
        wrong = decoding.decode(ours, made._replace(data=broken.reshape(-1)))
        assert wrong.which[5] == decoding.CORRUPT
        assert decoding.column(ours, wrong, "D1.s").values.size == 19


def test_crc8_is_that_of_sae_j1850() -> None:
    rule = Protection(Check.CRC8, check_byte=9)
    ours = plan.build([j1939(Signal("s", 0, 8), length=10, protection=rule)])
    whole = batch([b"123456789\x4b"], 0x0CF09001, frames.EXTENDED)
    assert decoding.decode(ours, whole).which.tolist() == [0]


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (Signal("s", 60, 8), "ends in byte 9 of 8"),
        (Signal("s", 0, 65), "65 bits"),
        (Signal("s", 0, 8, 0.0), "scale 0"),
        (Signal("s", 0, 16, kind=Kind.FLOAT32), "float of 16 bits"),
        (Signal("s", 0, 8, selector="t"), "selected by t"),
        (Signal("s", 0, 8, selector="s"), "select each other"),
    ],
)
def test_layouts_that_cannot_be_are_refused(signal: Signal, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plan.build([Message("M", 1, (signal,))])


def test_values_that_cannot_be_said_are_refused() -> None:
    ours = plan.build([Message("M", 1, (Signal("s", 0, 8), Signal("t", 8, 8, kind=Kind.SIGNED)), extended=False)])
    for values in ({"s": 256.0, "t": 0.0}, {"s": -1.0, "t": 0.0}, {"s": 0.0, "t": 128.0}, {"s": 0.0}):
        with pytest.raises(ValueError, match=r"M\.[st] cannot be"):
            encoding.encode(ours, "M", {k: np.array([v]) for k, v in values.items()}, np.zeros(1))
    with pytest.raises(ValueError, match="no message X"):
        encoding.encode(ours, "X", {}, np.zeros(1))
    with pytest.raises(ValueError, match="no signal u"):
        encoding.encode(ours, "M", {"u": np.zeros(1)}, np.zeros(1))


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255), st.binary(max_size=64)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_frames_are_survived(some: list[tuple[int, int, bytes]]) -> None:
    ours = dbc.load(MULTIPLEXED, "mux.dbc")
    if not some:
        return
    heard = batch([payload for _, _, payload in some])
    heard = heard._replace(
        id=np.array([i for i, _, _ in some], np.uint32), flags=np.array([f for _, f, _ in some], np.uint8)
    )
    decoded = decoding.decode(ours, heard)
    assert decoded.which.size == len(some)
    assert decoded.first[-1] == (decoded.which >= 0).sum()
