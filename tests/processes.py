"""Real processes of the command line for tests, and buses that no other test is on."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from typing import Any

_ports = itertools.count(40_000 + 16 * (os.getpid() % 250), 8)
PATIENCE_S = 240.0
"""A machine that has to compile first needs so long."""


def bus_name() -> str:
    """A loopback bus of its own."""
    return f"loopback:{next(_ports)}"


def packhorse(*arguments: str) -> subprocess.Popen[str]:
    """The command, begun."""
    command = [sys.executable, "-m", "packhorse.app.main", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # noqa: S603


def ended(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """What a process with --json said: its summary, and its lines for people."""
    said, lines = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, lines
    return json.loads(said), lines
