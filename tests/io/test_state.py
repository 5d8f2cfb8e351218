"""The memory on disk: the same bits come back, and a life that was cut goes on as if it had not been."""

from __future__ import annotations

import errno
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from packhorse import bms
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.state import load_state, save_state
from packhorse.pack.words import Frames, State
from packs import calm, closed, small_pack, stacked

PACK = small_pack()
CLOSED = closed(PACK)
FRAMES = 400


@functools.cache
def life() -> Frames:
    """A drive with noise, outliers, silence, faults and an end."""
    dice = np.random.default_rng(11)
    frames = []
    for k in range(FRAMES):
        cell_V = 3.7 + dice.normal(0.0, 0.01, (2, 5))
        cell_V[dice.random((2, 5)) < 0.01] = np.nan
        cell_V[dice.random((2, 5)) < 0.005] = 4.6
        current_A = dice.normal(20.0, 60.0, 2)
        current_A[dice.random(2) < 0.02] = np.nan
        frame = calm(PACK, CLOSED.time_s + 0.5 * (k + 1), drive_request=float(k < 350), cell_V=cell_V)
        frames.append(frame._replace(string_A=current_A, contactor=np.tile([1.0, 1.0, 0.0], (2, 1)), link_V=18.5))
    return stacked(frames)


@functools.cache
def whole() -> tuple[State, Any]:
    return bms.replay(PACK, CLOSED, life())


def kinds(value: Any) -> Any:
    """The types and shapes of nested words."""
    if hasattr(value, "_fields"):
        return [type(value), *map(kinds, value)]
    return (type(value), value.dtype, value.shape, value.flags.c_contiguous) if isinstance(value, np.ndarray) else float


@pytest.mark.parametrize("state", [bms.start(PACK), CLOSED, None], ids=["fresh", "closed", "after a life"])
def test_a_saved_state_comes_back_with_every_bit(state: State | None, tmp_path: Path) -> None:
    state = whole()[0] if state is None else state
    path = tmp_path / "deep" / "state.npz"
    save_state(path, state)
    loaded = load_state(path, PACK)
    assert bms.fingerprint(loaded) == bms.fingerprint(state)
    assert kinds(loaded) == kinds(state)
    assert [entry.name for entry in path.parent.iterdir()] == ["state.npz"]


def test_a_life_leaves_something_to_remember() -> None:
    state, record = whole()
    assert record.events.shape[0] > 0
    assert state.throughput.any()
    assert bms.fingerprint(state) != bms.fingerprint(CLOSED)


@given(st.lists(st.integers(1, FRAMES - 1), min_size=1, max_size=3, unique=True).map(sorted))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_life_cut_anywhere_goes_on_with_the_same_bits(tmp_path: Path, cuts: list[int]) -> None:
    state, parts = CLOSED, []
    for begin, end in zip([0, *cuts], [*cuts, FRAMES], strict=True):
        state, record = bms.replay(PACK, state, Frames(*(block[begin:end] for block in life())))
        save_state(tmp_path / "state.npz", state)
        state = load_state(tmp_path / "state.npz", PACK)
        parts.append(record)
    final, uncut = whole()
    assert bms.fingerprint(state) == bms.fingerprint(final)
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    assert bms.fingerprint(*joined) == bms.fingerprint(*uncut)


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        load_state(path, PACK)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert "start without it" in message
    return message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_state_cut_short_is_refused(share: float, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    save_state(path, CLOSED)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "not a saved state" in refused(path)


@given(st.integers(0, 2**20), st.integers(1, 255), st.integers(1, 40))
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_state_is_refused_or_still_has_every_bit(tmp_path: Path, at: int, flip: int, length: int) -> None:
    path = tmp_path / "state.npz"
    save_state(path, CLOSED)
    content = bytearray(path.read_bytes())
    at %= len(content)
    content[at : at + length] = bytes(byte ^ flip for byte in content[at : at + length])
    path.write_bytes(content)
    try:
        said, loaded = "", load_state(path, PACK)
    except ReadError as error:
        said, loaded = str(error), CLOSED
    assert said.isprintable()
    assert bms.fingerprint(loaded) == bms.fingerprint(CLOSED)


def leaves(state: State, **changes: Any) -> dict[str, Any]:
    flat = {name: getattr(state, name) for name in ("time_s", "throughput", "health")}
    for name in ("belief", "watch", "control"):
        flat |= {f"{name}.{key}": value for key, value in getattr(state, name)._asdict().items()}
    return {**flat, **{name.replace("__", "."): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("what", "changes", "said"),
    [
        ("nothing wrong", {}, ""),
        ("a number for an array", {"belief__soc": 0.5}, "belief.soc of shape ()"),
        ("an array for a number", {"time_s": np.zeros(3)}, "not a saved state"),
        ("text", {"belief__soc": np.array([["a"] * 5] * 2)}, "not a saved state"),
        ("one cell too many", {"control__bleed": np.zeros((2, 6))}, "control.bleed of shape (2, 6), this pack has"),
    ],
)
def test_a_state_whose_parts_do_not_fit_is_refused(
    what: str, changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.npz"
    np.savez(path, **leaves(CLOSED, **changes))
    if said:
        assert said in refused(path), what
    else:
        assert bms.fingerprint(load_state(path, PACK)) == bms.fingerprint(CLOSED)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "other.npz", soc=np.zeros(3))
    (tmp_path / "text.npz").write_text("soc = 0.5\nsigma = 0.1\n")
    (tmp_path / "folder.npz").mkdir()
    for path in (*tmp_path.iterdir(), tmp_path / "none.npz"):
        assert "not a saved state" in refused(path)


@pytest.mark.parametrize("other", [small_pack(strings=1), small_pack(series=6)])
def test_the_state_of_another_pack_is_refused(other: Any, tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    save_state(path, bms.start(other))
    assert "give the state of this pack" in refused(path)


def test_a_full_disk_leaves_the_old_state_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.npz"
    save_state(path, bms.start(PACK))
    before = path.read_bytes()

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError) as caught:
        save_state(path, CLOSED)
    assert str(caught.value).startswith(f"{path}: cannot be written (No space left on device); free some space")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        save_state(tmp_path / "file" / "state.npz", CLOSED)
