"""What our battery says: each number as it leaves, from the words of the BMS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nodes import moment_of, node_settings
from packhorse.pack.words import Reason, Stage
from packhorse.protocols.j1939.hvess import decode
from packhorse.protocols.j1939.settings import Settings
from packhorse.protocols.j1939.spoken import Moment, encoded, spoken
from packs import small_pack

PACK = small_pack(strings=2, series=5)


def heard(name: str, moment: Moment, settings: Settings | None = None) -> dict[str, float]:
    """What a message of ours says to who hears it."""
    settings = settings or node_settings()
    said = spoken(settings, moment.pack.strings)[name]
    return decode(said.layout, encoded(settings, moment, said)).values


@pytest.fixture(scope="module")
def road() -> Moment:
    cell_V = np.array([[3.70, 3.71, 3.72, 3.73, 3.74], [3.60, 3.61, 3.62, 3.63, 3.65]])
    return moment_of(
        PACK,
        drive=True,
        cell_V=cell_V,
        string_V=cell_V.sum(axis=1),
        string_A=np.array([10.0, 20.0]),
        probe_degC=np.array([[20.0, 21.5], [19.0, 26.0]]),
        isolation_ohm=5e4,
    )


def limited_to(moment: Moment, **changes: Any) -> Moment:
    return moment._replace(output=moment.output._replace(limits=moment.output.limits._replace(**changes)))


def test_the_whole_battery_gives_sums_and_extremes_of_its_strings(road: Moment) -> None:
    d1, d2, d3 = heard("HVESSD1", road), heard("HVESSD2", road), heard("HVESSD3", road)
    assert d1["current_A"] == pytest.approx(30.0)
    assert d1["battery_V"] == pytest.approx((18.6 + 18.11) / 2, abs=0.025)
    assert d1["discharge_power_W"] == pytest.approx(road.output.limits.discharge_W, abs=25.0)
    assert (d2["cell_max_V"], d2["cell_min_V"]) == (pytest.approx(3.74), pytest.approx(3.60))
    assert d2["soc"] == pytest.approx(road.output.estimate.soc, abs=1e-5)
    assert (d3["cell_max_degC"], d3["cell_min_degC"], d3["cell_mean_degC"]) == (26.0, 19.0, 21.625)


def test_each_string_speaks_for_itself(road: Moment) -> None:
    first, second = heard("HVESP1D1", road), heard("HVESP2D1", road)
    assert (first["current_A"], second["current_A"]) == (pytest.approx(10.0), pytest.approx(20.0))
    assert second["battery_V"] == pytest.approx(18.11, abs=0.025)
    limit_A = road.output.limits.string_A[0, 1]
    assert second["discharge_power_W"] == pytest.approx(limit_A * 18.11, abs=25.0)
    assert heard("HVESP2D2", road)["cell_max_V"] == pytest.approx(3.65)
    assert heard("HVESP2D3", road)["cell_min_degC"] == 19.0


@pytest.mark.parametrize(
    ("declared", "limits", "said"),
    [
        ("discharges", "magnitudes", (30.0, 100.0, 50.0)),
        ("charges", "magnitudes", (-30.0, 100.0, 50.0)),
        ("discharges", "signed like the current", (30.0, 100.0, -50.0)),
        ("charges", "signed like the current", (-30.0, -100.0, 50.0)),
    ],
)
def test_signs_of_current_and_limits_are_those_declared(
    road: Moment, declared: str, limits: str, said: tuple[float, float, float]
) -> None:
    settings = node_settings(positive_current=declared, limits=limits)
    moment = limited_to(road, discharge_A=100.0, charge_A=50.0)
    d1, d5 = heard("HVESSD1", moment, settings), heard("HVESSD5", moment, settings)
    assert (d1["current_A"], d5["discharge_limit_A"], d5["charge_limit_A"]) == pytest.approx(said)


def test_a_current_may_be_declared_to_be_a_signed_number_without_offset(road: Moment) -> None:
    settings = node_settings(current_layout="signed", positive_current="charges")
    said = spoken(settings, 2)["HVESSD1"]
    data = encoded(settings, road, said)
    assert int.from_bytes(data[6:8], "little", signed=True) == -600
    assert decode(said.layout, data).values["current_A"] == pytest.approx(-30.0)


def test_what_is_not_measured_is_not_available() -> None:
    nan = np.full(2, math.nan)
    cells, probes = np.full((2, 5), math.nan), np.full((2, 2), math.nan)
    blind = moment_of(PACK, cell_V=cells, probe_degC=probes, string_A=nan, string_V=nan, isolation_ohm=math.nan)
    for name in ("HVESSD3", "HVESSD8", "HVESSD9"):
        assert all(math.isnan(value) for value in heard(name, blind).values()), name
    assert math.isnan(heard("HVESSD1", blind)["current_A"])
    assert math.isnan(heard("HVESSD2", blind)["cell_max_V"])
    assert math.isnan(heard("HVESSD10", blind)["passive_isolation_ohm_per_V"])


def test_one_string_without_current_makes_the_sum_unknown_not_smaller(road: Moment) -> None:
    moment = road._replace(frame=road.frame._replace(string_A=np.array([10.0, math.nan])))
    assert math.isnan(heard("HVESSD1", moment)["current_A"])
    assert heard("HVESP1D1", moment)["current_A"] == pytest.approx(10.0)


def test_places_are_counted_from_one_with_a_string_as_the_module(road: Moment) -> None:
    d8, d9 = heard("HVESSD8", road), heard("HVESSD9", road)
    assert (d8["highest_voltage_module"], d8["highest_voltage_cell"]) == (1, 5)
    assert (d8["lowest_voltage_module"], d8["lowest_voltage_cell"]) == (2, 1)
    assert (d9["hottest_module"], d9["coldest_module"]) == (2, 2)
    probe = int(d9["hottest_cell"]) - 1
    assert PACK.probe_of_cell[probe] == 1


def test_with_modules_declared_cells_are_counted_inside_them(road: Moment) -> None:
    d8 = heard("HVESSD8", road, node_settings(cells_per_module=2))
    assert (d8["highest_voltage_module"], d8["highest_voltage_cell"]) == (3, 1)
    assert (d8["lowest_voltage_module"], d8["lowest_voltage_cell"]) == (4, 1)
    of_string = heard("HVESP2D8", road, node_settings(cells_per_module=2))
    assert (of_string["highest_voltage_module"], of_string["highest_voltage_cell"]) == (3, 1)


def test_a_cell_number_that_the_bus_cannot_count_to_is_an_error_not_another_cell() -> None:
    pack = small_pack(strings=1, series=300)
    cell_V = np.full((1, 300), 3.7)
    cell_V[0, 299] = 3.8
    said = heard("HVESSD8", moment_of(pack, cell_V=cell_V))
    assert math.isnan(said["highest_voltage_cell"])
    assert said["lowest_voltage_cell"] == 1


def test_isolation_is_in_ohm_per_volt(road: Moment) -> None:
    expected = 5e4 / PACK.isolation_base_V
    assert heard("HVESSD10", road)["passive_isolation_ohm_per_V"] == pytest.approx(expected, abs=0.05)


def test_charging_power_is_what_goes_in(road: Moment) -> None:
    assert heard("HVESSD11", road)["charging_power_W"] == 0.0
    charging = road._replace(frame=road.frame._replace(string_A=np.array([-100.0, -200.0])))
    assert heard("HVESSD11", charging)["charging_power_W"] == pytest.approx(1860.0 + 3622.0, abs=25.0)


@pytest.mark.parametrize("drive", [False, True])
def test_contactors_are_told_as_their_feedback_says(drive: bool) -> None:
    s1 = heard("HVESSS1", moment_of(PACK, drive=drive))
    assert (s1["positive_contactor"], s1["negative_contactor"], s1["precharge_relay"]) == (drive, drive, 0.0)
    assert (s1["hvil"], s1["balancing_active"], s1["packs_ready"]) == (1.0, 0.0, 2.0)


def test_a_contactor_that_is_not_heard_of_is_not_called_open() -> None:
    contactor = np.array([[0.0, math.nan, 0.0], [0.0, 0.0, 0.0]])
    assert math.isnan(heard("HVESSS1", moment_of(PACK, contactor=contactor))["positive_contactor"])


def test_states_without_a_public_code_are_sent_only_where_the_bus_has_given_them_one(road: Moment) -> None:
    assert math.isnan(heard("HVESSS1", road)["connection_status"])
    codes = {
        "connection_status": {"closed": 4, "open": 1},
        "operational_status": {"normal": 5, "warning": 6, "serious": 7, "critical": 8},
        "soc_status": {"low": 1, "normal": 2, "high": 3},
        "disconnect_forewarning": {"none": 0, "warned": 1},
    }
    said = heard("HVESSS1", road, node_settings(codes=codes))
    assert said["connection_status"] == 4
    assert said["soc_status"] == 2
    assert said["disconnect_forewarning"] == 0
    assert said["operational_status"] in {5, 6, 7, 8}
    stage = np.array([float(Stage.TRIPPED), float(Stage.OPENING)])
    output = road.output._replace(command=road.output.command._replace(stage=stage))
    leaving = heard("HVESSS1", road._replace(output=output), node_settings(codes=codes))
    assert (leaving["disconnect_forewarning"], leaving["packs_ready"]) == (1, 1)
    assert math.isnan(leaving["connection_status"])


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (Reason.SOC, "soc"),
        (Reason.TEMPERATURE, "temperature"),
        (Reason.NOT_HEARD, "diagnosis"),
        (Reason.CELL_VOLTAGE, "voltage"),
        (Reason.CONTACTORS, "other"),
        (Reason.CELL_RATING, None),
    ],
)
def test_the_cause_that_binds_is_the_one_that_is_told(road: Moment, reason: Reason, cause: str | None) -> None:
    said = heard("HVESSS2", limited_to(road, discharge_reason=float(reason), charge_reason=float(Reason.CHARGE_DONE)))
    told = {name for name, value in said.items() if value == 1.0}
    assert told == {f"discharge_limited_by_{cause}", "charge_limited_by_soc"} - {"discharge_limited_by_None"}
    assert all(value in {0.0, 1.0} for value in said.values())


def test_every_reason_has_its_place(road: Moment) -> None:
    for reason in Reason:
        assert heard("HVESSS2", limited_to(road, discharge_reason=float(reason)))


def test_configuration_and_history_tell_what_the_pack_file_and_the_state_say(road: Moment) -> None:
    cfg, hist = heard("HVESSCFG", road), heard("HVESSHIST", road)
    assert cfg["operating_max_V"] == pytest.approx(5 * 4.2, abs=0.025)
    assert cfg["cell_min_V"] == pytest.approx(2.8, abs=0.0103)
    assert cfg["packs_configured"] == 2
    assert cfg["nominal_energy_kWh"] == pytest.approx(2 * 5 * 3.7 * 100 / 1e3, rel=1e-3)
    assert (cfg["operating_min_degC"], cfg["operating_max_degC"]) == (-20.0, 60.0)
    assert heard("HVESP1CFG", road)["nominal_energy_kWh"] == pytest.approx(5 * 3.7 * 100 / 1e3, rel=1e-3)
    assert hist["soh"] == pytest.approx(1.0, abs=2e-3)
    through = road._replace(
        state=road.state._replace(throughput=np.array([[3e3, 2e3, 9e6, 7e6], [0.0, 0.0, 0.0, 0.0]]))
    )
    hist = heard("HVESSHIST", through)
    assert (hist["energy_out_kWh"], hist["energy_in_kWh"]) == (9000.0, 7000.0)
    assert (hist["throughput_kWh"], hist["charge_throughput_Ah"]) == (16000.0, 5000.0)


def test_the_thermal_system_is_told_what_it_is_commanded(road: Moment) -> None:
    command = road.output.command._replace(pump=0.5, chiller=0.25, heater=0.0, radiator=0.8)
    moment = road._replace(output=road.output._replace(command=command))
    assert heard("HVESSTC1", moment)["pump_command"] == 1.0
    assert heard("HVESSTC1", moment)["heater_command"] == 0.0
    assert heard("HVESSTC2", moment)["compressor_command"] == pytest.approx(0.25, abs=0.0025)
    fan = heard("HVESSFC", moment)
    assert (fan["fan_command"], fan["fan_enable_command"], fan["fan_instance_1"]) == (pytest.approx(0.8), 1.0, 1.0)
    assert fan["fan_instance_2"] == 0.0


def test_one_string_needs_no_pack_messages_and_many_stop_at_the_last_that_j1939_has() -> None:
    assert not [name for name in spoken(node_settings(), 1) if name.startswith("HVESP")]
    assert not [name for name in spoken(node_settings(packs=False), 3) if name.startswith("HVESP")]
    numbers = {name[5:].rstrip("0123456789") for name in spoken(node_settings(first_pack=25), 4)}
    assert numbers
    assert {n for n in range(1, 30) if f"HVESP{n}D1" in spoken(node_settings(first_pack=25), 4)} == {25, 26}


MODULES = {"module_status": {"working": 1, "failed": 0}}


def test_modules_are_told_of_only_where_the_bus_has_given_them_codes(road: Moment) -> None:
    assert not [name for name in spoken(node_settings(), 2) if name.endswith("MS1")]
    settings = node_settings(codes=MODULES, cells_per_module=2)
    cell_V = road.frame.cell_V.copy()
    cell_V[1, 2] = math.nan
    stage = np.array([float(Stage.CLOSED), float(Stage.CLOSED)])
    output = road.output._replace(command=road.output.command._replace(stage=stage))
    moment = road._replace(frame=road.frame._replace(cell_V=cell_V), output=output)
    told = list(heard("HVESSMS1", moment, settings).values())
    assert told[:6] == [1, 1, 1, 1, 0, 1]
    assert all(math.isnan(value) for value in told[6:])
    assert list(heard("HVESP2MS1", moment, settings).values())[:3] == [1, 0, 1]
    tripped = output._replace(command=output.command._replace(stage=np.array([float(Stage.TRIPPED), 0.0])))
    assert list(heard("HVESP1MS1", moment._replace(output=tripped), settings).values())[:3] == [0, 0, 0]


def test_modules_beyond_the_32_that_the_message_holds_do_not_spill() -> None:
    pack = small_pack(strings=1, series=70)
    told = heard("HVESSMS1", moment_of(pack), node_settings(codes=MODULES, cells_per_module=2))
    assert list(told.values()) == [1.0] * 32
