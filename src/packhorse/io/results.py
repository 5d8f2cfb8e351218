"""Results out: a folder of files that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from packhorse.io.errors import Error, WriteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
PROBE_BYTES = 65_536
Writer = Callable[[Path], None]


def check(folder: Path, names: set[str]) -> None:
    """Refuse, before any work is done, a folder that cannot or must not be written."""
    if folder.exists():
        if not folder.is_dir():
            raise WriteError(f"{folder}: is a file; give a folder for the results")
        others = sorted(entry.name for entry in folder.iterdir() if entry.name not in names)
        if others:
            raise WriteError(f"{folder}: holds other files ({others[0]}); give a new or empty folder for the results")
    with said(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(folder.parent, os.W_OK):
            raise WriteError(f"{folder.parent}: may not be written; give another folder for the results")


def write(folder: Path, writers: dict[str, Writer]) -> None:
    """Write every file beside the folder first, then put all in its place at once; what was there is replaced."""
    check(folder, set(writers))
    with said(folder):
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            fresh, old = beside / "new", beside / "old"
            fresh.mkdir()
            for name, writer in writers.items():
                writer(fresh / name)
                _to_disk(fresh / name)
            _to_disk(fresh)
            if folder.exists():
                folder.rename(old)
            try:
                fresh.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
            _to_disk(folder.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def parquet(table: pl.DataFrame) -> Writer:
    """Writes a table as Parquet."""
    return lambda path: table.write_parquet(path, compression="zstd", statistics=True)


def text(content: str) -> Writer:
    """Writes text as UTF-8."""

    def writer(path: Path) -> None:
        path.write_text(content, encoding="utf-8")

    return writer


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk and not only in its cache."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def said(folder: Path) -> Iterator[None]:
    """What a disk or a table writer complains of, in one line with its remedy."""
    try:
        yield
    except Error:
        raise
    except (OSError, pl.exceptions.PolarsError) as error:
        if is_full(folder, error):
            raise WriteError(
                f"{folder}: the disk is full, nothing was written; free some space or give another folder"
            ) from error
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise WriteError(f"{folder}: cannot be written ({reason[0][:160]}); give another folder") from error


def is_full(path: Path, error: Exception) -> bool:
    """Whether a full disk is behind an error; where the table writer does not say, a small file is tried."""
    if getattr(error, "errno", None) in FULL or any(os.strerror(code) in str(error) for code in FULL):
        return True
    if isinstance(error, OSError):
        return False
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(bytes(PROBE_BYTES))
            probe.flush()
    except OSError as tried:
        return tried.errno in FULL
    return False
