"""C sources of the benchmarks, compiled for this very machine, and what the machine can do at most."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

GCC = "gcc"
FLAGS = ["-std=c99", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math"]
"""The last two change no result; without them gcc vectorises none of the loops, and LLVM does as if they were set."""


def installed() -> bool:
    """Whether there is a gcc."""
    return shutil.which(GCC) is not None


def library(source: Path) -> ctypes.CDLL:
    """A C source as a loaded library. Raises CalledProcessError where gcc refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"{source.stem}.so"
        command = [GCC, *FLAGS, "-shared", "-fPIC", "-o", str(target), str(source), "-lm"]
        subprocess.run(command, check=True)  # noqa: S603
        return ctypes.CDLL(str(target))


def peaks() -> tuple[float, float]:
    """Float64 arithmetic [operations/s] and memory traffic [B/s] of one core, measured: the best of a few runs."""
    measured = library(Path(__file__).parent / "peaks.c")
    measured.operations_per_s.restype = measured.bytes_per_s.restype = ctypes.c_double
    arithmetic = max(measured.operations_per_s() for _ in range(5))
    return arithmetic, max(measured.bytes_per_s() for _ in range(3))
