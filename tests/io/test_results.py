"""Results appear whole or not at all."""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.io import results
from packhorse.io.errors import WriteError

TABLE = pl.DataFrame({"time_s": np.random.default_rng(1).uniform(size=60_000)})


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_results_appear_and_are_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    results.write(out, {"a.parquet": results.parquet(TABLE), "b.html": results.text("one")})
    results.write(out, {"a.parquet": results.parquet(TABLE[:5]), "b.html": results.text("zwei ±")})
    assert files(out.parent) == ["out"]
    assert files(out) == ["a.parquet", "b.html"]
    assert pl.read_parquet(out / "a.parquet").equals(TABLE[:5])
    assert (out / "b.html").read_text(encoding="utf-8") == "zwei ±"


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(WriteError, match=r"holds other files \(thesis.tex\)"):
        results.write(tmp_path, {"b.html": results.text("x")})
    assert files(tmp_path) == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(WriteError, match="is a file"):
        results.write(tmp_path / "out", {"b.html": results.text("x")})


def test_a_writer_that_fails_leaves_what_was_there_before(tmp_path: Path) -> None:
    def fails(_path: Path) -> None:
        raise OSError(5, "Input/output error")

    out = tmp_path / "out"
    results.write(out, {"a.txt": results.text("old"), "b.txt": results.text("old")})
    with pytest.raises(WriteError, match="cannot be written"):
        results.write(out, {"a.txt": results.text("new"), "b.txt": fails})
    assert files(tmp_path) == ["out"]
    assert (out / "a.txt").read_text() == "old"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("needs root to mount a tiny disk")
    done = subprocess.run(  # noqa: S603 - a fixed command
        [mount, "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip(f"a tiny disk cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, str(folder)], check=True)  # noqa: S603 - a fixed command


@pytest.mark.parametrize("kind", ["table", "text"])
def test_a_full_disk_is_said_in_one_line_and_nothing_is_left(kind: str, tiny_disk: Path) -> None:
    big = results.parquet(TABLE) if kind == "table" else results.text("x" * 200_000)
    with pytest.raises(WriteError, match="disk is full, nothing was written; free some space") as caught:
        results.write(tiny_disk / "out", {"small.txt": results.text("fits"), "big": big})
    assert "\n" not in str(caught.value)
    assert files(tiny_disk) == []


def test_a_limit_on_file_size_leaves_nothing_behind(tmp_path: Path) -> None:
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, was[1]))
    try:
        with pytest.raises(WriteError) as caught:
            results.write(tmp_path / "out", {"small.txt": results.text("fits"), "big": results.text("x" * 200_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
        signal.signal(signal.SIGXFSZ, before)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == []
