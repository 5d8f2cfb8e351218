"""Frames as python-can has them, and logs that it wrote, for the tests of readers and writers."""

from __future__ import annotations

import warnings
from pathlib import Path

import can
import numpy as np

from packhorse.protocols import frames
from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, CanFrames

ENDINGS = {"blf": "BLF", "asc": "ASC", "log": "candump", "csv": "CSV"}


def messages(count: int, seed: int = 1, *, special: bool = True) -> list[can.Message]:
    """Frames of every form; without `special` only data frames, as J1939 has them."""
    dice = np.random.default_rng(seed)
    made = []
    for k in range(count):
        extended, remote, error = bool(k % 3), special and k % 17 == 3, special and k % 19 == 5
        fd = special and k % 5 == 1 and not remote and not error
        length = int(dice.choice([0, 1, 8, 12, 64])) if fd else int(dice.integers(0, 9))
        made.append(
            can.Message(
                timestamp=1.7e9 + 1e-3 * k + 1e-6 * (k % 7),
                arbitration_id=int(dice.integers(0, 2**29 if extended else 2**11)),
                is_extended_id=extended,
                is_remote_frame=remote,
                is_error_frame=error,
                is_fd=fd,
                bitrate_switch=fd and k % 2 == 0,
                error_state_indicator=fd and k % 4 == 0,
                is_rx=k % 6 != 0,
                dlc=length,
                data=None if remote else dice.integers(0, 256, length, dtype=np.uint8).tobytes(),
                channel=k % 3,
            )
        )
    return made


def written(path: Path, some: list[can.Message]) -> Path:
    """A log as python-can writes it, by its ending."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with can.Logger(path) as log:
            for one in some:
                log.on_message_received(one)
    return path


def to_frames(some: list[can.Message]) -> CanFrames:
    """The same frames as ours."""
    data = np.zeros((len(some), 64), np.uint8)
    for row, one in zip(data, some, strict=True):
        row[: len(one.data)] = list(one.data)
    return frames.from_rows(
        np.array([one.timestamp for one in some], dtype=np.float64),
        np.array([one.arbitration_id for one in some], dtype=np.uint32),
        data,
        length=np.array([len(one.data) for one in some], np.uint16),
        flags=np.array([flags(one) for one in some], np.uint8),
        bus=np.array([int(one.channel or 0) for one in some], np.uint8),
    )


def flags(one: can.Message) -> int:
    bits = (
        (one.is_extended_id, EXTENDED),
        (one.is_remote_frame, REMOTE),
        (one.is_error_frame, ERROR),
        (one.is_fd, FD),
        (one.bitrate_switch, BRS),
        (one.error_state_indicator, ESI),
        (not one.is_rx, SENT),
    )
    return sum(bit for yes, bit in bits if yes)


def j1939_dbc() -> Path:
    return Path(__file__).parents[2] / "shared" / "reference" / "j1939_hv.dbc"


def shared(name: str) -> Path:
    return Path(__file__).parents[2] / "shared" / "data" / "can" / name
