"""DBC files in."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from packhorse.pack.load import ConfigurationError
from packhorse.protocols import dbc
from packhorse.protocols.plan import Plan


def read_dbc(path: Path, needed: Iterable[str] = ()) -> Plan:
    """The plan of a DBC file. Raises ConfigurationError, in one line, also where a needed signal is not in it."""
    try:
        content = path.read_bytes() if path.stat().st_size <= dbc.LONGEST_DBC else b" " * (dbc.LONGEST_DBC + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give a DBC file") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    logging.getLogger("cantools").setLevel(logging.ERROR)  # what it warns of is refused below, in one line
    return dbc.load(text, str(path), needed)
