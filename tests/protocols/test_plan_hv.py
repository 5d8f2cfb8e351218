"""The array codec over all 552 signals of the reference, both ways, with cantools as the judge."""

from __future__ import annotations

from typing import Any

import cantools
import numpy as np
import pytest

from buses import j1939_dbc, shared
from packhorse.io.can_logs import open_can_log
from packhorse.protocols import dbc, decoding, encoding, frames, plan

REFERENCE = j1939_dbc()
needs_reference = pytest.mark.skipif(
    not REFERENCE.exists(), reason=f"the reference is not beside the project: {REFERENCE}"
)
ROWS = 300


@pytest.fixture(scope="module")
def ours() -> plan.Plan:
    return dbc.load(REFERENCE.read_text(encoding="utf-8"), REFERENCE.name)


@pytest.fixture(scope="module")
def judge() -> Any:
    return cantools.database.load_file(REFERENCE)


def codes_of(signal: plan.Signal, dice: np.random.Generator) -> np.ndarray:
    """Codes of a signal: up to 8 bits all of them, else both ends, the special ones, those around, and some others."""
    top = (1 << signal.bits) - 1
    if signal.bits <= 8:
        return np.resize(np.arange(top + 1, dtype=np.uint64), ROWS)
    last = plan.highest(signal.bits)
    ends = [0, 1, 2, last - 1, last, last + 1, 0xFE << signal.bits - 8, 0xFF << signal.bits - 8, top - 1, top]
    some = dice.integers(0, top, ROWS - len(ends), dtype=np.uint64, endpoint=True)
    return np.concatenate((np.array(ends, np.uint64), some))


def is_reading(signal: plan.Signal, codes: np.ndarray) -> np.ndarray:
    return codes <= np.uint64(plan.highest(signal.bits))


@needs_reference
def test_the_reference_is_whole(ours: plan.Plan) -> None:
    assert (len(ours.signals), len(ours.messages)) == (552, 83)
    assert all(message.j1939 for message in ours.messages)


@needs_reference
def test_every_signal_is_decoded_as_the_judge_does_at_every_kind_of_code(ours: plan.Plan, judge: Any) -> None:
    for number, message in enumerate(ours.messages):
        theirs = judge.get_message_by_name(message.name)
        dice = np.random.default_rng(number)
        codes = {signal.name: codes_of(signal, dice) for signal in message.signals}
        payloads = [
            theirs.encode({name: int(column[k]) for name, column in codes.items()}, scaling=False, strict=False)
            for k in range(ROWS)
        ]
        table = np.frombuffer(b"".join(payloads), np.uint8).reshape(ROWS, message.length)
        ids = np.full(ROWS, message.id & 0x1FFFFF00 | 0xF3, np.uint32)
        decoded = decoding.decode(ours, frames.from_rows(np.arange(float(ROWS)), ids, table))
        expected = [theirs.decode(payload, decode_choices=False) for payload in payloads]
        for signal in message.signals:
            read = decoding.column(ours, decoded, f"{message.name}.{signal.name}").values
            there = is_reading(signal, codes[signal.name])
            value = np.array([float(row[signal.name]) for row in expected])
            np.testing.assert_allclose(read[there], value[there], rtol=1e-13, atol=1e-9, err_msg=signal.name)
            assert np.isnan(read[~there]).all(), signal.name
            assert there.any()


@needs_reference
def test_the_judge_decodes_what_we_encode_within_half_a_bit_and_the_special_codes_as_they_are(
    ours: plan.Plan, judge: Any
) -> None:
    for number, message in enumerate(ours.messages):
        theirs = judge.get_message_by_name(message.name)
        dice = np.random.default_rng(number)
        share = np.concatenate((np.array([0.0, 1.0, 0.5]), dice.random(20)))
        values = {
            s.name: np.append(s.offset + s.scale * share * plan.highest(s.bits), [np.nan, 1e12])
            for s in message.signals
        }
        made = encoding.encode(ours, message.name, values, np.zeros(share.size + 2), sender=0xF3)
        for k in range(share.size + 2):
            payload = frames.payload(made, k)
            read = theirs.decode(payload, decode_choices=False)
            raw = theirs.decode(payload, decode_choices=False, scaling=False)
            for s in message.signals:
                top = (1 << s.bits) - 1
                absent = top if s.bits > 1 else 0
                error = top - (1 << s.bits - 8) if s.bits >= 8 else top - 1 if s.bits in (2, 4) else absent
                if k < share.size:
                    slack = 0.5 * s.scale + 1e-12 * abs(s.offset) + 1e-15 * s.scale * top
                    assert abs(float(read[s.name]) - values[s.name][k]) <= slack, (message.name, s.name)
                else:
                    assert raw[s.name] == (absent, error)[k - share.size], (message.name, s.name)


@needs_reference
def test_an_electric_bus_that_stands_still_is_read_so(ours: plan.Plan) -> None:
    pytest.importorskip("asammdf")
    path = shared("css_electric_bus_standstill.mf4")
    if not path.is_file():
        pytest.skip("the logs of real vehicles are not here")
    heard = frames.join(list(open_can_log(path).blocks()))
    decoded = decoding.decode(ours, heard)
    read = {n: decoding.column(ours, decoded, n).values for n in ("CCVS1.SPN84", "EEC1.SPN190", "VDHR.SPN917")}
    assert read["CCVS1.SPN84"].size > 3000
    assert (read["CCVS1.SPN84"] == 0.0).all()
    assert (read["EEC1.SPN190"] == 0.0).all()
    assert read["VDHR.SPN917"].max() == 158_910_600.0
