"""What other battery systems say on CAN, as data files, each with its sources. Imports only the standard library."""

from __future__ import annotations

from importlib import resources


def names() -> list[str]:
    """Every profile."""
    files = resources.files(__package__).iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
