"""Packs, cells, trucks and duty cycles as data files, each with its sources. Imports only the standard library."""

from __future__ import annotations

from pathlib import Path

CATALOGUE = Path(__file__).parent
KINDS = ("packs", "cells", "trucks", "cycles")


def names(kind: str) -> list[str]:
    """Names on one shelf of the catalogue, one of `KINDS`."""
    return sorted(path.stem for path in (CATALOGUE / kind).glob("*.toml"))
