"""The DBC of our own node, with cantools as the judge: it loads, and decodes what the node and its boards say."""

from __future__ import annotations

import math
from typing import Any

import cantools.database
import numpy as np
import pytest

from nodes import moment_of, node_settings
from packhorse.pack.words import Command
from packhorse.protocols import boards
from packhorse.protocols.j1939.hvess import decode
from packhorse.protocols.j1939.identifier import GLOBAL, join
from packhorse.protocols.j1939.spoken import encoded, spoken
from packhorse.protocols.node_dbc import node_dbc, unit
from packs import small_pack

PACK = small_pack(strings=2, series=9)


def judge(settings: Any, strings: int = 2, series: int = 9, probes: int = PACK.probes) -> Any:
    return cantools.database.load_string(node_dbc(settings, strings, series, probes), "dbc", strict=True)


@pytest.mark.parametrize("changes", [{}, {"current_layout": "signed", "address": 200}])
def test_cantools_decodes_every_message_of_ours(changes: dict[str, Any]) -> None:
    settings = node_settings(**changes)
    moment, known = moment_of(PACK, drive=True), judge(settings)
    for name, said in spoken(settings, 2).items():
        message = known.get_message_by_name(name)
        assert message.frame_id & 0xFF == settings.address
        data = encoded(settings, moment, said)
        ours, errors = decode(said.layout, data)
        theirs = message.decode(data)
        for signal in said.layout.signals:
            value = theirs[signal.name]
            if math.isnan(ours[signal.name]):
                assert str(value) == ("error" if signal.name in errors else "not available"), (name, signal.name)
            else:
                assert float(value) == pytest.approx(ours[signal.name], abs=1e-9), (name, signal.name)


def test_cantools_decodes_what_boards_say_and_what_they_are_asked() -> None:
    known = judge(node_settings())
    frame = moment_of(PACK, drive=True).frame._replace(link_V=math.nan)
    wire = boards.readings(2, 9, PACK.probes)
    told = {}
    for said in boards.framed(wire, boards.coded(wire, boards.said_of(frame)), 0):
        told |= known.decode_message(said.can_id, said.data)
    for s in range(2):
        cell_V = [told[f"string{s + 1}_cell_V_{k + 1}"] for k in range(9)]
        np.testing.assert_allclose(cell_V, frame.cell_V[s], atol=5.1e-5)
        assert told[f"string{s + 1}_string_A"] == pytest.approx(frame.string_A[s], abs=0.026)
    assert str(told["link_V"]) == "not available"
    bleed = np.zeros((2, 9))
    bleed[1, [0, 8]] = 1.0
    command = Command(np.ones((2, 3)), bleed, 0.5, 0.0, 0.0, 1.0, 100.0, 600.0, np.zeros(2))
    asked = boards.commands(2, 9)
    for said in boards.framed(asked, boards.coded(asked, boards.asked_of(command)), 243):
        told |= known.decode_message(said.can_id, said.data)
    assert told["string2_bleed_1"] == 0b100000001
    assert (told["pump"], told["heater"], told["charge_A"]) == (pytest.approx(0.5), 1.0, pytest.approx(100.0))


def test_the_largest_pack_on_a_bus_has_a_dbc() -> None:
    known = judge(node_settings(), 16, 512, 512)
    assert len({message.frame_id for message in known.messages}) == len(known.messages)
    assert join(6, 0xFF00, GLOBAL, 143) in {message.frame_id for message in known.messages}


def test_units_are_those_of_the_names() -> None:
    found = {name: unit(name) for name in ("string1_cell_V_12", "isolation_ohm_per_V", "isolation_ohm", "soc", "hvil")}
    assert list(found.values()) == ["V", "ohm/V", "ohm", "", ""]
