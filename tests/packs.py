"""A small pack and calm frames for tests of the core: figures are round, not those of any real cell."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np

from packhorse import bms
from packhorse.pack.compile import compile_pack
from packhorse.pack.description import CellFile, PackFile
from packhorse.pack.words import Frame, Frames, Output, Pack, State

CELL: dict[str, Any] = {
    "name": "test cell",
    "chemistry": "nmc",
    "sources": ["assumed"],
    "capacity_Ah": 100.0,
    "min_V": 2.8,
    "max_V": 4.2,
    "nominal_V": 3.7,
    "mass_kg": 1.5,
    "heat_capacity_J_per_kgK": 1000.0,
    "min_charge_degC": 0.0,
    "max_charge_degC": 50.0,
    "min_discharge_degC": -20.0,
    "max_discharge_degC": 60.0,
    "ocv": {"soc": [0, 0.1, 0.5, 0.9, 1], "ocv_V": [3.0, 3.45, 3.7, 4.05, 4.18]},
    "resistance": {
        "degC": [-10, 25],
        "soc": [0, 1],
        "r0_ohm": [[2e-3] * 2, [1e-3] * 2],
        "r1_ohm": [[1e-3] * 2, [0.5e-3] * 2],
        "r2_ohm": [[1e-3] * 2, [0.5e-3] * 2],
        "rc1_s": [20, 10],
        "rc2_s": [400, 200],
    },
    "over_temperature": {
        "degC": [-20, 25],
        "capacity_share": [0.8, 1],
        "discharge_A": [100, 200],
        "charge_A": [0, 100],
        "discharge_10s_A": [200, 300],
        "charge_10s_A": [10, 200],
    },
}


def small_pack(strings: int = 2, series: int = 5, **changes: Any) -> Pack:
    """A pack of the test cell; keywords replace parts of its description."""
    raw = {"name": "test pack", "cell": "test", "strings": strings, "series": series, "probes": 2, **changes}
    return compile_pack(PackFile.model_validate(raw), CellFile.model_validate(CELL))


def calm(pack: Pack, time_s: float = 0.0, **changes: Any) -> Frame:
    """A frame in which nothing is wrong: half full, at rest, warm, nothing requested, contactors open."""
    cell_V = np.full((pack.strings, pack.series), 3.7)
    frame = Frame(
        time_s=time_s,
        cell_V=cell_V,
        probe_degC=np.full((pack.strings, pack.probes), 25.0),
        string_A=np.zeros(pack.strings),
        string_V=cell_V.sum(axis=1),
        age_s=np.zeros((pack.strings, 3)),
        contactor=np.zeros((pack.strings, 3)),
        link_V=0.0,
        isolation_ohm=5e6,
        hvil=1.0,
        inlet_degC=25.0,
        outlet_degC=25.0,
        ambient_degC=25.0,
        drive_request=0.0,
        charge_request=0.0,
        reset_request=0.0,
    )
    return frame._replace(**changes)


def obeyed(frame: Frame, output: Output) -> Frame:
    """The frame as it would be heard if contactors and link had followed the last command."""
    contactor = output.command.contactor
    joined = contactor[:, 0] * (contactor[:, 1] + contactor[:, 2]) > 0
    link_V = float(frame.string_V[joined].max()) if joined.any() else 0.0
    return frame._replace(contactor=contactor.copy(), link_V=link_V)


def drive_on(pack: Pack, state: State, frame: Frame, seconds: float, dt_s: float = 0.1) -> tuple[State, list[Output]]:
    """Hear the same frame for some time, obeying contactor commands; the clock goes on from the state's."""
    outputs: list[Output] = []
    start_s = 0.0 if math.isnan(state.time_s) else state.time_s
    for k in range(1, max(1, round(seconds / dt_s)) + 1):
        heard = frame._replace(time_s=start_s + k * dt_s)
        if outputs:
            heard = obeyed(heard, outputs[-1])._replace(
                **{name: getattr(frame, name) for name in ("contactor", "link_V") if _fixed(frame, name)}
            )
        else:
            heard = heard._replace(contactor=state.control.contactor.copy())
        state, output = bms.step(pack, state, heard)
        outputs.append(output)
    return state, outputs


def _fixed(frame: Frame, name: str) -> bool:
    """Whether a test has set this reading to something that must stay: NaN or negative."""
    return bool(np.any(np.isnan(getattr(frame, name))))


def closed(pack: Pack) -> State:
    """A BMS that has driven off: all strings on the link."""
    frame = calm(pack, drive_request=1.0)
    state, outputs = drive_on(pack, bms.start(pack), frame, 6.0)
    assert outputs[-1].command.contactor[:, 1].all()
    return state


def stacked(frames: list[Frame]) -> Frames:
    """Single frames as one block."""
    return Frames(*(np.ascontiguousarray(np.stack([np.asarray(f[i], float) for f in frames])) for i in range(16)))


def toml(raw: dict[str, Any]) -> str:
    """A description as the text of a TOML file: plain keys first, then tables."""
    tables = {key: value for key, value in raw.items() if isinstance(value, dict)}
    lines = _lines({key: value for key, value in raw.items() if key not in tables})
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]", *_lines(table)]
    return "\n".join(lines) + "\n"


def _lines(table: dict[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _text(key)


def _text(text: str) -> str:
    return json.dumps(text).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(_lines(value))}}}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)
