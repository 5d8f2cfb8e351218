"""MF4, the measurement format of ASAM: bus logging groups, read by asammdf (extra `mdf`), some rows at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from packhorse.io.can_logs.source import CUT_OFF, DAMAGED, Findings, chunks
from packhorse.io.errors import ReadError
from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, CanFrames, from_rows, join, take

BLOCK_FRAMES = 65_536
GROUPS = {"CAN_DataFrame": 0, "CAN_RemoteFrame": REMOTE, "CAN_ErrorFrame": ERROR}
FLAGS = {"IDE": EXTENDED, "EDL": FD, "BRS": BRS, "ESI": ESI, "Dir": SENT}


class Group(NamedTuple):
    """One channel group that holds frames."""

    number: int
    name: str
    rows: int
    channels: frozenset[str]


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of all groups of an MF4, merged by time. Raises ReadError where asammdf is missing or gives up."""
    opener = _opener(path)
    with tempfile.TemporaryFile() as file:
        for block in chunks(path, findings):
            file.write(block)
        file.seek(0)
        mdf = _open(path, opener, file)
        start_s = mdf.header.start_time.timestamp()
        groups = _groups(mdf)
        if not groups:
            raise ReadError(f"{path}: holds no CAN frames; give a log of a bus")
        yield from _merged([_blocks(mdf, group, start_s, findings) for group in groups])


def _opener(path: Path) -> Any:
    try:
        from asammdf import MDF  # noqa: PLC0415
    except ImportError as error:
        raise ReadError(f"{path}: reading MF4 needs asammdf; pip install 'packhorse[mdf]'") from error
    return MDF


def _open(path: Path, opener: Any, file: BinaryIO) -> Any:
    """The file as asammdf has it. Raises ReadError."""
    try:
        return opener(file)
    except (Exception, RecursionError) as error:
        said = " ".join(str(error).split())[:160] or type(error).__name__
        raise ReadError(f"{path}: cut off or damaged ({said}); copy or record it again") from error


def _groups(mdf: Any) -> list[Group]:
    """The groups that hold any frames."""
    found = []
    for number, group in enumerate(mdf.groups):
        names = frozenset(channel.name for channel in group.channels)
        name = next((name for name in GROUPS if name in names), "")
        rows = int(group.channel_group.cycles_nr)
        if name and rows > 0:
            found.append(Group(number, name, rows, names))
    return found


def _blocks(mdf: Any, group: Group, start_s: float, findings: Findings) -> Iterator[CanFrames]:
    """The frames of one group; what cannot be read is counted, and ends it."""
    for begin in range(0, group.rows, BLOCK_FRAMES):
        count = min(BLOCK_FRAMES, group.rows - begin)
        found = _readable(mdf, group, begin, count, start_s)
        if found is None and begin + count == group.rows and count > 1:  # a log cut off within the last frame's payload
            found = _readable(mdf, group, begin, count - 1, start_s)
            findings[CUT_OFF] += int(found is not None)
        if found is None:
            findings[DAMAGED] += 1
            return
        yield found


def _readable(mdf: Any, group: Group, begin: int, count: int, start_s: float) -> CanFrames | None:
    """Some frames of one group; None where they cannot be read."""
    try:
        return _frames(mdf, group, begin, count, start_s)
    except (Exception, RecursionError):  # noqa: BLE001 - asammdf fails in many ways on a damaged file
        return None


def _frames(mdf: Any, group: Group, begin: int, count: int, start_s: float) -> CanFrames:
    def column(name: str) -> Any:
        """A channel as the number that it means: a virtual one is a formula of the row, and raw only the row."""
        asked = {"group": group.number, "record_offset": begin, "record_count": count}
        found = mdf.get(f"{group.name}.{name}", raw=False, **asked)
        is_number = np.asarray(found.samples).dtype.kind in "uif"
        return found if is_number else mdf.get(f"{group.name}.{name}", raw=True, **asked)

    def has(name: str) -> bool:
        return f"{group.name}.{name}" in group.channels

    identifier = column("ID") if has("ID") else column("BusChannel")
    time_s = np.asarray(identifier.timestamps, dtype=np.float64) + start_s
    raw = np.asarray(identifier.samples, dtype=np.uint32) if has("ID") else np.zeros(time_s.size, np.uint32)
    flags = np.full(time_s.size, GROUPS[group.name], dtype=np.uint8)
    for name, bit in FLAGS.items():
        if has(name):
            flags |= np.where(np.asarray(column(name).samples, dtype=np.int64) == 1, bit, 0).astype(np.uint8)
    if not has("IDE"):
        flags |= np.where((raw >> 31 == 1) | (raw & 0x1FFFFFFF > 0x7FF), EXTENDED, 0).astype(np.uint8)
    bus = np.zeros(time_s.size, np.uint8)
    if has("BusChannel"):
        bus = ((np.asarray(column("BusChannel").samples, dtype=np.int64) - 1) & 0xFF).astype(np.uint8)
    payload, length = np.zeros((time_s.size, 8), np.uint8), np.zeros(time_s.size, np.uint16)
    if has("DataBytes") and group.name == "CAN_DataFrame":
        payload = np.asarray(column("DataBytes").samples).astype(np.uint8).reshape(time_s.size, -1)
        told = column("DataLength").samples if has("DataLength") else np.full(time_s.size, payload.shape[1])
        length = np.minimum(np.asarray(told, dtype=np.int64), min(payload.shape[1], 64)).astype(np.uint16)
    return from_rows(time_s, (raw & 0x1FFFFFFF).astype(np.uint32), payload, length=length, flags=flags, bus=bus)


def _merged(sources: list[Iterator[CanFrames]]) -> Iterator[CanFrames]:
    """Frames of several groups in the order of their times; no group is read further than it must be."""
    waiting = [next(source, None) for source in sources]
    while held := [k for k, block in enumerate(waiting) if block is not None]:
        blocks = [block for block in waiting if block is not None]
        until_s = min(float(block.time_s[-1]) for block in blocks)
        due = []
        for k, block in zip(held, blocks, strict=True):
            count = int(np.searchsorted(np.maximum.accumulate(block.time_s), until_s, side="right"))
            due.append(take(block, slice(0, count)))
            rest = take(block, slice(count, None))
            waiting[k] = rest if rest.id.size else next(sources[k], None)
        together = join(due)
        yield together if len(due) == 1 else take(together, np.argsort(together.time_s, kind="stable"))
