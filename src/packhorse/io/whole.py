"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from packhorse.io.errors import WriteError


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the target, bring it to disk, then rename; on failure nothing is left behind.

    Raises WriteError, e.g. on a full disk.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        remedy = "free some space or give another folder"
        raise WriteError(f"{path}: cannot be written ({error.strerror}); {remedy}") from error
