"""The mapping file: which column of a log is what, in which unit and with which sign.

A file's value becomes ours by `(value * factor + offset)` in the file's unit, then into ours. `invalid` lists codes
exactly as they stand in the file; `valid` is a range in our own unit. What falls outside becomes NaN and is counted.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from packhorse.pack.description import Described, must
from packhorse.pack.words import Pack

MAX_COLUMNS = 20_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
UNITS: dict[str, tuple[float, float]] = {
    "V": (1.0, 0.0),
    "mV": (1e-3, 0.0),
    "A": (1.0, 0.0),
    "mA": (1e-3, 0.0),
    "degC": (1.0, 0.0),
    "K": (1.0, -273.15),
    "ohm": (1.0, 0.0),
    "kohm": (1e3, 0.0),
    "Mohm": (1e6, 0.0),
    "fraction": (1.0, 0.0),
    "percent": (1e-2, 0.0),
    "km": (1.0, 0.0),
    "m": (1e-3, 0.0),
    "s": (1.0, 0.0),
    "ms": (1e-3, 0.0),
    "1": (1.0, 0.0),
}
"""Unit of the file: factor and shift into our own."""


def expand(pattern: str) -> list[str]:
    """Column names of a pattern: `V_{1..3}` is V_1, V_2, V_3; `{01..96}` keeps its zeros; several ranges nest."""
    parts = _RANGE.split(pattern)
    if "{" in "".join(parts[0::3]) or "}" in "".join(parts[0::3]):
        raise ValueError(f"{pattern}: not a range; write it as V_{{1..96}}")
    choices: list[list[str]] = [[parts[0]]]
    size = 1
    for first, last, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        must(
            len(first) < 10 and len(last) < 10 and int(first) <= int(last),
            f"{pattern}: the range {first}..{last} runs backwards or too far; write the smaller number first",
        )
        size *= int(last) - int(first) + 1
        must(size <= MAX_COLUMNS, f"{pattern}: more than {MAX_COLUMNS} columns; check the range")
        width = len(first) if first.startswith("0") or len(first) == len(last) else 0
        choices += [[str(n).zfill(width) for n in range(int(first), int(last) + 1)], [rest]]
    return ["".join(name) for name in itertools.product(*choices)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _expanded(patterns: list[str]) -> list[str]:
    return [name for pattern in patterns for name in expand(pattern)]


Columns = Annotated[
    list[str],
    Field(min_length=1, validation_alias=AliasChoices("columns", "column")),
    BeforeValidator(_listed),
]


class Reading(Described):
    """Columns that hold one kind of reading."""

    columns: Columns
    unit: str = "1"
    factor: float = 1.0
    offset: float = 0.0
    valid: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    invalid: list[float] = Field(default_factory=list)
    default_valid: ClassVar[tuple[float, float] | None] = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _expanded(self.columns)
        must(self.factor != 0.0, "factor is 0; every reading would be lost")
        must(self.valid is None or self.valid[0] < self.valid[1], "valid must be [low, high] with low < high")
        return self

    @property
    def names(self) -> list[str]:
        """Every column, in order."""
        return _expanded(self.columns)

    @property
    def believed(self) -> tuple[float, float] | None:
        """Range outside which a reading is none, in our own unit."""
        return self.default_valid if self.valid is None else (self.valid[0], self.valid[1])


class Time(Described):
    """The clock of the log."""

    columns: Columns
    unit: Literal["datetime", "s", "ms"]

    @model_validator(mode="after")
    def _one(self) -> Self:
        must(len(self.columns) == 1, "the time is one column")
        return self


class Current(Reading):
    """Current of each string."""

    unit: Literal["A", "mA"]
    positive: Literal["discharge", "charge"]
    default_valid = (-10_000.0, 10_000.0)


class Voltage(Reading):
    """Voltage of a string or of the link."""

    unit: Literal["V", "mV"]


class CellVoltage(Voltage):
    """Voltage of each cell; by default readings that no cell can have are refused (0xFFFF as 65.535 V)."""

    default_valid = (-1.0, 10.0)


class Temperature(Reading):
    """Temperatures; by default readings that no probe can give are refused (0xFF as 215 degC)."""

    unit: Literal["degC", "K"]
    default_valid = (-60.0, 200.0)


class Isolation(Reading):
    """Resistance between high voltage and chassis."""

    unit: Literal["ohm", "kohm", "Mohm"]


class SocReference(Reading):
    """The vehicle's own SOC, drawn beside ours and never used."""

    unit: Literal["fraction", "percent"]
    default_valid = (0.0, 1.0)


class Odometer(Reading):
    """Distance driven since the vehicle was built."""

    unit: Literal["km", "m"]


class Flag(Reading):
    """1 yes, 0 no."""

    unit: Literal["1"] = "1"


class Age(Reading):
    """How old cell voltages, temperatures and current of each string are."""

    unit: Literal["s", "ms"]


class Mapping(Described):
    """A whole mapping file. Columns of strings follow each other: string 1 first, then string 2."""

    time: Time
    current: Current
    cell_voltage: CellVoltage
    probe_temperature: Temperature | None = None
    string_voltage: Voltage | None = None
    link_voltage: Voltage | None = None
    isolation: Isolation | None = None
    hvil: Flag | None = None
    inlet_temperature: Temperature | None = None
    outlet_temperature: Temperature | None = None
    ambient_temperature: Temperature | None = None
    contactor_feedback: Flag | None = None
    age: Age | None = None
    drive_request: Flag | None = None
    charge_request: Flag | None = None
    reset_request: Flag | None = None
    soc_reference: SocReference | None = None
    odometer: Odometer | None = None

    def readings(self) -> dict[str, Reading]:
        """Every mapped reading but the time, by its section's name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: reading for name, reading in found.items() if isinstance(reading, Reading)}


OWN: dict[str, tuple[str, str]] = {
    "current": ("string_A", "A"),
    "cell_voltage": ("cell_V", "V"),
    "probe_temperature": ("probe_degC", "degC"),
    "string_voltage": ("string_V", "V"),
    "contactor_feedback": ("contactor", "1"),
    "age": ("age_s", "s"),
    "link_voltage": ("link_V", "V"),
    "isolation": ("isolation_ohm", "ohm"),
    "hvil": ("hvil", "1"),
    "inlet_temperature": ("inlet_degC", "degC"),
    "outlet_temperature": ("outlet_degC", "degC"),
    "ambient_temperature": ("ambient_degC", "degC"),
    "drive_request": ("drive_request", "1"),
    "charge_request": ("charge_request", "1"),
    "reset_request": ("reset_request", "1"),
}
"""Sections whose columns are recognised by their names in `Frames`, with our unit."""
ALSO = {"string_A": ("current_A",), "probe_degC": ("cell_degC",)}
"""Other names for the same."""


def per_string(name: str, pack: Pack) -> int:
    """How many columns a section has for each string; 0 where it has one for the whole pack."""
    widths = {
        "cell_voltage": pack.series,
        "probe_temperature": pack.probes,
        "current": 1,
        "string_voltage": 1,
        "contactor_feedback": 3,
        "age": 3,
    }
    return widths.get(name, 0)


def own_patterns(field: str, width: int, strings: int) -> list[str]:
    """How a field may be spelled in a log of ours, most explicit first."""
    if width == 0:
        return [field]
    inner = "" if width == 1 else f"_{{1..{width}}}"
    spelled = [f"{field}_{{1..{strings}}}_{{1..{width}}}", f"{field}_{{1..{strings}}}{inner}"]
    return [*spelled, f"{field}{inner}"] if strings == 1 else spelled


def own(columns: Sequence[str], pack: Pack) -> Mapping | None:
    """The mapping of a log in our own names; None where time, current or cell voltages are not there."""
    have = set(columns)
    found: dict[str, object] = {}
    for section, (field, unit) in OWN.items():
        width = per_string(section, pack)
        spelled = [p for name in (field, *ALSO.get(field, ())) for p in own_patterns(name, width, pack.strings)]
        pattern = next((p for p in spelled if have.issuperset(expand(p))), None)
        if pattern is not None:
            found[section] = {"columns": pattern, "unit": unit}
            if section == "current":
                found[section] = {"columns": pattern, "unit": unit, "positive": "discharge"}
    if "time_s" not in have or "current" not in found or "cell_voltage" not in found:
        return None
    if "soc_reference" in have:
        found["soc_reference"] = {"columns": "soc_reference", "unit": "fraction"}
    return Mapping.model_validate({"time": {"columns": "time_s", "unit": "s"}, **found})


def nearest(name: str, columns: Sequence[str]) -> str:
    """What to say after a missing column: the nearest names, or the first of those there are."""
    close = difflib.get_close_matches(name, columns, n=3, cutoff=0.5)
    folded = {column.casefold(): column for column in columns}
    if not close and name.casefold() in folded:
        close = [folded[name.casefold()]]
    if close:
        return f"nearest: {', '.join(close)}"
    shown = ", ".join(columns[:6])
    return f"the file has {shown}{' ...' if len(columns) > 6 else ''}"
