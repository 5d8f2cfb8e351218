"""A battery as a J1939 node for tests: its settings, moments of the BMS, and a bus that carries frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from packhorse import bms
from packhorse.pack.words import Pack
from packhorse.protocols.j1939.hvess import Content, Layout, decode, layouts
from packhorse.protocols.j1939.identifier import CanFrame, split
from packhorse.protocols.j1939.node import Node, speak, start
from packhorse.protocols.j1939.settings import NodeFile, Settings, compile_node
from packhorse.protocols.j1939.spoken import Moment
from packs import calm, closed, small_pack

NODE: dict[str, Any] = {
    "name": {"identity": 7, "manufacturer": 100, "function": 50},
    "positive_current": "discharges",
    "limits": "magnitudes",
}


def node_settings(**changes: Any) -> Settings:
    return compile_node(NodeFile.model_validate({**NODE, **changes}))


def moment_of(pack: Pack | None = None, drive: bool = False, **changes: Any) -> Moment:
    """What the BMS says after one step: contactors open, or on the road."""
    pack = pack or small_pack()
    state = closed(pack) if drive else bms.start(pack)
    time_s = state.time_s + 0.1 if drive else 0.0
    if drive:
        changes = {"drive_request": 1.0, "contactor": state.control.contactor.copy(), "link_V": 18.5} | changes
    frame = calm(pack, time_s, **changes)
    state, output = bms.step(pack, state, frame)
    return Moment(pack, frame, state, output)


def claimed(settings: Settings, moment: Moment) -> Node:
    """A node that has had its address for a while; the time is 1 s."""
    node, _ = start(settings, 0.0)
    node, _ = speak(node, settings, moment, 1.0)
    return node


def spoken_over(
    node: Node, settings: Settings, seconds: float, moment: Callable[[float], Moment] | Moment, dt_s: float = 0.01
) -> tuple[Node, list[tuple[float, CanFrame]]]:
    """What a node says from 1 s on, each frame with its time."""
    said = []
    for k in range(1, round(seconds / dt_s) + 1):
        time_s = 1.0 + k * dt_s
        now = moment if isinstance(moment, Moment) else moment(time_s)
        node, frames = speak(node, settings, now, time_s)
        said += [(time_s, frame) for frame in frames]
    return node, said


def read(frames: Iterable[CanFrame]) -> dict[str, Content]:
    """What frames say, by the name of their message; the last of each counts."""
    found = {}
    for frame in frames:
        layout = layouts().get(split(frame.can_id).pgn)
        if layout is not None:
            found[layout.name] = decode(layout, frame.data)
    return found


def layout_of(frame: CanFrame) -> Layout | None:
    return layouts().get(split(frame.can_id).pgn)
