"""A campaign: what a laboratory measured of one kind of cell, and how estimates are scored against it, as data.

A TOML file names the files, what their columns are, how the truth is made, which files an identification may see,
which are scored and what bar each group is held against. Globs are matched inside the campaign's folder.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from packhorse.io.errors import ReadError
from packhorse.pack.description import Celsius, Described, must
from packhorse.pack.load import ConfigurationError, read

HERE = Path(__file__).parent / "campaigns"
Text = Annotated[str, Field(min_length=1)]
Globs = list[Text]
Points = Annotated[float, Field(gt=0, le=100)]
AmpereHours = Annotated[float, Field(gt=0, le=1_000)]
SetName = Literal["bar", "benchmark", "robust"]


class Columns(Described):
    """What the columns of a file are called, which sign its current has, and factors to s, A, V."""

    time_s: Text
    current_A: Text
    cell_V: Text
    cell_degC: Text | None = None
    positive: Literal["charge", "discharge"]
    time_factor: Annotated[float, Field(gt=0)] = 1.0
    current_factor: Annotated[float, Field(gt=0)] = 1.0
    voltage_factor: Annotated[float, Field(gt=0)] = 1.0
    counter_Ah: Text | None = None
    measured: Text | None = None


class Temperature(Described):
    """The temperature that a file was measured at: one number, or a pattern over its name with groups sign, degC."""

    degC: Celsius | None = None
    in_name: Text | None = None
    minus: list[Text] = Field(default_factory=lambda: ["n", "N"])

    @model_validator(mode="after")
    def _one(self) -> Self:
        must((self.degC is None) != (self.in_name is None), "give either degC or in_name")
        if self.in_name is not None:
            try:
                groups = re.compile(self.in_name).groupindex
            except re.error as error:
                raise ValueError(f"in_name is no regular expression ({error}); correct it") from error
            must({"sign", "degC"} <= set(groups), "in_name needs the groups (?P<sign>...) and (?P<degC>...)")
        return self

    def of(self, name: str) -> float:
        """The temperature of a file [degC]. Raises ReadError where its name does not say it."""
        if self.in_name is None:
            return float(self.degC or 0.0)
        found = re.search(self.in_name, name)
        if found is None:
            raise ReadError(f"{name}: its name says no temperature; correct temperature.in_name ({self.in_name!r})")
        size = float(found["degC"])
        return -size if found["sign"] in self.minus else size


class CapacityAt(Described):
    """A capacity at a temperature."""

    degC: Celsius
    Ah: AmpereHours


class TesterCharge(Described):
    """SOC = 1 + counter / capacity, the capacity of the slow test at that temperature."""

    kind: Literal["tester_charge"]
    capacity: list[CapacityAt] = Field(min_length=1)


class Rested(Described):
    """SOC = 1 + counter / capacity; the capacity is what a named log took out, over the SOC that its rest shows.

    `logs` are full discharges in steps that end in a rest, one per temperature; `ocv` is a slow discharge and charge
    whose mean gives the SOC of that rest.
    """

    kind: Literal["rested"]
    logs: Globs = Field(min_length=1)
    ocv: Text


class Scripts(Described):
    """Plett's three scripts: which counters they have, how their files are called, and which set is at 25 degC."""

    kind: Literal["scripts"]
    charged_Ah: Text
    discharged_Ah: Text
    suffixes: Annotated[list[Text], Field(min_length=3, max_length=3)]
    at_25_degC: Text


class ReferenceColumn(Described):
    """The SOC stands in the file."""

    kind: Literal["reference_column"]
    column: Text


class Bar(Described):
    """What is allowed in one case, in points of SOC and seconds."""

    rmse_points: Points | None = None
    max_points: Points | None = None
    within_s: Annotated[float, Field(gt=0)] | None = None


class Group(Described):
    """Logs that are judged together, mostly those of one temperature."""

    name: Text
    files: Globs = Field(min_length=1)
    bar: Text | None = None
    remaining: bool = False


class Split(Described):
    """What the identification may see and what is scored then."""

    name: Text
    ocv: Globs = Field(default_factory=list)
    curve: Globs = Field(default_factory=list)
    pulse: Globs = Field(default_factory=list)
    capacity: Globs = Field(default_factory=list)
    drive: Globs = Field(default_factory=list)
    sets: list[SetName] = ["bar"]  # noqa: RUF012 - pydantic copies it
    benchmark_part: Literal["clean", "temperature", "unseen cell"] | None = None
    group: list[Group] = Field(min_length=1)


class Curve(Described):
    """An OCV given as a curve instead of a log: columns, and the factor that makes its SOC a fraction."""

    soc: Text
    charge_V: Text
    discharge_V: Text
    soc_factor: Annotated[float, Field(gt=0)] = 1.0


class Campaign(Described):
    """One family of data."""

    family: Text
    name: Text
    sources: list[Text] = Field(min_length=1)
    folder: Text
    chemistry: Literal["lfp", "nmc", "nca"]
    nominal_Ah: AmpereHours
    settle_s: Annotated[float, Field(ge=0, le=86_400)]
    offsets_per_h: list[Annotated[float, Field(gt=0)]] = Field(min_length=1)
    truth_quality: Text
    label_points: Annotated[float, Field(ge=0, le=100)] = 0.0
    columns: Columns
    temperature: Temperature
    join: list[Text] = Field(default_factory=list)
    join_degC: list[Celsius | Literal["own"]] = Field(default_factory=list)
    ocv_curve: Curve | None = None
    truth: Annotated[TesterCharge | Rested | Scripts | ReferenceColumn, Field(discriminator="kind")]
    bars: dict[str, dict[str, Bar]] = Field(default_factory=dict)
    split: list[Split] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for split in self.split:
            for group in split.group:
                must(
                    group.bar is None or group.bar in self.bars,
                    f"group {group.name!r} of split {split.name!r} names bar {group.bar!r}; "
                    f"known: {', '.join(self.bars) or 'none'}",
                )
            must(not split.curve or self.ocv_curve is not None, "curve files need [ocv_curve] to say their columns")
        must(len(self.join) == len(self.join_degC), "join and join_degC need one entry each per part")
        counted = self.truth.kind in ("tester_charge", "rested")
        must(not counted or self.columns.counter_Ah is not None, "this truth needs columns.counter_Ah")
        return self


def load(name: str) -> Campaign:
    """A campaign that ships with Packhorse, by name, or a file of the user's. Raises ConfigurationError."""
    path = Path(name) if name.endswith(".toml") else HERE / f"{name}.toml"
    if not path.is_file():
        raise ConfigurationError(f"{name}: no such campaign; known: {', '.join(shipped())}; or give a .toml file")
    return read(path, Campaign)


def shipped() -> list[str]:
    """Names of the campaigns that ship with Packhorse."""
    return sorted(path.stem for path in HERE.glob("*.toml"))


def matched(folder: Path, globs: list[str]) -> list[Path]:
    """Files of a folder by their globs, sorted, each once. Raises ReadError where a glob finds nothing."""
    if not folder.is_dir():
        raise ReadError(f"{folder}: no such folder; give the folder that holds the campaign's data")
    found: dict[Path, None] = {}
    for glob in globs:
        some = sorted(folder.glob(glob))
        if not some:
            raise ReadError(f"{folder / glob}: no file of that name; correct the campaign or add the file")
        found |= dict.fromkeys(some)
    return list(found)
