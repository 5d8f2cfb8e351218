"""The process of a reader: `python -m packhorse.io.can_logs.apart_process KIND FILE`, started by `apart` alone.

What it finds it says on its standard output as records (`apart.records`): blocks of frames, and at last what was wrong.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections import Counter
from pathlib import Path

from packhorse.io.can_logs import mdf, parquet
from packhorse.io.can_logs.apart import packed, record
from packhorse.io.errors import ReadError

READERS = {"MF4": mdf.read, "Parquet": parquet.read}
BEYOND_FILE_BYTES = 16 * 2**30
"""Addresses that this process may take besides those of the file: no damaged size makes it take all memory."""


def main() -> None:
    """Read one file. Whatever else would be printed is dropped."""
    kind, path = sys.argv[1], Path(sys.argv[2])
    said = os.fdopen(os.dup(1), "wb")
    be_silent()
    bound(path.stat().st_size + BEYOND_FILE_BYTES)
    findings, complaint = Counter[str](), ""
    try:
        for block in READERS[kind](path, findings):
            said.write(record(packed(block)))
    except ReadError as error:
        complaint = str(error)
    said.write(record(json.dumps({"findings": findings, "complaint": complaint}).encode()))
    said.flush()
    os._exit(0)  # what is half open would be torn down at length, and may fail at that


def be_silent() -> None:
    """Drop what libraries print of a damaged file."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    warnings.simplefilter("ignore")
    logging.disable()


def bound(most_bytes: int) -> None:
    """Let this process take no more addresses than so many; not on Windows."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        soft = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
