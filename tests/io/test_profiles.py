"""Other battery systems by their profiles: cantools speaks, by a DBC written apart, and the profile understands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import cantools
import numpy as np
import polars as pl
import pytest

from packhorse.app.replay import replay
from packhorse.app.signals import signals
from packhorse.io import logs
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import ReadError
from packhorse.io.profiles import mapping, open_profile
from packhorse.pack.load import ConfigurationError, load_pack
from packhorse.protocols import decoding, frames, profiles
from packhorse.protocols.frames import EXTENDED, CanFrames
from simulated import TrueCell, live

SMALL = Path(__file__).parents[1] / "vehicles" / "small.toml"
HEAD = 'VERSION ""\nNS_ :\nBS_:\nBU_: N\n'
THEIRS = {
    "orion": """
BO_ 1712 Pack: 8 N
 SG_ current_A : 7|16@0- (0.1,0) [0|0] "A" N
 SG_ pack_V : 23|16@0+ (0.1,0) [0|0] "V" N
 SG_ soc : 39|8@0+ (0.005,0) [0|0] "" N
 SG_ discharge_relay : 48|1@1+ (1,0) [0|0] "" N
 SG_ fault : 51|1@1+ (1,0) [0|0] "" N
 SG_ sum : 63|8@0+ (1,0) [0|0] "" N
BO_ 1713 Limits: 8 N
 SG_ discharge_A : 7|16@0+ (1,0) [0|0] "A" N
 SG_ charge_A : 23|8@0+ (1,0) [0|0] "A" N
 SG_ highest_degC : 39|8@0- (1,0) [0|0] "degC" N
 SG_ lowest_degC : 47|8@0- (1,0) [0|0] "degC" N
 SG_ sum : 63|8@0+ (1,0) [0|0] "" N
BO_ 1714 Extremes: 8 N
 SG_ highest_V : 7|16@0+ (0.0001,0) [0|0] "V" N
 SG_ lowest_V : 23|16@0+ (0.0001,0) [0|0] "V" N
 SG_ highest_cell : 39|8@0+ (1,0) [0|0] "" N
 SG_ lowest_cell : 47|8@0+ (1,0) [0|0] "" N
 SG_ cells : 55|8@0+ (1,0) [0|0] "" N
 SG_ sum : 63|8@0+ (1,0) [0|0] "" N
BO_ 54 Cell: 8 N
 SG_ which : 7|8@0+ (1,0) [0|0] "" N
 SG_ cell_V : 15|16@0+ (0.0001,0) [0|0] "V" N
 SG_ bleeding : 31|1@0+ (1,0) [0|0] "" N
 SG_ resistance_ohm : 30|15@0+ (0.00001,0) [0|0] "ohm" N
 SG_ open_V : 47|16@0+ (0.0001,0) [0|0] "V" N
 SG_ sum : 63|8@0+ (1,0) [0|0] "" N
BO_ 2553869184 Probe: 8 N
 SG_ which : 7|16@0+ (1,0) [0|0] "" N
 SG_ probe_degC : 23|8@0- (1,0) [0|0] "degC" N
 SG_ lowest_degC : 39|8@0- (1,0) [0|0] "degC" N
 SG_ highest_degC : 47|8@0- (1,0) [0|0] "degC" N
""",
    "orion_victron": """
BO_ 849 Limits: 8 N
 SG_ charge_V : 0|16@1+ (0.1,0) [0|0] "V" N
 SG_ charge_A : 16|16@1+ (0.1,0) [0|0] "A" N
 SG_ discharge_A : 32|16@1+ (0.1,0) [0|0] "A" N
BO_ 853 Charge: 6 N
 SG_ soc : 0|16@1+ (0.01,0) [0|0] "" N
 SG_ health : 16|16@1+ (0.01,0) [0|0] "" N
BO_ 854 Pack: 6 N
 SG_ pack_V : 0|16@1- (0.01,0) [0|0] "V" N
 SG_ current_A : 16|16@1- (0.1,0) [0|0] "A" N
 SG_ highest_degC : 32|16@1- (0.1,0) [0|0] "degC" N
BO_ 54 Cell: 8 N
 SG_ which : 7|8@0+ (1,0) [0|0] "" N
 SG_ cell_V : 15|16@0+ (0.0001,0) [0|0] "V" N
 SG_ sum : 63|8@0+ (1,0) [0|0] "" N
""",
    "battery_emulator_pylon": """
BO_ 2147500560 Pack: 8 N
 SG_ pack_V : 0|16@1+ (0.1,0) [0|0] "V" N
 SG_ current_A : 16|16@1- (0.1,0) [0|0] "A" N
 SG_ bms_degC : 32|16@1+ (0.1,-100) [0|0] "degC" N
 SG_ soc : 48|8@1+ (0.01,0) [0|0] "" N
 SG_ health : 56|8@1+ (0.01,0) [0|0] "" N
BO_ 2147500592 Extremes: 8 N
 SG_ highest_V : 0|16@1+ (0.001,0) [0|0] "V" N
 SG_ lowest_V : 16|16@1+ (0.001,0) [0|0] "V" N
BO_ 2147500608 Heat: 8 N
 SG_ highest_degC : 0|16@1- (0.1,0) [0|0] "degC" N
 SG_ lowest_degC : 16|16@1- (0.1,0) [0|0] "degC" N
""",
    "battery_emulator_byd": """
BO_ 336 Charge: 8 N
 SG_ soc : 7|16@0+ (0.0001,0) [0|0] "" N
 SG_ health : 23|16@0+ (0.0001,0) [0|0] "" N
BO_ 464 Pack: 8 N
 SG_ pack_V : 7|16@0+ (0.1,0) [0|0] "V" N
 SG_ current_A : 23|16@0- (0.1,0) [0|0] "A" N
 SG_ average_degC : 39|16@0- (0.1,0) [0|0] "degC" N
BO_ 528 Heat: 8 N
 SG_ highest_degC : 7|16@0- (0.1,0) [0|0] "degC" N
 SG_ lowest_degC : 23|16@0- (0.1,0) [0|0] "degC" N
""",
    "battery_emulator_tesla": """
BO_ 306 Pack: 8 N
 SG_ pack_V : 0|16@1+ (0.01,0) [0|0] "V" N
 SG_ current_A : 16|16@1- (0.1,0) [0|0] "A" N
BO_ 658 Charge: 8 N
 SG_ soc_lowest : 0|10@1+ (0.001,0) [0|0] "" N
 SG_ soc : 10|10@1+ (0.001,0) [0|0] "" N
""",
}
"""What each system says, from the sources named in its profile; fields that take turns are written out by the tests."""
ORION_SUMS = {1712: 1712 + 8, 1713: 1713 + 8, 1714: 0, 54: 54 + 8}
REPLAYED = ("orion", "orion_victron", "battery_emulator_tesla")
CHARGE_IS_POSITIVE = ("orion_victron", "battery_emulator_tesla")


class Speaker:
    """Frames as cantools encodes them, with Orion's sums where there are any."""

    def __init__(self, name: str) -> None:
        self.database = cantools.database.load_string(HEAD + THEIRS[name], "dbc")
        self.rows: list[tuple[float, int, bool, bytes]] = []

    def say(self, time_s: float, message: str, **values: float) -> None:
        told = self.database.get_message_by_name(message)
        blank = {signal.name: 0.0 for signal in told.signals}
        data = bytearray(told.encode(blank | values))
        if "sum" in blank:
            data[7] = (ORION_SUMS[told.frame_id] + sum(data[:7])) & 0xFF
        self.rows.append((time_s, told.frame_id, told.is_extended_frame, bytes(data)))

    def raw(self, time_s: float, identifier: int, data: bytes) -> None:
        self.rows.append((time_s, identifier, False, data))

    def frames(self) -> CanFrames:
        rows = sorted(self.rows, key=lambda row: row[0])
        data = np.array([list(row[3].ljust(8, b"\0")) for row in rows], np.uint8)
        return frames.from_rows(
            np.array([row[0] for row in rows]),
            np.array([row[1] for row in rows], np.uint32),
            data,
            length=np.array([len(row[3]) for row in rows], np.uint16),
            flags=np.array([EXTENDED if row[2] else 0 for row in rows], np.uint8),
        )


def heard(profile: str, spoken: CanFrames) -> dict[str, list[float]]:
    plan = open_profile(profile).plan
    decoded = decoding.decode(plan, spoken)
    columns = {name: decoding.column(plan, decoded, name).values.tolist() for name in plan.signals}
    return {name: values for name, values in columns.items() if values}


@pytest.mark.parametrize("name", list(THEIRS))
def test_every_message_that_they_say_is_understood(name: str) -> None:
    dice, speaker = np.random.default_rng(3), Speaker(name)
    plain = [m for m in speaker.database.messages if m.name not in ("Cell", "Probe")]
    said = []
    for k in range(50):
        for message in plain:
            values = {}
            for signal in message.signals:
                low = -(2 ** (signal.length - 1)) if signal.is_signed else 0
                raw = int(dice.integers(low, low + 2**signal.length))
                values[signal.name] = raw * float(signal.conversion.scale) + float(signal.conversion.offset)
            speaker.say(0.1 * k, message.name, **values)
            said += [(message.name, signal, value) for signal, value in values.items() if signal != "sum"]
    found = heard(name, speaker.frames())
    for message, signal, value in said:
        assert found[f"{message}.{signal}"].pop(0) == pytest.approx(value, abs=1e-9)


def test_orions_published_frames_pass_their_checksums() -> None:
    """Frames that users of the default template published."""
    speaker = Speaker("orion")
    for identifier, data in ((0x6B0, "00320AF7A0158626"), (0x6B1, "0014000222130004"), (0x6B2, "000297F202F248C7")):
        speaker.raw(0.0, identifier, bytes.fromhex(data))
    found = heard("orion", speaker.frames())
    assert found["Pack.current_A"] == [pytest.approx(5.0)]
    assert found["Pack.pack_V"] == [pytest.approx(280.7)]
    assert found["Pack.soc"] == [pytest.approx(0.8)]
    assert (found["Limits.discharge_A"], found["Limits.highest_degC"], found["Limits.lowest_degC"]) == (
        [20],
        [34],
        [19],
    )
    assert found["Extremes.cells"] == [72]
    speaker.raw(1.0, 0x6B0, bytes.fromhex("00330AF7A0158626"))
    assert len(heard("orion", speaker.frames())["Pack.current_A"]) == 1, "a wrong checksum is dropped"


def test_orions_cells_and_probes_take_turns() -> None:
    speaker = Speaker("orion")
    for k in range(180):
        speaker.say(0.01 * k, "Cell", which=k, cell_V=3.0 + 0.005 * k, resistance_ohm=0.001, open_V=3.1, bleeding=k % 2)
    for k in range(80):
        speaker.say(0.01 * k, "Probe", which=k, probe_degC=k - 40)
    found = heard("orion", speaker.frames())
    assert [found[f"Cell.cell_V_{n}"] for n in (1, 90, 180)] == [[pytest.approx(3.0 + 0.005 * k)] for k in (0, 89, 179)]
    assert (found["Cell.bleeding_1"], found["Cell.bleeding_2"]) == ([0.0], [1.0])
    assert found["Cell.resistance_ohm_7"] == [pytest.approx(0.001)]
    assert [found[f"Probe.probe_degC_{n}"] for n in (1, 80)] == [[-40.0], [39.0]]


def test_teslas_cells_come_three_by_three_while_the_status_allows() -> None:
    speaker = Speaker("battery_emulator_tesla")
    for k in range(32):
        volts = b"".join(int(30_000 + 10 * (3 * k + i)).to_bytes(2, "little") for i in range(3))
        speaker.raw(0.01 * k, 0x401, bytes([k, 0x2A]) + volts)
        speaker.raw(0.01 * k + 0.005, 0x401, bytes([k, 0x15]) + b"\xff" * 6)
    speaker.raw(1.0, 0x332, bytes([0, 0, 0x61, 0x60, 0, 0]))
    speaker.raw(1.1, 0x332, bytes([(1800 << 2 | 1) & 0xFF, 1800 >> 6, 1750 & 0xFF, 1750 >> 8, 0, 0]))
    found = heard("battery_emulator_tesla", speaker.frames())
    assert [found[f"Cells.cell_V_{n}"] for n in range(1, 97)] == [[pytest.approx(3.0 + 0.001 * k)] for k in range(96)]
    assert (found["Extremes.highest_degC"], found["Extremes.lowest_degC"]) == ([8.5], [8.0])
    assert (found["Extremes.highest_V"], found["Extremes.lowest_V"]) == ([pytest.approx(3.6)], [pytest.approx(3.5)])


def drive(name: str, seconds: float) -> tuple[CanFrames, pl.DataFrame]:
    """Three simulated cells that give 30 A to 50 A, as the system says it, and what was measured, at 10 Hz."""
    speaker, rows = Speaker(name), []
    cell = load_pack(str(SMALL)).cell
    cells = [TrueCell(soc=0.70 + 0.01 * n) for n in range(3)]
    time_s = np.arange(0.0, seconds, 0.1)
    amps = np.round(40.0 + 10.0 * np.sin(time_s / 7.0), 1)
    sign = -1.0 if name in CHARGE_IS_POSITIVE else 1.0
    for k, t in enumerate(time_s):
        cells = [live(cell, one, amps[k], 22.0, 0.1) for one in cells]
        volts = [round(one.terminal_V, 4) for one in cells]
        speaker.say(t + 1e-3, "Pack", current_A=sign * amps[k], pack_V=round(sum(volts), 1))
        if name == "battery_emulator_tesla":
            raw = b"".join(round(v * 1e4).to_bytes(2, "little") for v in volts)
            speaker.raw(t + 2e-3, 0x401, bytes([0, 0x2A]) + raw)
        else:
            for n in range(3):
                speaker.say(t + 2e-3 + 0.008 * n, "Cell", which=n, cell_V=volts[n])
        if name == "orion":
            speaker.say(t + 3e-3, "Probe", which=k % 2, probe_degC=22 + k % 2)
        rows.append((t + 0.1, amps[k], *volts, 22.0, 23.0))
    names = ["time_s", "current_A", "cell_V_1", "cell_V_2", "cell_V_3", "cell_degC_1", "cell_degC_2"]
    return speaker.frames(), pl.DataFrame(rows, schema=names, orient="row")


def recorded(path: Path, some: CanFrames) -> Path:
    with writer(path) as made:
        made.take(some)
    return path


@pytest.mark.parametrize("name", REPLAYED)
def test_current_that_discharges_is_positive(tmp_path: Path, name: str) -> None:
    spoken, table = drive(name, 20.0)
    log = logs.open_profile_log(recorded(tmp_path / "bus.log", spoken), open_profile(name), load_pack(str(SMALL)))
    found = next(log.blocks()).frames
    assert np.median(found.string_A[5:, 0]) == pytest.approx(table["current_A"].median(), abs=2.0)
    assert found.cell_V[50, 0, 2] == pytest.approx(table["cell_V_3"][50], abs=2e-3)


@pytest.mark.parametrize("name", ["battery_emulator_pylon", "battery_emulator_byd"])
def test_a_system_that_tells_no_cells_is_not_replayed(tmp_path: Path, name: str) -> None:
    speaker = Speaker(name)
    speaker.say(0.0, "Pack", current_A=-5.0, pack_V=370.0)
    path = recorded(tmp_path / "bus.log", speaker.frames())
    assert heard(name, speaker.frames())["Pack.current_A"] == [-5.0]
    with pytest.raises(ConfigurationError, match="do not tell the voltage of each cell"):
        replay(path, str(SMALL), None, tmp_path / "out", True, False, profile=name)


def test_orions_drive_is_answered_as_the_log_of_readings(tmp_path: Path) -> None:
    spoken, table = drive("orion", 300.0)
    table.write_csv(tmp_path / "drive.csv")
    replay(tmp_path / "drive.csv", str(SMALL), None, tmp_path / "direct", True, False)
    path = recorded(tmp_path / "orion.blf", spoken)
    replay(path, str(SMALL), None, tmp_path / "orion", True, False, profile="orion")
    ours, theirs = (pl.read_parquet(tmp_path / where / "results.parquet") for where in ("direct", "orion"))
    soc = next(name for name in ours.columns if name.startswith("soc"))
    both = ours.join_asof(theirs, on="time_s", tolerance=0.06, strategy="nearest", suffix="_theirs")
    apart = (both[soc] - both[f"{soc}_theirs"]).abs()[20:]
    assert float(ours[soc][-1]) < float(ours[soc][20]) - 0.01, "the drive moves charge"
    assert apart.null_count() < 5
    assert float(apart.max()) < 0.002


def test_a_copy_of_the_users_with_another_identifier(tmp_path: Path) -> None:
    shelf = Path(profiles.__file__).parent / "orion.toml"
    mine = tmp_path / "mine.toml"
    text = shelf.read_text().replace("0x6B0", "0x123").replace("checksum_init = 0xB8", "checksum_init = 0x2B")
    mine.write_text(text)
    assert open_profile(str(mine)).plan.messages[0].id == 0x123
    assert mapping(open_profile(str(mine)), load_pack(str(SMALL))).cell_voltage.names[-1] == "Cell.cell_V_3"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("start = 7, bits = 16, scale = 0.1", "start = 700, bits = 16, scale = 0.1"), "ends in byte"),
        (("bits = 16, scale = 0.1", "bits = 99, scale = 0.1"), "less than or equal to 64|1 to 64"),
        (("about =", "abuot ="), "did you mean about"),
        (('columns = "Pack.current_A"', 'columns = "Pack.amps"'), "nearest: Pack.current_A|it has|no signal"),
    ],
)
def test_wrong_profiles_are_one_line(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    text = (Path(profiles.__file__).parent / "orion.toml").read_text().replace(*change, 1)
    mine = tmp_path / "mine.toml"
    mine.write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        logs.open_profile_log(tmp_path / "bus.log", open_profile(str(mine)), load_pack(str(SMALL)))
    assert str(mine) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_two_descriptions_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean orion"):
        open_profile("orino")
    path = recorded(tmp_path / "bus.log", drive("orion", 1.0)[0])
    with pytest.raises(ReadError, match="leave one of them out"):
        signals(path, tmp_path / "x.dbc", None, True, "orion")
    with pytest.raises(ReadError, match="leave out --dbc and --map"):
        replay(path, str(SMALL), tmp_path / "x.toml", tmp_path / "out", True, False, profile="orion")


@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_says_its_sources_and_what_may_be_edited(name: str) -> None:
    raw = tomllib.loads((Path(profiles.__file__).parent / f"{name}.toml").read_text())
    assert raw["about"]
    assert raw["editable"]
    assert len(raw["sources"]) >= 2
    assert not re.search(r"\bTODO\b", str(raw))
    assert set(THEIRS) == set(profiles.names())
