"""What a truck file may say: the vehicle, its pack, and how the true battery differs from what the BMS believes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from packhorse.pack.description import Ampere, Described, Fraction, Seconds
from packhorse.pack.load import find, read


class RoadPart(Described):
    """The vehicle on the road."""

    mass_kg: Annotated[float, Field(ge=500, le=100_000)]
    drag_area_m2: Annotated[float, Field(gt=0, le=15)]
    rolling: Annotated[float, Field(gt=0, le=0.05)]
    efficiency: Annotated[float, Field(gt=0.3, le=1)] = 0.93
    regeneration: Fraction = 0.90
    auxiliary_W: Annotated[float, Field(ge=0, le=50_000)]
    drive_W: Annotated[float, Field(ge=10_000, le=3_000_000)]
    acceleration_m_per_s2: Annotated[float, Field(gt=0, le=8)] = 1.2
    braking_m_per_s2: Annotated[float, Field(gt=0, le=10)] = 5.0


class TruthPart(Described):
    """How the true cells are spread and how they differ from the cell file that the BMS believes."""

    capacity_mean: Annotated[float, Field(gt=0.3, le=1.2)] = 0.98
    capacity_sigma: Annotated[float, Field(ge=0, le=0.1)] = 0.01
    resistance_mean: Annotated[float, Field(gt=0.3, le=4)] = 1.1
    resistance_sigma: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    soc_sigma: Annotated[float, Field(ge=0, le=0.1)] = 0.004
    time_constant: Annotated[float, Field(gt=0.3, le=3)] = 1.15
    hysteresis_rate: Annotated[float, Field(ge=0, le=5)] = 0.8
    ocv_V: Annotated[float, Field(ge=0, le=0.02)] = 0.001
    wiring_ohm: Annotated[float, Field(ge=0, le=0.5)] = 0.01


class LinkPart(Described):
    """The load side of the contactors. Defaults: assumed."""

    capacitance_F: Annotated[float, Field(gt=0, le=0.1)] = 0.003
    precharge_ohm: Annotated[float, Field(gt=0, le=10_000)] = 47.0
    discharge_ohm: Annotated[float, Field(gt=0)] = 20_000.0
    isolation_ohm: Annotated[float, Field(gt=0)] = 2_000_000.0


class FluidPart(Described):
    """Coolant or air of the whole truck, shared evenly by the strings."""

    flow_W_per_K: Annotated[float, Field(gt=0)]
    plate_W_per_K: Annotated[float, Field(gt=0)]
    still_W_per_K: Annotated[float, Field(ge=0)]
    housing_W_per_K: Annotated[float, Field(ge=0)]
    reservoir_J_per_K: Annotated[float, Field(gt=0)]
    radiator_W_per_K: Annotated[float, Field(ge=0)] = 0.0
    chiller_W: Annotated[float, Field(ge=0)] = 0.0
    chiller_cop: Annotated[float, Field(gt=0.5, le=10)] = 3.0
    heater_W: Annotated[float, Field(ge=0)] = 0.0
    pump_W: Annotated[float, Field(ge=0)] = 0.0
    fan_W: Annotated[float, Field(ge=0)] = 0.0


class SensingPart(Described):
    """How the truck measures itself. Defaults: assumed, typical of automotive boards and shunts."""

    cell_sigma_V: Annotated[float, Field(ge=0, le=0.1)] = 0.0008
    cell_step_V: Annotated[float, Field(ge=0, le=0.1)] = 0.001
    cell_offset_V: Annotated[float, Field(ge=0, le=0.1)] = 0.0008
    delay_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    string_sigma_V: Annotated[float, Field(ge=0, le=5)] = 0.1
    string_step_V: Annotated[float, Field(ge=0, le=5)] = 0.1
    current_sigma_A: Annotated[float, Field(ge=0, le=50)] = 0.2
    current_step_A: Annotated[float, Field(ge=0, le=10)] = 0.05
    current_offset_A: Annotated[float, Field(ge=0, le=50)] = 0.2
    current_gain: Annotated[float, Field(ge=0, le=0.1)] = 0.003
    probe_sigma_K: Annotated[float, Field(ge=0, le=5)] = 0.1
    probe_step_K: Annotated[float, Field(ge=0, le=5)] = 0.5
    probe_offset_K: Annotated[float, Field(ge=0, le=5)] = 0.4
    probe_lag_s: Seconds = 15.0
    dropout_per_s: Annotated[float, Field(ge=0, le=1)] = 0.0002
    boards: Annotated[int, Field(ge=1, le=64)] = 12


class ChargerPart(Described):
    """What the depot's charger gives."""

    power_W: Annotated[float, Field(ge=1_000, le=4_000_000)]
    current_A: Ampere


class TruckFile(Described):
    """One truck: a vehicle around a pack."""

    name: str = Field(min_length=1)
    pack: str = Field(min_length=1, description="a pack of the catalogue, or a path beside this file")
    cycle: str = Field(min_length=1, description="its usual duty: a cycle of the catalogue")
    sources: list[str] = Field(min_length=1)
    road: RoadPart
    charger: ChargerPart
    fluid: FluidPart
    link: LinkPart = LinkPart()
    truth: TruthPart = TruthPart()
    sensing: SensingPart = SensingPart()


def load_truck(name: str, beside: Path | None = None) -> TruckFile:
    """A truck of the catalogue or a truck file. Raises ConfigurationError with one line for the user."""
    return read(find("trucks", name, beside), TruckFile)
