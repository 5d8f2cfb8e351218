"""Every bad cell or pack file is refused with one line that names the file, the place in it and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from packhorse.pack.load import MAX_BYTES, ConfigurationError, load_pack
from packs import CELL, toml

PACK = {"name": "test pack", "cell": "test.cell.toml", "strings": 2, "series": 4, "probes": 2}
CELL_TEXT = toml(CELL)
PACK_TEXT = toml({**PACK, "sensors": {"patience_s": 2.0}, "charging": {"cell_V": 4.1}, "derating": {"soc_low": 0.1}})


def load(folder: Path, cell: str | bytes = CELL_TEXT, pack: str | bytes = PACK_TEXT) -> Any:
    for name, content in (("test.cell.toml", cell), ("test.toml", pack)):
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return load_pack(str(folder / "test.toml"))


def refused(*args: Any, **named: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(*args, **named)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= 600
    return message


OCV_V = "ocv_V = [3.0, 3.45, 3.7, 4.05, 4.18]"

# a slip: which file, what stands there, what was written instead, what the message must contain
CELL_SLIPS = {
    "broken TOML": ("capacity_Ah = 100.0", "capacity_Ah 100.0", ["not valid TOML", "line 4", "correct it"]),
    "other capitals": ("capacity_Ah", "capacity_ah", ["capacity_ah: unknown key", "did you mean capacity_Ah?"]),
    "key above its table": ("mass_kg", "ocv_V = [3, 4]\nmass_kg", ["ocv_V: unknown", "belongs under [ocv]"]),
    "key of the top in a table": ("rc1_s", "parallel = 2\nrc1_s", ["resistance.parallel: unknown key", "remove it"]),
    "key under the wrong table": ("rc1_s", "charge_A = [1]\nrc1_s", ["resistance.charge_A", "[over_temperature]"]),
    "OCV not rising": ("4.05", "3.65", ["ocv", "soc 0.9", "3.7 to 3.65 V", "must rise"]),
    "SOC not rising": ("[0, 0.1, 0.5, 0.9, 1]", "[0, 0.5, 0.1, 0.9, 1]", ["ocv: soc must rise", "sort"]),
    "SOC that ends early": ("0.9, 1]", "0.9, 0.95]", ["soc runs 0 to 0.95", "start at 0 and end at 1"]),
    "entropy in mV/K": ("ocv_V", "entropy_V_per_K = [0.1, 0, 0, 0, 0]\nocv_V", ["entropy_V_per_K[0]", "not mV/K"]),
    "a falling OCV in the cold": (
        "ocv_V",
        "entropy_V_per_K = [-0.005, 0.005, 0, 0, 0]\nocv_V",
        ["ocv.entropy_V_per_K", "fall with SOC", "check its sign"],
    ),
    "millivolts": ("max_V = 4.2", "max_V = 4200.0", ["max_V: found 4200", "0.5 to 5", "in V, not mV"]),
    "millivolts in a list": ("3.45,", "3450,", ["ocv.ocv_V[0][1]: found 3450", "in V, not mV"]),
    "OCV beyond the limits": ("max_V = 4.2", "max_V = 3.9", ["ocv_V runs 3 to 4.18 V", "2.8..3.9", "check the units"]),
    "limits upside down": ("min_V = 2.8", "min_V = 4.5", ["min_V < nominal_V < max_V", "4.5, 3.7, 4.2"]),
    "milliampere": ("discharge_A = [100,", "discharge_A = [100000,", ["discharge_A[0]: found 100000", "not mA"]),
    "milliampere in a small cell": (
        "capacity_Ah = 100.0",
        "capacity_Ah = 2.0",
        ["Wh/kg", "check the units (Ah, not mAh; kg, not g)"],
    ),
    "milliampere-hours": ("capacity_Ah = 100.0", "capacity_Ah = 100000.0", ["found 100000", "in Ah, not mAh"]),
    "gram": ("mass_kg = 1.5", "mass_kg = 1500.0", ["mass_kg: found 1500", "in kg, not g"]),
    "kelvin": ("charge_degC = 50.0", "charge_degC = 323.0", ["max_charge_degC: found 323", "in degC, not K"]),
    "rows of OCV without their temperatures": (
        OCV_V,
        "ocv_V = [[3, 3.45, 3.7, 4.05, 4.18], [3, 3.46, 3.7, 4.05, 4.18]]",
        ["ocv: ocv_V has 2 rows for 1 temperatures (degC)", "give one for each"],
    ),
    "a short row of OCV": (
        OCV_V,
        "degC = [0, 25]\nocv_V = [[3, 3.45, 3.7, 4.05, 4.18], [3, 3.46, 3.7, 4.18]]",
        ["ocv: ocv_V has 4 values for 5 soc points", "give one for each"],
    ),
    "a falling row of OCV": (
        OCV_V,
        "degC = [0, 25]\nocv_V = [[3, 3.45, 3.7, 4.05, 4.18], [3, 3.46, 3.7, 3.6, 4.18]]",
        ["ocv: ocv_V falls or stands still at soc 0.9 (3.7 to 3.6 V)", "must rise with SOC"],
    ),
    "rows of OCV from warm to cold": (
        OCV_V,
        "degC = [25, 0]\nocv_V = [[3, 3.45, 3.7, 4.05, 4.18], [3, 3.46, 3.7, 4.05, 4.18]]",
        ["ocv: degC must rise from row to row"],
    ),
    "a row of OCV beyond the limits": (
        OCV_V,
        "degC = [0, 25]\nocv_V = [[3, 3.45, 3.7, 4.05, 4.4], [3, 3.46, 3.7, 4.05, 4.18]]",
        ["ocv_V runs 3 to 4.4 V", "2.8..4.2", "check the units"],
    ),
    "too many rows of hysteresis": (
        OCV_V,
        f"degC = [0, 25]\nhysteresis_V = [[0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]\n{OCV_V}",
        ["ocv: hysteresis_V has 3 rows for 2 temperatures (degC)", "give one for each"],
    ),
    "a short row of hysteresis": (
        OCV_V,
        f"hysteresis_V = [0.01, 0.01]\n{OCV_V}",
        ["ocv: hysteresis_V has 2 values for 5 soc points", "give one for each"],
    ),
    "rows of the model error without their temperatures": (
        "[resistance]",
        "[model_error]\nsigma_V = [[0.01, 0.02], [0.02, 0.03]]\n\n[resistance]",
        ["model_error: sigma_V must have 1 rows (degC) of 2 values (soc)"],
    ),
    "a short row of the model error": (
        "[resistance]",
        "[model_error]\ndegC = [0, 25]\nsoc = [0, 0.5, 1]\nsigma_V = [[0.1, 0.2, 0.1], [0.02, 0.03]]\n\n[resistance]",
        ["model_error: sigma_V must have 2 rows (degC) of 3 values (soc)"],
    ),
    "a model error in millivolts": (
        "[resistance]",
        "[model_error]\nsigma_V = [[10.0, 20.0]]\n\n[resistance]",
        ["model_error.sigma_V[0][0]: found 10", "in V, not mV"],
    ),
    "the SOC of the model error twice": (
        "[resistance]",
        "[model_error]\nsoc = [0.5, 0.5]\nsigma_V = [[0.01, 0.02]]\n\n[resistance]",
        ["model_error: soc must rise from column to column"],
    ),
    "temperatures upside down": ("max_charge_degC = 50.0", "max_charge_degC = -5.0", ["min_charge_degC", "0 and -5"]),
    "milliohm": (
        "r0_ohm = [[0.002",
        "r0_ohm = [[2.0",
        ["resistance.r0_ohm reaches 2 ohm", "100 Ah", "(ohm, not mohm)"],
    ),
    "milliohm below one": (
        "[[0.002, 0.002], [0.001, 0.001]]",
        "[[0.4, 0.4], [0.2, 0.2]]",
        ["resistance.r0_ohm is 0.2 ohm", "20 V at 100 A", "(ohm, not mohm)"],
    ),
    "percent in a list": ("[0, 0.1, 0.5, 0.9, 1]", "[0, 10, 50, 90, 100]", ["ocv.soc[1]: found 10", "not percent"]),
    "percent": ("mass_kg", "coulombic_efficiency = 99.9\nmass_kg", ["efficiency: found 99.9", "not percent"]),
    "not a number": ("min_V = 2.8", "min_V = nan", ["min_V: found nan", "a finite number"]),
    "infinity": ("nominal_V = 3.7", "nominal_V = inf", ["nominal_V: found inf", "a finite number"]),
    "text for a number": ("min_V = 2.8", 'min_V = "2.8"', ["min_V: found '2.8'", "a number without quotes"]),
    "a number for text": ('name = "test cell"', "name = 5", ["name: found 5", "text in quotes"]),
    "a number for a list": ("rc1_s = [20, 10]", "rc1_s = 20", ["resistance.rc1_s: found 20", "a list in [ ]"]),
    "a table for a number": ("min_V = 2.8", "min_V = {a = 1}", ["min_V: found {'a': 1}", "a number"]),
    "a missing key": ("min_V = 2.8\n", "", ["min_V: missing", "add it (0.5 to 5)"]),
    "a missing source": ('["assumed"]', "[]", ["sources: found []", "at least 1 item"]),
    "an unknown chemistry": ("nmc", "lipo", ["chemistry: found 'lipo'", "'lfp', 'nmc' or 'nca'"]),
    "a value too few": ("3.7, 4.05", "3.7", ["ocv_V has 4 values for 5 soc points", "one for each"]),
    "a row too few": ("[[0.002, 0.002], ", "[", ["r0_ohm must have 2 rows (degC) of 2 values"]),
}
PACK_SLIPS = {
    "nearest key": ("series = 4", "serie = 4", ["serie: unknown key", "did you mean series?", "1 more"]),
    "key under the wrong table": ("patience_s", "join_V", ["sensors.join_V", "belongs under [contactors]"]),
    "key of the top in a table": ("patience_s = 2.0", "parallel = 2", ["sensors.parallel", "top of the file"]),
    "key above its table": ("probes = 2", "probes = 2\ncell_V = 4", ["cell_V: unknown", "belongs under [charging]"]),
    "half a cell": ("series = 4", "series = 4.5", ["series: found 4.5", "a whole number"]),
    "true for a number": ("series = 4", "series = true", ["series: found True", "a whole number"]),
    "no strings": ("strings = 2", "strings = 0", ["strings: found 0", "a whole number, 1 to 32"]),
    "percent": ("soc_low = 0.1", "soc_low = 10", ["derating.soc_low: found 10", "0 to 1", "not percent"]),
    "derating upside down": ("soc_low = 0.1", "soc_low = 0.01", ["derating", "soc_empty < soc_low", "0.02, 0.01"]),
    "milliseconds": ("patience_s = 2.0", "patience_s = 200000", ["sensors.patience_s: found 200000", "s, not ms"]),
    "charging above the cell": ("cell_V = 4.1", "cell_V = 4.3", ["charging.cell_V 4.3", "max_V 4.2", "lower it"]),
    "no such cell": ("test.cell.toml", "nmc_61", ["'nmc_61'", "cells of the catalogue", "did you mean nmc_60?"]),
    "no such cell file": ("test.cell.toml", "none.toml", ["none.toml: no such file", "lfp_280"]),
    "a folder for a cell": ("test.cell.toml", "sub.toml", ["sub.toml: a folder", "give an existing .toml file"]),
    "a name that commands the terminal": ("test.cell.toml", r"a\u001b[2J\n.toml", ["no such file"]),
    "a name with a zero": ("test.cell.toml", r"a\u0000.toml", [".toml: ", "give an existing .toml file"]),
    "a name beyond all length": ("test.cell.toml", f"{'a' * 3000}.toml", ["cannot be opened", "give an existing"]),
    "probes for too few cells": ("probes = 2", "probes = 2\nprobe_of_cell = [0, 1]", ["2 entries for 4 cells"]),
    "a probe that is not there": (
        "probes = 2",
        "probes = 2\nprobe_of_cell = [0, 0, 1, 2]",
        ["probe_of_cell names probe 2", "counted from 0", "correct it"],
    ),
    "a negative probe": ("probes = 2", "probes = 2\nprobe_of_cell = [0, 0, 1, -1]", ["probe_of_cell[3]: found -1"]),
    "no such fault": (
        "[charging]",
        "[faults.cell_overvolt]\n[charging]",
        ["faults.cell_overvolt", "cell_overvoltage?"],
    ),
    "a fault's millivolts": (
        "[charging]",
        "[faults.cell_overvoltage]\nthreshold = 4250\n[charging]",
        ["faults.cell_overvoltage.threshold: found 4250", "V, not mV"],
    ),
    "a fault at no number": (
        "[charging]",
        "[faults.cell_overvoltage]\nthreshold = nan\n[charging]",
        ["faults.cell_overvoltage.threshold: found nan", "a finite number"],
    ),
    "bleeding that would chatter": (
        "[charging]",
        "[balancing]\nstop_share = 0.02\n[charging]",
        ["balancing: stop_share must be below start_share"],
    ),
    "heating that would fight cooling": (
        "[charging]",
        "[thermal]\nheat_off_degC = 30.0\n[charging]",
        ["thermal", "heat_off < cool_off", "8, 30, 27, 32"],
    ),
    "a key twice": ("probes = 2", "probes = 2\nprobes = 3", ["not valid TOML", "line 6"]),
    "a date": ("probes = 2", "probes = 1979-05-27", ["probes: found datetime.date", "a whole number"]),
    "a number of five thousand digits": ("probes = 2", f"probes = {'9' * 5000}", ["beyond all reason"]),
    "a number of four hundred digits": ("probes = 2", f"probes = {'9' * 400}", ["probes: found 999", "1 to 512"]),
    "a nesting bomb": ("probes = 2", f"probes = {'[' * 100_000}", ["a nesting beyond all reason"]),
    "a key beyond all length": ("probes = 2", f"probes = 2\n{'x' * 5000} = 3", ["unknown key", "remove it"]),
}


@pytest.mark.parametrize("slip", CELL_SLIPS)
def test_a_slip_in_a_cell_file_is_named_with_its_place_and_remedy(slip: str, tmp_path: Path) -> None:
    stands, written, said = CELL_SLIPS[slip]
    assert stands in CELL_TEXT
    message = refused(tmp_path, cell=CELL_TEXT.replace(stands, written, 1))
    assert message.startswith(f"{tmp_path / 'test.cell.toml'}: ")
    assert [part for part in said if part not in message] == [], message


@pytest.mark.parametrize("slip", PACK_SLIPS)
def test_a_slip_in_a_pack_file_is_named_with_its_place_and_remedy(slip: str, tmp_path: Path) -> None:
    (tmp_path / "sub.toml").mkdir()
    stands, written, said = PACK_SLIPS[slip]
    assert stands in PACK_TEXT
    message = refused(tmp_path, pack=PACK_TEXT.replace(stands, written, 1))
    assert message.startswith(f"{tmp_path / 'test.toml'}: ")
    assert [part for part in said if part not in message] == [], message


NO_TEXT = {
    "empty": (b"", ["the file is empty", "start from a copy"]),
    "nothing but a comment": (b"# nothing\n\n", ["the file is empty", "start from a copy"]),
    "Latin-1": ("name = 'Müller'".encode("latin-1"), ["not text in UTF-8 (byte 9)", "give a TOML file"]),
    "UTF-16": ("name = 'a'".encode("utf-16"), ["not text in UTF-8", "give a TOML file"]),
    "zeros": (bytes(100), ["not valid TOML", "line 1"]),
    "huge": (b"#" * (MAX_BYTES + 1), ["larger than 8 MB", "not a description file"]),
}


@pytest.mark.parametrize("name", ["test.cell.toml", "test.toml"])
@pytest.mark.parametrize("case", NO_TEXT)
def test_a_file_that_is_no_description_is_refused(case: str, name: str, tmp_path: Path) -> None:
    content, said = NO_TEXT[case]
    message = refused(tmp_path, **{"cell" if "cell" in name else "pack": content})
    assert message.startswith(f"{tmp_path / name}: ")
    assert [part for part in said if part not in message] == [], message


def test_a_good_pair_of_files_loads(tmp_path: Path) -> None:
    pack = load(tmp_path)
    assert (pack.strings, pack.series) == (2, 4)
    assert pack.charging.cell_V == 4.1


def test_a_byte_order_mark_is_no_slip(tmp_path: Path) -> None:
    assert load(tmp_path, cell=b"\xef\xbb\xbf" + CELL_TEXT.encode()).series == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hevy", ["'hevy'", "packs of the catalogue", "did you mean heavy?"]),
        ("spaceship", ["'spaceship'", "known: heavy, light, medium", "a path that ends in .toml"]),
        ("", ["''", "known: "]),
        ("nowhere/pack.toml", ["nowhere/pack.toml: no such file", "heavy"]),
        ("/proc/self/mem.toml", ["no such file"]),
    ],
)
def test_a_pack_that_is_nowhere_is_named_with_the_nearest(name: str, said: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_pack(name)
    assert [part for part in said if part not in str(caught.value)] == [], caught.value
