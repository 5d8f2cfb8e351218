"""`packhorse identify`: a cell that was made up is found again, and what cannot be is refused in one line."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import laboratory
from commands import call, refuses
from packhorse.app.main import app
from packhorse.app.several import repeated
from packhorse.cell import physics
from packhorse.io.cell_logs import CellLog
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell

WARM, COOL = 25.0, 10.0
MIDDLE = np.linspace(0.2, 0.95, 16)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A laboratory of two temperatures, one file for each test."""
    folder = tmp_path_factory.mktemp("laboratory")
    for degC in (WARM, COOL):
        for test in (laboratory.slow, laboratory.pulses, laboratory.discharge, laboratory.drive):
            laboratory.write(test(degC), folder)
    laboratory.write(laboratory.drive(WARM, seed=2), folder)
    return folder


def words_of(folder: Path, *degrees: float) -> list[object]:
    """The words of the command line for all logs of some temperatures, as a shell writes them."""
    words: list[object] = []
    for flag, stem in (("--ocv", "slow"), ("--pulse", "pulses"), ("--capacity", "discharge"), ("--drive", "drive")):
        words += [flag, *(path for degC in degrees for path in sorted(folder.glob(f"{stem}_{degC:g}*.parquet")))]
    return words


def shuffled(log: CellLog) -> CellLog:
    """The same log with seconds that are missing and seconds that come twice."""
    dice = np.random.default_rng(3)
    rows = np.flatnonzero(dice.random(log.time_s.size) > 0.02)
    rows = np.sort(np.append(rows, dice.choice(rows, 40)))
    return CellLog(log.name, *(column[rows] for column in log[1:]))


def fine(log: CellLog) -> CellLog:
    """The same log with ten rows for each."""
    time_s = np.linspace(log.time_s[0], log.time_s[-1], 10 * (log.time_s.size - 1) + 1)
    row = np.searchsorted(log.time_s, time_s - 1e-9)
    columns = (np.interp(time_s, log.time_s, log.cell_V), log.cell_degC[row])
    return CellLog(log.name, time_s, log.current_A[row], *columns)


def must_be_the_cell(path: Path, degC: float, r0_share: float = 0.1) -> None:
    """OCV within some mV and R0 within 10 % of the truth in the middle, capacity within 0.5 %."""
    found, true = compile_cell(load_cell(str(path))), laboratory.cell()
    size_Ah = found.capacity_Ah * physics.over_degC(found.degC_nodes, degC, 2)
    assert size_Ah == pytest.approx(laboratory.capacity_Ah(degC), rel=0.005)
    for soc in MIDDLE:
        ocv_V, _, r0, r1, r2 = physics.parameters(found.nodes, soc, degC)
        true_V, _, *ohms = physics.parameters(true.nodes, soc, degC)
        assert ocv_V == pytest.approx(true_V, abs=0.005), soc
        assert r0 == pytest.approx(ohms[0], rel=r0_share), soc
        assert r0 + r1 + r2 == pytest.approx(sum(ohms), rel=0.1), soc


def test_a_cell_is_found_again(logs: Path, tmp_path: Path) -> None:
    cell, report, bpx = tmp_path / "new" / "cell.toml", tmp_path / "cell.html", tmp_path / "cell.json"
    words = [*words_of(logs, WARM, COOL), "--chemistry", "nmc", "-o", cell, "--report", report, "--bpx", bpx, "--json"]
    done = call("identify", *words)
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["logs"] == 9
    assert facts["notes"] == []
    assert facts["files"] == [str(cell), str(bpx), str(report)]
    assert [row["degC"] for row in facts["temperatures"]] == [COOL, WARM]
    assert all(row["drive_V"] < 0.01 for row in facts["temperatures"])
    for degC in (WARM, COOL):
        must_be_the_cell(cell, degC)
    back = tmp_path / "back.toml"
    assert call("identify", "--from-bpx", bpx, "-o", back).exit_code == 0
    assert load_cell(str(back)) == load_cell(str(cell))
    must_be_a_page(report.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Counts drawings and notes every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.figures, self.scripts = 0, 0
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.figures += tag == "figure"
        self.scripts += tag == "script"
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in ("meta", "link", "line", "path", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "path"):
            assert self.open.pop() == tag


def must_be_a_page(report: str) -> None:
    """Every plot is there, every element is closed, and nothing comes from outside."""
    page = Page()
    page.feed(report)
    assert page.open == []
    assert page.figures == 8 + 2 * (2 * 2 + 2)
    assert (page.scripts, page.addresses) == (0, [])
    assert "default-src 'none'" in report
    assert not re.search(r"@import|url\(|NaN|nan", report)
    assert "%%" not in report


def test_broken_seconds_and_other_rates_change_little(tmp_path: Path) -> None:
    slow = laboratory.write(laboratory.slow(WARM), tmp_path)
    drive = laboratory.write(fine(laboratory.drive(WARM)), tmp_path)
    pulses = laboratory.write(shuffled(laboratory.pulses(WARM)), tmp_path)
    done = call("identify", "--ocv", slow, "--drive", drive, "--pulse", pulses, "-o", tmp_path / "cell.toml")
    assert done.exit_code == 0, done.output
    assert "1 of 3 logs: of" in done.stdout
    assert "40 with a time that came again" in " ".join(done.stdout.split())
    must_be_the_cell(tmp_path / "cell.toml", WARM)


def test_the_summary_fits_a_screen_and_says_what_to_doubt(logs: Path, tmp_path: Path) -> None:
    words = ["--ocv", logs / "slow_25.parquet", "-o", tmp_path / "alone.toml"]
    done = call("identify", *words)
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) <= 24
    said = " ".join(done.stdout.split())
    assert "one temperature only, 25 degC" in said
    assert "no pulse test and no drive" in said
    assert "chemistry told from the shape of the OCV: nmc" in said
    cell = load_cell(str(tmp_path / "alone.toml"))
    assert any(source.startswith("one temperature only") for source in cell.sources)


def test_what_no_slow_test_saw_is_said(logs: Path, tmp_path: Path) -> None:
    words = ["--ocv", logs / "slow_25.parquet", "--pulse", logs / "pulses_25.parquet", logs / "pulses_10.parquet"]
    done = call("identify", *words, "-o", tmp_path / "cell.toml", "--json")
    assert done.exit_code == 0, done.output
    assert "no slow test at 10 degC: capacity and OCV there are those of" in " ".join(json.loads(done.stdout)["notes"])


def test_logs_of_the_same_name_and_slow_rows_are_told_apart(tmp_path: Path) -> None:
    every = laboratory.drive(WARM)
    coarse = CellLog("log", *(column[::30] for column in every[1:]))
    folders = {name: tmp_path / name for name in ("slow", "drive", "pulses")}
    for folder, log in zip(folders.values(), (laboratory.slow(WARM), coarse, laboratory.pulses(WARM)), strict=True):
        folder.mkdir()
        laboratory.write(log._replace(name="log"), folder)
    cell, report = tmp_path / "cell.json", tmp_path / "cell.html"
    words = ["--ocv", folders["slow"] / "log.parquet", "--pulse", folders["pulses"] / "log.parquet"]
    words += ["--drive", folders["drive"] / "log.parquet", "-o", cell, "--report", report, "--json"]
    done = call("identify", *words)
    assert done.exit_code == 0, done.output
    assert any("drive/log has a row every 30 s" in note for note in json.loads(done.stdout)["notes"])
    said = report.read_text(encoding="utf-8")
    for name, kind in (("slow", "slow test"), ("drive", "drive"), ("pulses", "pulse test")):
        assert f"<td>{folders[name] / 'log'}</td><td>{kind}</td>" in said
    assert '"BPX"' in cell.read_text(encoding="utf-8")


@pytest.fixture
def bad(logs: Path, tmp_path: Path) -> Path:
    """Files that are wrong, beside sound ones."""
    for path in logs.iterdir():
        (tmp_path / path.name).symlink_to(path)
    turned = laboratory.drive(WARM)
    laboratory.write(turned._replace(name="turned", current_A=-turned.current_A), tmp_path)
    slow = laboratory.slow(WARM)
    laboratory.write(slow._replace(name="silent", cell_degC=np.full(slow.time_s.size, np.nan)), tmp_path)
    (tmp_path / "cut.parquet").write_bytes((logs / "drive_25_1.parquet").read_bytes()[:-40])
    (tmp_path / "none.json").write_text("{}")
    (tmp_path / "folder.toml").mkdir()
    return tmp_path


SLOW, OUT = ["--ocv", "slow_25.parquet"], ["-o", "cell.toml"]
BAD = [
    (["--drive", "drive_25_1.parquet", *OUT], "open-circuit voltage is missing, drive_25_1.parquet alone"),
    ([*OUT], "open-circuit voltage is missing, no log was given"),
    (["--ocv", "drive_25_1.parquet", *OUT], "no whole slow discharge or charge in drive_25_1"),
    ([*SLOW, "--pulse", "discharge_25.parquet", *OUT], "discharge_25.parquet: no pulses in it"),
    ([*SLOW, "--drive", "turned.parquet", *OUT], "turned.parquet: the current has the wrong sign"),
    ([*SLOW, "--drive", "cut.parquet", *OUT], "cut.parquet: cut off or damaged"),
    ([*SLOW, "--drive", "drive_25_1.parquet", "nowhere.parquet", *OUT], "nowhere.parquet: no such file"),
    ([*SLOW, "slow_25.parquet", *OUT], "given more than once"),
    (["--ocv", "silent.parquet", *OUT], "silent.parquet: no temperature in the log"),
    (["--ocv", "silent.parquet", "--degC", "298", *OUT], "give degrees Celsius"),
    ([*SLOW, "--chemistry", "lpf", *OUT], "no such chemistry; did you mean lfp?"),
    ([*SLOW, "--chemistry", "lfp", *OUT], "is not flat as that of lfp"),
    ([*SLOW, "-o", "cell.xml"], "cell.xml: give a name that ends in .toml"),
    ([*SLOW, "-o", "folder.toml"], "is a folder"),
    ([*SLOW, *OUT, "--report", "cell.pdf"], "give a name that ends in .html"),
    ([*SLOW, *OUT, "--map", "nowhere.toml"], "nowhere.toml"),
    (["--from-bpx", "none.json", *OUT], "this is no BPX file"),
    (["--from-bpx", "none.json", *SLOW, *OUT], "leave out the logs"),
    (["--from-bpx", "none.json", "-o", "none.json"], "is named twice"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    words: list[str], said: str, bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad)
    refuses(said, "identify", *words)


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["--drive", "a", "b", "-o", "c"], ["--drive", "a", "--drive", "b", "-o", "c"]),
        (["--drive", "a", "--drive", "b"], ["--drive", "a", "--drive", "b"]),
        (["--drive=a", "b", "c", "--json"], ["--drive=a", "--drive", "b", "--drive", "c", "--json"]),
        (["--degC", "-10", "--drive", "a"], ["--degC", "-10", "--drive", "a"]),
        (["-o", "c", "stray"], ["-o", "c", "stray"]),
        ([], []),
    ],
)
def test_files_after_one_flag(words: list[str], same: list[str]) -> None:
    assert repeated(words, {"--drive", "--ocv"}) == same


def test_completion_offers_chemistries() -> None:
    words = "packhorse identify --chemistry n"
    env = {"_PACKHORSE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    assert CliRunner().invoke(app, prog_name="packhorse", env=env).output.split() == ["nmc", "nca"]
