"""`packhorse pack list` and `pack show`: what the catalogue holds, and its files to copy from. Light on purpose."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path

from packhorse.pack.catalogue import CATALOGUE, KINDS, names

WHAT = {"packs": "pack", "cells": "cell", "trucks": "truck", "cycles": "cycle"}


def table() -> list[tuple[str, str, str]]:
    """Kind, name and description of every entry."""
    rows = []
    for kind in KINDS:
        for name in names(kind):
            entry = tomllib.loads((CATALOGUE / kind / f"{name}.toml").read_text(encoding="utf-8"))
            rows.append((WHAT[kind], name, str(entry.get("name", ""))))
    return rows


def listing() -> str:
    """The catalogue as lines of text, ready for a terminal or for `grep`."""
    rows = table()
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{kind:{widths[0]}}  {name:{widths[1]}}  {said}" for kind, name, said in rows)


def find(name: str) -> Path:
    """File of a catalogue entry: a bare name is looked for in the order of `KINDS`; `trucks/heavy` says which.

    Raises ConfigurationError with the nearest names.
    """
    entries = {f"{kind}/{entry}": CATALOGUE / kind / f"{entry}.toml" for kind in KINDS for entry in names(kind)}
    for wanted in (name, *(f"{kind}/{name}" for kind in KINDS)):
        if wanted in entries:
            return entries[wanted]
    from packhorse.pack.load import ConfigurationError  # noqa: PLC0415

    bare = [*dict.fromkeys(path.stem for path in entries.values())]
    close = difflib.get_close_matches(name, [*bare, *entries], n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(bare)}"
    raise ConfigurationError(f"{name[:60]!r}: no such entry in the catalogue; {hint}")
