"""Log files as tables of columns: Parquet read piece by piece, CSV read whole, every fault said in one line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from packhorse.io.errors import ReadError
from packhorse.io.mapping import nearest

KINDS = (".parquet", ".csv", ".csv.gz")
NO_READING = ["", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "-"]
BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError)


class Table:
    """A log on disk: its columns, how many rows it has, and its rows in order, some at a time."""

    def __init__(self, path: Path, frame: pl.LazyFrame, schema: pl.Schema, rows: int, first_line: int) -> None:
        self.path = path
        self.columns: list[str] = schema.names()
        self.schema = schema
        self.rows = rows
        self.first_line = first_line
        self._frame = frame

    def must_have(self, columns: Sequence[str], section: str) -> None:
        """Refuse a mapping that names columns which are not there, with the nearest that are."""
        have = set(self.columns)
        missing = [name for name in columns if name not in have]
        if missing:
            more = f" (and {len(missing) - 1} more of [{section}])" if len(missing) > 1 else ""
            raise ReadError(
                f"{self.path}: no column {missing[0]}, named in [{section}] of the mapping{more}; "
                f"{nearest(missing[0], self.columns)}"
            )

    def blocks(self, columns: Sequence[str], rows: int) -> Iterator[pl.DataFrame]:
        """The named columns, `rows` at a time."""
        for begin in range(0, self.rows, rows):
            try:
                yield self._frame.select(columns).slice(begin, rows).collect()
            except BROKEN as error:
                raise broken(self.path, error) from error

    def line(self, row: int) -> str:
        """Where a row is, in words that help to find it."""
        return f"line {row + self.first_line}" if self.first_line > 0 else f"row {row + 1}"


def broken(path: Path, error: BaseException) -> ReadError:
    """A file that is not what its name says, with the first line of the reader's complaint."""
    said = str(error).strip().splitlines()
    reason = said[0][:160] if said else type(error).__name__
    return ReadError(f"{path}: cut off or damaged ({reason}); copy or record it again")


def open_table(path: Path) -> Table:
    """A log file, by its suffix."""
    if not path.is_file():
        raise ReadError(f"{path}: no such file; give a log as {', '.join(KINDS)}")
    if path.stat().st_size == 0:
        raise ReadError(f"{path}: the file is empty; record or copy it again")
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        table = _csv(path)
    elif name.endswith((".parquet", ".pq")):
        table = _parquet(path)
    else:
        raise ReadError(f"{path}: unknown kind of file; give a log as {', '.join(KINDS)}")
    if table.rows == 0:
        raise ReadError(f"{path}: has columns but no rows; record or copy it again")
    return table


def _parquet(path: Path) -> Table:
    try:
        frame = pl.scan_parquet(path, glob=False)
        rows = int(frame.select(pl.len()).collect().item())
        return Table(path, frame, frame.collect_schema(), rows, first_line=0)
    except BROKEN as error:
        raise broken(path, error) from error


def _csv(path: Path) -> Table:
    """A CSV read as text; numbers are taken from it column by column, so that a wrong one can be pointed at."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.name.lower().endswith(".gz") else path.read_bytes()
        content = content.removeprefix(b"\xef\xbb\xbf")
        head = content.split(b"\n", 1)[0].decode("utf-8").strip("\r")
        separator = max(",;\t", key=head.count)
        _whole(path, content, head, separator)
        frame = pl.read_csv(content, separator=separator, infer_schema=False, null_values=NO_READING)
    except (EOFError, zlib.error, *BROKEN) as error:
        raise broken(path, error) from error
    return Table(path, frame.lazy(), frame.schema, frame.height, first_line=2)


def _whole(path: Path, content: bytes, head: str, separator: str) -> None:
    """Refuse a header that says a name twice or not at all, and a last line that stops before its end."""
    names = [name.strip().strip('"') for name in head.split(separator)]
    if not any(names):
        raise ReadError(f"{path}: the first line is empty; it must name the columns")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(f"{path}: the header names column {twice[0]!r} more than once; rename one of them")
    lines = content.rstrip(b"\r\n").rsplit(b"\n", 1)
    if len(lines) == 2 and b'"' not in lines[1]:
        found = lines[1].count(separator.encode()) + 1
        if found < len(names) and not content.endswith(b"\n"):
            raise ReadError(
                f"{path}: the last line has {found} of {len(names)} columns: the file is cut off; "
                "remove that line or copy the file again"
            )


def numbers(table: Table, block: pl.DataFrame, columns: Sequence[str], first_row: int) -> pl.DataFrame:
    """Columns as float64; text that is no number is refused with its place."""
    for name in columns:
        kind = block.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
            raise ReadError(f"{table.path}: column {name} holds {kind}, not numbers; map another column")
    texts = [name for name in columns if block.schema[name] == pl.String]
    taken = block.select(columns)
    if texts:
        taken = taken.with_columns(pl.col(texts).str.strip_chars())
        taken = taken.with_columns(
            pl.when(pl.col(name).is_in(NO_READING)).then(None).otherwise(pl.col(name)).alias(name) for name in texts
        )
    out = taken.with_columns(pl.col(columns).cast(pl.Float64, strict=False))
    for name in texts:
        wrong = (out[name].is_null() & taken[name].is_not_null()).arg_true()
        if len(wrong) > 0:
            row = int(wrong[0])
            found = str(taken[name][row])[:40]
            hint = "write decimals with a point" if "," in found else "correct it or leave it empty"
            raise ReadError(
                f"{table.path}: column {name}, {table.line(first_row + row)}: {found!r} is not a number; {hint}"
            )
    return out
