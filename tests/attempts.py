"""Broken logs read in a process of their own: what a native reader corrupts or leaves half open stays there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from packhorse.io.can_logs import READERS, apart_process, open_can_log
from packhorse.io.can_logs.apart import Reader
from packhorse.io.can_logs.source import DAMAGED
from packhorse.io.errors import ReadError
from packhorse.protocols import frames
from packhorse.protocols.frames import CanFrames

T = TypeVar("T")
WITHIN = {**READERS, **apart_process.READERS}
"""Every reader without a process of its own: many files in little time."""


class Apart:
    """One process for many files, started anew after a file that brings it down; close it at last."""

    def __init__(self) -> None:
        self.pool = started()

    def attempt(self, path: Path) -> tuple[CanFrames, str]:
        """What `attempt` gives in that process; a file that brings it down is damaged."""
        return self._given((frames.nothing(), DAMAGED), attempt, path, WITHIN)

    def blocks(self, kind: str, path: Path) -> list[CanFrames]:
        """What `blocks` gives in that process; nothing of a file that brings it down."""
        return self._given([], blocks, kind, path)

    def _given(self, otherwise: T, work: Callable[..., T], *arguments: object) -> T:
        try:
            return self.pool.submit(work, *arguments).result()
        except BrokenProcessPool:
            self.pool = started()
            return otherwise

    def close(self) -> None:
        self.pool.shutdown()


def started() -> ProcessPoolExecutor:
    """A process that does what it is given, one after the other."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=be_apart)


def be_apart() -> None:
    """What a process that reads one file alone does too."""
    apart_process.be_silent()
    apart_process.bound(apart_process.BEYOND_FILE_BYTES)


def attempt(path: Path, readers: Mapping[str, Reader] = READERS) -> tuple[CanFrames, str]:
    """What a log gives, and what is said about it; anything but a ReadError goes through."""
    parts = []
    try:
        log = open_can_log(path)
        parts.extend(log.blocks(readers))
        return frames.join(parts), log.complaint()
    except ReadError as error:
        return (frames.join(parts) if parts else frames.nothing()), in_one_line(error)


def blocks(kind: str, path: Path) -> list[CanFrames]:
    """What the reader of a kind gives of any file, before anything is dropped."""
    found = []
    try:
        found.extend(WITHIN[kind](path, Counter()))
    except ReadError as error:
        in_one_line(error)
    return found


def in_one_line(error: ReadError) -> str:
    assert "\n" not in str(error)
    return str(error)
