"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from packhorse.io.errors import WriteError

REMEDY = "free some space or give another folder"


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the target, bring it to disk, then rename; on failure nothing is left behind.

    Raises WriteError, e.g. on a full disk.
    """
    write_all({path: content})


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write several files beside their targets, and rename them only once all are on disk."""
    fresh: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh[path] = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
            with fresh[path].open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in fresh.items():
            temporary.replace(path)
    except OSError as error:
        for temporary in fresh.values():
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise WriteError(f"{path}: cannot be written ({error.strerror}); {REMEDY}") from error


def must_be_writable(path: Path) -> None:
    """Refuse, before any work is done, a target that cannot be written. Raises WriteError."""
    try:
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if path.is_dir():
            raise WriteError(f"{path}: is a folder; give the name of a file")
    except OSError as error:
        raise WriteError(f"{path}: cannot be written ({error.strerror}); give another name") from error
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise WriteError(f"{path}: {folder} may not be written; give another folder")
