"""From a description back to TOML that people like to read: rows of tables aligned, numbers with six digits.

Written by walking the description's own fields, so that a field added there is written here. `pack.load` reads it.
"""

from __future__ import annotations

import json
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from itertools import pairwise

from pydantic import BaseModel, ValidationError

from packhorse.pack.description import CellFile

DIGITS = 6
"""What measurements deserve, and more than a tester has."""
EXACT_DIGITS = 17
"""Every bit of a float64; where fewer digits would make two points one."""
PER_LINE = 10
"""Values of a long list to a line; the same for every list, so that points stand below each other."""
ONE_LINE = 14
"""A list of no more values, if they fit, needs no second line."""
WIDTH = 118


def cell_toml(cell: CellFile, heading: str = "", notes: Mapping[str, str] | None = None) -> str:
    """A cell file as TOML. `notes` are comments by dotted name: `{"ocv.ocv_V": "C/20, mean of both directions"}`.

    Reading it back gives the same cell to six digits. Raises TypeError for a field that TOML cannot hold.
    """
    text = described_toml(cell, heading, notes)
    try:
        CellFile.model_validate(tomllib.loads(text))
    except ValidationError:  # a value so near to a bound that six digits step over it
        return described_toml(cell, heading, notes, EXACT_DIGITS)
    return text


def described_toml(
    model: BaseModel, heading: str = "", notes: Mapping[str, str] | None = None, digits: int = DIGITS
) -> str:
    """Any description as TOML; fields that are None are left out. Raises TypeError for what TOML cannot hold."""
    top = textwrap.wrap(heading, WIDTH, initial_indent="# ", subsequent_indent="# ")
    return "\n".join([*top, *_body(model, (), notes or {}, digits)]) + "\n"


def _body(model: BaseModel, place: tuple[str, ...], notes: Mapping[str, str], digits: int) -> list[str]:
    """Lines of a table: its own values first, then the tables within it."""
    fields = {name: value for name, value in model if value is not None}
    lines: list[str] = []
    for name, value in fields.items():
        if not isinstance(value, BaseModel):
            lines += _entry(model, name, value, notes.get(".".join((*place, name)), ""), digits)
    for name, value in fields.items():
        if isinstance(value, BaseModel):
            inner = (*place, name)
            said = notes.get(".".join(inner), (type(value).__doc__ or "").strip().split("\n")[0])
            comment = textwrap.wrap(said, WIDTH, initial_indent="# ", subsequent_indent="# ")
            lines += ["", f"[{'.'.join(inner)}]", *comment, *_body(value, inner, notes, digits)]
    return lines


def _entry(model: BaseModel, name: str, value: object, note: str, digits: int) -> list[str]:
    """Lines of one value, with its note after it or above it."""
    behind = f"  # {note}" if note else ""
    above = textwrap.wrap(note, WIDTH, initial_indent="# ", subsequent_indent="# ")
    if isinstance(value, str | bool | int | float):
        return [f"{name} = {_scalar(value, digits)}{behind}"]
    if not isinstance(value, list):
        raise TypeError(f"{name} is {type(value).__name__}; a description holds numbers, text, lists and tables")
    if any(isinstance(item, list) for item in value):
        return [*above, f"{name} = [", *_rows(value, _row_names(model, name, len(value)), digits), "]"]
    if any(isinstance(item, str) for item in value):
        return [*above, f"{name} = [", *(f"    {_scalar(item, digits)}," for item in value), "]"]
    spelled = _spelled(value, digits)
    short = f"{name} = [{', '.join(spelled)}]"
    if len(spelled) <= ONE_LINE and len(short) + len(behind) <= WIDTH:
        return [short + behind]
    return [
        *above,
        f"{name} = [",
        *_aligned([spelled[k : k + PER_LINE] for k in range(0, len(spelled), PER_LINE)]),
        "]",
    ]


def _rows(rows: Sequence[Sequence[float]], names: Sequence[str], digits: int) -> list[str]:
    """Rows of a table, columns aligned, each with the name of its row behind it."""
    lines = _aligned([_spelled(row, digits) for row in rows], ("[", "],"))
    longest = max(map(len, lines))
    return [f"{line:{longest}}  # {name}" if name else line for line, name in zip(lines, names, strict=True)]


def _row_names(model: BaseModel, name: str, rows: int) -> list[str]:
    """What the rows of a table stand for, where the description has an axis of temperatures of that length."""
    axis = getattr(model, "degC", None)
    fits = isinstance(axis, list) and len(axis) == rows and name != "degC"
    return [f"{float(degC):g} degC" for degC in axis] if fits and axis is not None else [""] * rows


def _aligned(rows: Sequence[Sequence[str]], brackets: tuple[str, str] = ("", ",")) -> list[str]:
    """Indented lines of values whose columns stand below each other."""
    widest = max((len(row) for row in rows), default=0)
    widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(widest)]
    lines = []
    for row in rows:
        cells = [f"{value}," if k < len(row) - 1 else value for k, value in enumerate(row)]
        padded = " ".join(f"{value:{width + 1}}" for value, width in zip(cells, widths, strict=False)).rstrip()
        lines.append(f"    {brackets[0]}{padded}{brackets[1]}")
    return lines


def _spelled(values: Sequence[float], digits: int) -> list[str]:
    """Numbers of a list; with every digit where fewer would make different neighbours equal."""
    spelled = [_scalar(value, digits) for value in values]
    merged = any(
        a == b and one != other for (a, b), (one, other) in zip(pairwise(spelled), pairwise(values), strict=True)
    )
    return [_scalar(value, EXACT_DIGITS) for value in values] if merged else spelled


def _scalar(value: object, digits: int) -> str:
    """One value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(float(f"{value:.{digits}g}"))
    if isinstance(value, str):
        # JSON escapes text as TOML does, but for one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"{type(value).__name__} in a list; a description holds numbers and text there")
