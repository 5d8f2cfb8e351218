"""Cells, packs and trucks as data files, each with its sources. Light: nothing but the standard library."""

from __future__ import annotations

from pathlib import Path

CATALOGUE = Path(__file__).parent
KINDS = ("packs", "cells", "trucks")


def names(kind: str) -> list[str]:
    """Names on one shelf of the catalogue, one of `KINDS`."""
    return sorted(path.stem for path in (CATALOGUE / kind).glob("*.toml"))
