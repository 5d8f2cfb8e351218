"""What a cell file and a pack file may say, with ranges and the remedy when they say something else.

Validation is strict: unknown keys are refused, and ranges are tight enough to notice milli-units written as units.
Everything assumed rather than sourced is a setting here, with its default.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]
Celsius = Annotated[float, Field(ge=-60, le=120)]
CellVolt = Annotated[float, Field(ge=0.5, le=5.0)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
GroupOhm = Annotated[float, Field(gt=0, le=10.0)]
Ampere = Annotated[float, Field(ge=0, le=5_000)]
HalfWidth = Annotated[float, Field(ge=0, le=0.3)]
ModelVolt = Annotated[float, Field(gt=0, le=0.5)]

LEAST_WH_PER_KG, MOST_WH_PER_KG = 20.0, 600.0
MOST_DROP_V = 1.0
MOST_RATE_PER_H = 100.0
MOST_OHM_AH = 10.0
"""No cell is beyond these; figures that are were given in another unit."""


class Described(BaseModel):
    """A part of a file: unknown keys, NaN, infinity and text in place of numbers refused, frozen after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


def rising(values: list[float], step: float = 1e-6) -> bool:
    """Whether every value is larger than the one before, by at least a step that arithmetic can see."""
    return all(a + step <= b for a, b in pairwise(values))


def must(condition: bool, message: str) -> None:
    """Refuse a description with a message that says what was found and what to do."""
    if not condition:
        raise ValueError(message)


def as_rows(table: object) -> object:
    """A table over temperature as rows; a plain list is one row."""
    return [table] if isinstance(table, list) and table and not isinstance(table[0], list) else table


CellVoltRows = Annotated[list[list[CellVolt]], Field(min_length=1), BeforeValidator(as_rows)]
HalfWidthRows = Annotated[list[list[HalfWidth]], Field(min_length=1), BeforeValidator(as_rows)]


class Ocv(Described):
    """Open-circuit voltage over SOC, at 25 degC or in rows over temperature, with hysteresis half-width and entropy.

    Between temperatures it is linear; beyond them the nearest row is shifted by the entropy coefficient.
    """

    degC: list[Celsius] = Field(default=[25.0], min_length=1)
    soc: list[Fraction] = Field(min_length=3)
    ocv_V: CellVoltRows
    hysteresis_V: HalfWidthRows | None = None
    entropy_V_per_K: list[Annotated[float, Field(ge=-0.005, le=0.005)]] | None = None
    hysteresis_rate: Annotated[float, Field(ge=0, le=500)] = 50.0

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        must(rising(self.degC), "degC must rise from row to row")
        must(rising(self.soc), "soc must rise from point to point; sort the rows and drop doubles")
        must(
            self.soc[0] == 0.0 and self.soc[-1] == 1.0,
            f"soc runs {self.soc[0]:g} to {self.soc[-1]:g}; it must start at 0 and end at 1",
        )
        for name, rows in (("ocv_V", self.ocv_V), ("hysteresis_V", self.hysteresis_rows())):
            must(
                len(rows) in {1, len(self.degC)},
                f"{name} has {len(rows)} rows for {len(self.degC)} temperatures (degC); give one for each",
            )
            for row in rows:
                must(
                    len(row) == len(self.soc),
                    f"{name} has {len(row)} values for {len(self.soc)} soc points; give one for each",
                )
        entropy = self.entropy_V_per_K
        must(
            entropy is None or len(entropy) == len(self.soc),
            f"entropy_V_per_K has {len(entropy or [])} values for {len(self.soc)} soc points; give one for each",
        )
        for row in self.ocv_V:
            for soc, low, high in zip(self.soc[1:], row, row[1:], strict=False):
                must(
                    high > low,
                    f"ocv_V falls or stands still at soc {soc:g} ({low:g} to {high:g} V); OCV must rise with SOC",
                )
        return self

    def hysteresis_rows(self) -> list[list[float]]:
        """Half-width of the hysteresis as rows over temperature; zero where none is given."""
        return self.hysteresis_V or [[0.0] * len(self.soc)]


class ModelError(Described):
    """How wrong the cell model is (one sigma), as identification measured it or as assumed.

    `sigma_V` is the part that lasts, over temperature (rows) and SOC; it keeps its value for about `slow_s` and over
    about `slow_soc`, but for its `standing_share`, which is the same always and everywhere. What changes faster is
    `fast_sigma_V`, of which a new one comes every `fast_s`.
    """

    degC: list[Celsius] = Field(default=[25.0], min_length=1)
    soc: list[Fraction] = Field(default=[0.0, 1.0], min_length=2)
    sigma_V: list[list[ModelVolt]] | None = None
    fast_sigma_V: ModelVolt | None = None
    fast_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    slow_s: Seconds = 14_400.0
    slow_soc: Annotated[float, Field(gt=0, le=1)] = 0.5
    standing_share: Annotated[float, Field(ge=0, le=1)] | None = None
    fast_s: Seconds = 20.0

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        must(rising(self.degC), "degC must rise from row to row")
        must(rising(self.soc), "soc must rise from column to column")
        table = self.sigma_V
        must(
            table is None or (len(table) == len(self.degC) and all(len(row) == len(self.soc) for row in table)),
            f"sigma_V must have {len(self.degC)} rows (degC) of {len(self.soc)} values (soc)",
        )
        return self


class Resistance(Described):
    """R0 and two RC pairs over temperature (rows) and SOC (columns); resistances in ohm of one cell."""

    degC: list[Celsius] = Field(min_length=1)
    soc: list[Fraction] = Field(min_length=1)
    r0_ohm: list[list[GroupOhm]]
    r1_ohm: list[list[GroupOhm]]
    r2_ohm: list[list[GroupOhm]]
    rc1_s: list[Seconds]
    rc2_s: list[Seconds]

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        must(rising(self.degC), "degC must rise from row to row")
        must(rising(self.soc), "soc must rise from column to column")
        for name in ("r0_ohm", "r1_ohm", "r2_ohm"):
            table = getattr(self, name)
            shape_ok = len(table) == len(self.degC) and all(len(row) == len(self.soc) for row in table)
            must(shape_ok, f"{name} must have {len(self.degC)} rows (degC) of {len(self.soc)} values (soc)")
        for name in ("rc1_s", "rc2_s"):
            must(len(getattr(self, name)) == len(self.degC), f"{name} must have one value per degC ({len(self.degC)})")
        return self


class OverTemperature(Described):
    """Capacity and current ratings over temperature, of one cell. Currents are magnitudes."""

    degC: list[Celsius] = Field(min_length=2)
    capacity_share: list[Annotated[float, Field(gt=0, le=1.2)]]
    discharge_A: list[Ampere]
    charge_A: list[Ampere]
    discharge_10s_A: list[Ampere]
    charge_10s_A: list[Ampere]

    @model_validator(mode="after")
    def _shapes(self) -> Self:
        must(rising(self.degC), "degC must rise from point to point")
        for name in ("capacity_share", "discharge_A", "charge_A", "discharge_10s_A", "charge_10s_A"):
            must(
                len(getattr(self, name)) == len(self.degC),
                f"{name} has {len(getattr(self, name))} values for {len(self.degC)} temperatures; give one for each",
            )
        return self


class CellFile(Described):
    """One cell as its maker and its measurements describe it."""

    name: str = Field(min_length=1)
    chemistry: Literal["lfp", "nmc", "nca"]
    sources: list[str] = Field(min_length=1)
    capacity_Ah: Annotated[float, Field(ge=0.1, le=1_000)]
    min_V: CellVolt
    max_V: CellVolt
    nominal_V: CellVolt
    mass_kg: Annotated[float, Field(gt=0, le=20)]
    heat_capacity_J_per_kgK: Annotated[float, Field(ge=500, le=2_000)]
    min_charge_degC: Celsius
    max_charge_degC: Celsius
    min_discharge_degC: Celsius
    max_discharge_degC: Celsius
    coulombic_efficiency: Annotated[float, Field(gt=0.9, le=1.0)] = 1.0
    self_discharge_per_month: Annotated[float, Field(ge=0, le=0.2)] = 0.02
    model_sigma_V: Annotated[float, Field(gt=0, le=0.1)] = 0.01
    resistance_sigma: Annotated[float, Field(gt=0, le=1)] = 0.15
    capacity_sigma: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    core_K_per_W: Annotated[float, Field(ge=0, le=50)] | None = None
    ocv: Ocv
    resistance: Resistance
    over_temperature: OverTemperature
    model_error: ModelError = ModelError()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        must(
            self.min_V < self.nominal_V < self.max_V,
            f"min_V < nominal_V < max_V is needed, found {self.min_V:g}, {self.nominal_V:g}, {self.max_V:g}",
        )
        lowest_V, highest_V = (pick(row[end] for row in self.ocv.ocv_V) for pick, end in ((min, 0), (max, -1)))
        must(
            highest_V <= self.max_V + 0.05 and lowest_V >= self.min_V - 0.3,
            f"ocv_V runs {lowest_V:g} to {highest_V:g} V, outside min_V..max_V "
            f"({self.min_V:g}..{self.max_V:g}); check the units (V, not mV) and the limits",
        )
        energy_Wh_per_kg = self.capacity_Ah * self.nominal_V / self.mass_kg
        must(
            LEAST_WH_PER_KG <= energy_Wh_per_kg <= MOST_WH_PER_KG,
            f"capacity_Ah {self.capacity_Ah:g} and mass_kg {self.mass_kg:g} give {energy_Wh_per_kg:.4g} Wh/kg; cells "
            f"have {LEAST_WH_PER_KG:g} to {MOST_WH_PER_KG:g}; check the units (Ah, not mAh; kg, not g)",
        )
        for name in ("r0_ohm", "r1_ohm", "r2_ohm"):
            least_ohm = min(map(min, getattr(self.resistance, name)))
            drop_V = self.capacity_Ah * least_ohm
            must(
                drop_V <= MOST_DROP_V,
                f"resistance.{name} is {least_ohm:g} ohm even where it is least, which takes {drop_V:.3g} V at "
                f"{self.capacity_Ah:g} A; check the unit (ohm, not mohm)",
            )
        for name in ("r0_ohm", "r1_ohm", "r2_ohm"):
            most_ohm = max(map(max, getattr(self.resistance, name)))
            must(
                most_ohm * self.capacity_Ah <= MOST_OHM_AH,
                f"resistance.{name} reaches {most_ohm:g} ohm in a cell of {self.capacity_Ah:g} Ah; "
                f"check the unit (ohm, not mohm)",
            )
        for name in ("discharge_A", "charge_A", "discharge_10s_A", "charge_10s_A"):
            most_A = max(getattr(self.over_temperature, name))
            must(
                most_A <= MOST_RATE_PER_H * self.capacity_Ah,
                f"over_temperature.{name} reaches {most_A:g} A in a cell of {self.capacity_Ah:g} Ah; "
                f"check the unit (A, not mA)",
            )
        for use in ("charge", "discharge"):
            low, high = getattr(self, f"min_{use}_degC"), getattr(self, f"max_{use}_degC")
            must(low < high, f"min_{use}_degC must be below max_{use}_degC, found {low:g} and {high:g}")
        return self


class SensorsPart(Described):
    """Measurement quality and patience. Defaults: assumed, typical of automotive boards."""

    cell_sigma_V: Annotated[float, Field(gt=0, le=0.1)] = 0.002
    current_sigma_A: Annotated[float, Field(gt=0, le=50)] = 0.5
    current_offset_A: Annotated[float, Field(ge=0, le=50)] = 0.3
    current_gain: Annotated[float, Field(ge=0, le=0.1)] = 0.005
    correlation_s: Seconds = 60.0
    patience_s: Seconds = 2.0


class FittedPart(Described):
    """Which sensors the vehicle has at all; one that is not fitted is never reported missing."""

    string_voltage: bool = True
    link_voltage: bool = True
    isolation: bool = True
    hvil: bool = True
    contactor_feedback: bool = True


class ContactorsPart(Described):
    """Precharge, joining and opening. Defaults: assumed."""

    precharge_s: Seconds = 3.0
    precharge_share: Annotated[float, Field(gt=0, lt=0.2)] = 0.02
    join_V: Annotated[float, Field(gt=0, le=50)] = 6.0
    join_s: Seconds = 10.0
    break_A: Ampere = 20.0
    warning_s: Seconds = 2.0
    tries: Annotated[int, Field(ge=1, le=10)] = 3
    rest_s: Seconds = 5.0


class BalancingPart(Described):
    """Passive balancing. Defaults: assumed."""

    bleed_ohm: Annotated[float, Field(ge=1, le=10_000)] = 33.0
    start_share: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    stop_share: Annotated[float, Field(gt=0, le=0.2)] = 0.004
    min_cell_V: CellVolt | None = None
    max_string_share: Annotated[float, Field(gt=0, le=1)] = 0.1

    @model_validator(mode="after")
    def _order(self) -> Self:
        must(self.stop_share < self.start_share, "stop_share must be below start_share, or bleeding would chatter")
        return self


class ThermalPart(Described):
    """Set points of the temperature rules. Defaults: assumed, warm enough for LFP, cool enough for NMC."""

    cooling: Literal["liquid", "air"] = "liquid"
    cool_on_degC: Celsius = 32.0
    cool_off_degC: Celsius = 27.0
    free_cooling_K: Annotated[float, Field(gt=0, le=30)] = 5.0
    heat_on_degC: Celsius = 8.0
    heat_off_degC: Celsius = 14.0
    spread_on_K: Annotated[float, Field(gt=0, le=30)] = 5.0

    @model_validator(mode="after")
    def _order(self) -> Self:
        ordered = self.heat_on_degC < self.heat_off_degC < self.cool_off_degC < self.cool_on_degC
        found = f"{self.heat_on_degC:g}, {self.heat_off_degC:g}, {self.cool_off_degC:g}, {self.cool_on_degC:g}"
        must(
            ordered, f"heat_on < heat_off < cool_off < cool_on is needed, or the rules fight each other, found {found}"
        )
        return self


class DeratingPart(Described):
    """Where limits begin to fall. Defaults: assumed."""

    soc_low: Fraction = 0.10
    soc_empty: Fraction = 0.02
    soc_high: Fraction = 0.95
    soc_full: Fraction = 1.0
    margin_V: Annotated[float, Field(ge=0, le=0.3)] = 0.03
    ramp_per_s: Annotated[float, Field(gt=0, le=10)] = 0.2
    fault_share: Fraction = 0.5
    limp_share: Fraction = 0.1
    max_string_A: Ampere | None = None

    @model_validator(mode="after")
    def _order(self) -> Self:
        ordered = self.soc_empty < self.soc_low < self.soc_high < self.soc_full
        found = f"{self.soc_empty:g}, {self.soc_low:g}, {self.soc_high:g}, {self.soc_full:g}"
        must(ordered, f"soc_empty < soc_low < soc_high < soc_full is needed, found {found}")
        return self


class ChargingPart(Described):
    """How charging ends. `cell_V` is at most the cell's max_V less `derating.margin_V`, which is its default."""

    cell_V: CellVolt | None = None
    end_share: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    target_soc: Annotated[float, Field(gt=0, le=1)] = 1.0


class FaultChange(Described):
    """What a pack changes about one row of the fault table; `threshold` in the row's own unit."""

    threshold: float | None = None
    debounce_s: Seconds | None = None
    enabled: bool = True


class PackFile(Described):
    """One pack: how many cells of which kind, wired how, watched and cooled how."""

    name: str = Field(min_length=1)
    cell: str = Field(min_length=1, description="a cell of the catalogue, or a path beside this file")
    sources: list[str] = Field(default_factory=list)
    strings: Annotated[int, Field(ge=1, le=32)]
    series: Annotated[int, Field(ge=1, le=512)]
    parallel: Annotated[int, Field(ge=1, le=200)] = 1
    probes: Annotated[int, Field(ge=1, le=512)]
    probe_of_cell: list[Annotated[int, Field(ge=0)]] | None = None
    capacity_Ah: Annotated[float, Field(ge=0.1, le=5_000)] | None = None
    sensors: SensorsPart = SensorsPart()
    fitted: FittedPart = FittedPart()
    contactors: ContactorsPart = ContactorsPart()
    balancing: BalancingPart = BalancingPart()
    thermal: ThermalPart = ThermalPart()
    derating: DeratingPart = DeratingPart()
    charging: ChargingPart = ChargingPart()
    faults: dict[str, FaultChange] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _places(self) -> Self:
        if self.probe_of_cell is not None:
            must(
                len(self.probe_of_cell) == self.series,
                f"probe_of_cell has {len(self.probe_of_cell)} entries for {self.series} cells in series; "
                "give one for each",
            )
            must(
                max(self.probe_of_cell) < self.probes,
                f"probe_of_cell names probe {max(self.probe_of_cell)}, but there are {self.probes} (counted from 0); "
                "correct it or raise probes",
            )
        return self
