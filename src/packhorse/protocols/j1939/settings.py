"""How our battery is a node on this truck's bus: address, NAME, signs of currents, codes of states.

What the standard leaves open, or no public source tells, is declared here and never guessed.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Literal, NamedTuple

from pydantic import Field, model_validator

from packhorse.pack.description import Described, must
from packhorse.protocols.j1939.diagnostics import FIRST_OWN_SPN, LAST_OWN_SPN
from packhorse.protocols.j1939.hvess import PACKS
from packhorse.protocols.j1939.name import Name, name_number

NOT_SENT = -1
FOUR_BITS = {"disconnect_forewarning", "connection_status", "operational_status", "soc_status"}
"""Enumerations with room for more than two states."""
MODULE_STATUS = "module_status"
"""The enumeration of two bits for which none is assumed: its message is sent where the node file gives it codes."""
OWN_SPNS = 64
"""How many SPNs of our own may follow the first."""


class NameFile(Described):
    """What the NAME of the node says; the manufacturer's code is given by SAE."""

    identity: int = Field(ge=0, le=(1 << 21) - 1)
    manufacturer: int = Field(ge=0, le=(1 << 11) - 1)
    ecu_instance: int = Field(default=0, ge=0, le=7)
    function_instance: int = Field(default=0, ge=0, le=31)
    function: int = Field(default=0, ge=0, le=255)
    vehicle_system: int = Field(default=0, ge=0, le=127)
    vehicle_system_instance: int = Field(default=0, ge=0, le=15)
    industry_group: int = Field(default=0, ge=0, le=7)
    may_move: bool = True


class NodeFile(Described):
    """A node file as written."""

    name: NameFile
    address: int = Field(default=243, ge=0, le=253)
    positive_current: Literal["discharges", "charges"]
    limits: Literal["signed like the current", "magnitudes"]
    current_layout: Literal["offset", "signed"] = "offset"
    pitch: Literal["nose up", "nose down"] = "nose up"
    controller: int | None = Field(default=None, ge=0, le=253)
    consent_needed: bool = False
    silence_s: float = Field(default=0.5, gt=0, le=60)
    may_clear: bool = True
    packs: bool = True
    first_pack: int = Field(default=1, ge=1, le=PACKS)
    cells_per_module: int | None = Field(default=None, ge=1, le=250)
    first_own_spn: int = Field(default=FIRST_OWN_SPN, ge=FIRST_OWN_SPN, le=LAST_OWN_SPN - OWN_SPNS)
    codes: dict[str, dict[str, int]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_codes(self) -> NodeFile:
        for kind, states in self.codes.items():
            known = usual_codes().get(kind)
            must(known is not None, f"codes.{kind}: no such enumeration; known: {', '.join(usual_codes())}")
            for state, code in states.items():
                must(state in (known or {}), f"codes.{kind}.{state}: no such state; known: {', '.join(known or {})}")
                most = 13 if kind in FOUR_BITS else 1
                must(0 <= code <= most, f"codes.{kind}.{state}: found {code}; give 0 to {most}")
        return self


class Settings(NamedTuple):
    """A node file as it is computed with; signs are +1 where the bus has that of ours."""

    name: int
    address: int
    current_sign: float
    discharge_limit_sign: float
    charge_limit_sign: float
    current_is_signed: bool
    pitch_sign: float
    controller: int | None  # whose HVESSC1 is obeyed; None: anybody's
    consent_needed: bool
    silence_s: float
    may_clear: bool
    packs: bool
    first_pack: int
    cells_per_module: int | None
    first_own_spn: int
    codes: Mapping[str, Mapping[str, int]]


def compile_node(file: NodeFile) -> Settings:
    """The settings that a node file describes."""
    sign = 1.0 if file.positive_current == "discharges" else -1.0
    signed = file.limits == "signed like the current"
    return Settings(
        name=name_number(Name(**{**file.name.model_dump(), "reserved": 0, "may_move": int(file.name.may_move)})),
        address=file.address,
        current_sign=sign,
        discharge_limit_sign=sign if signed else 1.0,
        charge_limit_sign=-sign if signed else 1.0,
        current_is_signed=file.current_layout == "signed",
        pitch_sign=1.0 if file.pitch == "nose up" else -1.0,
        controller=file.controller,
        consent_needed=file.consent_needed,
        silence_s=file.silence_s,
        may_clear=file.may_clear,
        packs=file.packs,
        first_pack=file.first_pack,
        cells_per_module=file.cells_per_module,
        first_own_spn=file.first_own_spn,
        codes={kind: {**states, **file.codes.get(kind, {})} for kind, states in usual_codes().items()},
    )


@functools.cache
def usual_codes() -> Mapping[str, Mapping[str, int]]:
    """Codes of states as they are without a node file; `NOT_SENT` where there is none."""
    table = tomllib.loads(resources.files(__package__).joinpath("codes.toml").read_text(encoding="utf-8"))
    return {
        kind: {state: NOT_SENT if code == "" else code for state, code in states.items()}
        for kind, states in table.items()
    }
