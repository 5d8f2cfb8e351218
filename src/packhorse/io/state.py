"""The memory of the BMS on disk: saved whole or not at all, loaded with the same bits."""

from __future__ import annotations

import io
import typing
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from packhorse.io.errors import ReadError
from packhorse.io.whole import write_whole
from packhorse.pack.words import Pack, State


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
        with np.load(path, allow_pickle=False) as archive:
            state: State = _build("", State, dict(archive))
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path}: not a saved state ({error}); start without it, or give the right file") from error
    want = ((pack.strings, pack.series), (pack.faults.signal.shape[0], pack.strings))
    have = (state.belief.soc.shape, state.watch.active.shape)
    if want != have:
        raise ReadError(
            f"{path}: saved for cells and faults of shapes {have}, this pack has {want}; start without it, or give "
            "the state of this pack"
        )
    return state


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
