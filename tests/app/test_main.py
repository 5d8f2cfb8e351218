"""The command line: what it prints, and that every expected failure is one line on stderr and exit code 2."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner, Result

from packhorse import __version__
from packhorse.app.main import app

VEHICLES = Path(__file__).parents[1] / "vehicles"
SMALL = ["--pack", str(VEHICLES / "small.toml"), "--map", str(VEHICLES / "small.map.toml")]


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def process(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "packhorse.app.main", *words]
    return subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=120, check=False
    )


def small_log(path: Path) -> Path:
    k = np.arange(60.0)
    columns = {"clock": k, "amps": 0.0 * k, "temp_1": 22.0 + 0.0 * k, "temp_2": 23.0 + 0.0 * k}
    pl.DataFrame(columns | {f"volts_{n}": 3.7 + 0.0 * k for n in (1, 2, 3)}).write_parquet(path)
    return path


def test_help_teaches_and_imports_nothing_heavy() -> None:
    done = process("--help")
    assert done.returncode == 0
    assert "packhorse replay log.csv --pack mine.toml" in done.stdout
    heavy = "import sys, packhorse.app.main; print({'numpy','numba','polars','pydantic'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.strip() == "set()"


def test_version() -> None:
    assert call("--version").output.strip() == f"packhorse {__version__}"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("packhorse replay log --pack he", "heavy"),
        ("packhorse run --cycle ur", "urban"),
        ("packhorse pack show cells/l", "cells/lfp_280"),
    ],
)
def test_completion_offers_the_catalogue(words: str, wanted: str) -> None:
    asked = CliRunner().invoke(
        app,
        prog_name="packhorse",
        env={"_PACKHORSE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)},
    )
    assert wanted in asked.output.split()


def test_a_small_log_is_replayed_by_the_real_program(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.parquet")
    done = process("replay", str(log), *SMALL, "-o", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 60
    assert (tmp_path / "out" / "report.html").exists()


def test_every_entry_of_the_catalogue_is_listed_shown_and_sound() -> None:
    rows = [line.split()[:2] for line in call("pack", "list").output.splitlines()]
    assert {kind for kind, _ in rows} == {"pack", "cell", "truck", "cycle"}
    for kind, name in rows:
        checked = call("pack", "check", f"{kind}s/{name}")
        assert checked.exit_code == 0, checked.output
        assert checked.output.startswith("sound")
        assert "name = " in call("pack", "show", f"{kind}s/{name}").output


def test_a_shown_pack_can_be_copied_and_checked(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(call("pack", "show", "medium").output, encoding="utf-8")
    facts = json.loads(call("pack", "check", str(mine), "--json").output)
    assert "kWh" in facts["nominal"]


def test_a_closed_pipe_is_no_traceback() -> None:
    script = f"'{sys.executable}' -m packhorse.app.main pack show heavy | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603, S607
    assert "Traceback" not in done.stderr


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    log = small_log(tmp_path / "log.parquet")
    (tmp_path / "cut.parquet").write_bytes(log.read_bytes()[:-40])
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.toml").write_text("name = [")
    (tmp_path / "typo.toml").write_text('name = "x"\nseriess = 3\n')
    (tmp_path / "back.csv").write_text("time_s,speed_m_per_s\n0,0\n1,-3\n2,0\n")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    return tmp_path


BAD = [
    (["replay", "none.parquet", *SMALL], "no such file"),
    (["replay", "empty.csv", *SMALL], "the file is empty"),
    (["replay", "cut.parquet", *SMALL], "cut off or damaged"),
    (["replay", "log.parquet", "--pack", "broken.toml"], "not valid TOML"),
    (["replay", "log.parquet", "--pack", "hevy"], "did you mean heavy"),
    (["replay", "log.parquet", *SMALL, "-o", "full"], "holds other files"),
    (["replay", "log.parquet", *SMALL, "-o", "x" * 300], "too long"),
    (["pack", "check", "broken.toml"], "not valid TOML"),
    (["pack", "check", "typo.toml", "--json"], "did you mean series"),
    (["pack", "check", "hevy"], "did you mean heavy"),
    (["pack", "show", "lfp_208"], "did you mean lfp_280"),
    (["run", "--truck", "hevy"], "did you mean heavy"),
    (["run", "--cycle", "urbn", "--json"], "did you mean urban"),
    (["run", "--cycle", "back.csv"], "speed in line 3 is negative"),
    (["run", "--fault", "cell_shirt@3"], "did you mean cell_short"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    words: list[str], said: str, bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad)
    before = sorted(bad.rglob("*"))
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert re.fullmatch(r"packhorse: [^\n]+\n", done.stderr), done.stderr
    assert said in done.stderr
    assert [path for path in sorted(bad.rglob("*")) if path.name != "out"] == before


def test_the_real_program_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = process("replay", str(tmp_path / "none.csv"), "--pack", "heavy", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert process("replay").returncode == 2


def test_a_full_disk_leaves_no_results(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bad)
    call("replay", "log.parquet", *SMALL, "-o", str(bad / "out" / "warm"))  # compiled code is written to disk, too
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        done = call("replay", "log.parquet", *SMALL, "-o", "results")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.exit_code == 2
    assert "disk is full" in done.stderr
    assert not [path for path in bad.iterdir() if "results" in path.name]


def test_a_benchmark_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("packhorse.__file__", str(tmp_path / "src" / "packhorse" / "__init__.py"))
    done = call("bench", "core")
    assert done.exit_code == 2
    assert "no such benchmark" in done.stderr
