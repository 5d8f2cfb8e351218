"""The memory of the BMS on disk: saved whole or not at all, loaded with the same bits."""

from __future__ import annotations

import io
import typing
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from packhorse import bms
from packhorse.io.errors import ReadError
from packhorse.io.whole import write_whole
from packhorse.pack.words import Pack, State

BROKEN = (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged archive may raise."""


def save_state(path: Path, state: State) -> None:
    """Write a state as .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, **_flatten("", state))
    write_whole(path, buffer.getvalue())


def load_state(path: Path, pack: Pack) -> State:
    """Read a state that was saved for this very pack.

    Raises ReadError where the file is damaged or was saved for a pack of another shape or fault table.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            leaves = {name.removesuffix(".npy"): _leaf(archive.read(name)) for name in archive.namelist()}
        state: State = _build("", State, leaves)
    except BROKEN as error:
        raise ReadError(f"{path}: not a saved state ({error}); start without it, or give the right file") from error
    for name, fresh in _flatten("", bms.start(pack)).items():
        if leaves[name].shape != fresh.shape:
            raise ReadError(
                f"{path}: saved with {name} of shape {leaves[name].shape}, this pack has {fresh.shape}; start without "
                "it, or give the state of this pack"
            )
    return state


def _leaf(content: bytes) -> Any:
    """One array out of the bytes of a .npy file."""
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _flatten(prefix: str, value: Any) -> dict[str, Any]:
    """Leaves of nested words by their dotted path."""
    if not hasattr(value, "_fields"):
        return {prefix: np.asarray(value, dtype=np.float64)}
    leaves: dict[str, Any] = {}
    for name in value._fields:
        leaves.update(_flatten(f"{prefix}.{name}" if prefix else name, getattr(value, name)))
    return leaves


def _build(prefix: str, kind: Any, leaves: dict[str, Any]) -> Any:
    """Words from their leaves; a number stays a number, an array an array."""
    if hasattr(kind, "_fields"):
        hints = typing.get_type_hints(kind)
        parts = [_build(f"{prefix}.{name}" if prefix else name, hints[name], leaves) for name in kind._fields]
        return kind(*parts)
    leaf = leaves[prefix]
    return float(leaf) if kind is float else np.ascontiguousarray(leaf, dtype=np.float64)
