"""A bus that is opened again when it breaks, with growing pauses, while whoever uses it goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from packhorse.io.buses.bus import Bus, Clock, Counts, Heard
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
LINES = 64
Open = Callable[[], Bus]
Begin = Callable[[Open], "Future[Bus]"]


class Lasting:
    """A bus of which neither call ever raises nor waits for a bus that is gone.

    While it is gone nothing is heard, and what is sent is dropped and counted. `lines` tells people when it broke and
    when it was back.
    """

    def __init__(self, name: str, opened: Open, clock: Clock = time.monotonic, begin: Begin | None = None) -> None:
        self.name, self.lines = name, deque[str](maxlen=LINES)
        self._open, self._clock, self._begin = opened, clock, begin or beside
        self._bus: Bus | None = opened()
        self._coming: Future[Bus] | None = None
        self._pause_s, self._due_s = FIRST_PAUSE_S, 0.0
        self._before = Counts()

    @property
    def broken(self) -> bool:
        """Whether the bus is gone."""
        return self._bus is None

    @property
    def counts(self) -> Counts:
        """Sums over all the times that it was open."""
        return _sum(self._before, self._bus.counts) if self._bus is not None else self._before

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Hand frames over, or drop them."""
        bus = self._there()
        if bus is None:
            self._before.dropped += len(frames)
            return
        try:
            bus.send(frames)
        except BusError as error:
            self._break(bus, error)

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """What has arrived; nothing at once while the bus is gone."""
        bus = self._there()
        if bus is None:
            return []
        try:
            return bus.heard(wait_s)
        except BusError as error:
            self._break(bus, error)
            return []

    def close(self) -> None:
        """Leave the bus for good."""
        if self._bus is not None:
            self._bus.close()
        if self._coming is not None:
            self._coming.add_done_callback(_closed)

    def _there(self) -> Bus | None:
        """The bus if it is open; otherwise open it when its pause is over."""
        if self._bus is None and self._coming is None and self._clock() >= self._due_s:
            self._coming = self._begin(self._open)
        if self._coming is not None and self._coming.done():
            coming, self._coming = self._coming, None
            try:
                self._bus = coming.result()
            except BusError as error:
                self._wait(error)
            else:
                self._pause_s = FIRST_PAUSE_S
                self.lines.append(f"{self.name}: back")
        return self._bus

    def _break(self, bus: Bus, error: BusError) -> None:
        self._before, self._bus = _sum(self._before, bus.counts), None
        bus.close()
        self._wait(error)

    def _wait(self, error: BusError) -> None:
        self._before.errors += 1
        self.lines.append(f"{error}; next try in {self._pause_s:g} s")
        self._due_s = self._clock() + self._pause_s
        self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)


def beside(opened: Open) -> Future[Bus]:
    """Open beside the caller: an adapter may need seconds."""
    with_one = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bus")
    coming = with_one.submit(opened)
    with_one.shutdown(wait=False)
    return coming


def _closed(coming: Future[Bus]) -> None:
    if not coming.cancelled() and coming.exception() is None:
        coming.result().close()


def _sum(one: Counts, other: Counts) -> Counts:
    return Counts(*(getattr(one, name) + getattr(other, name) for name in Counts.__slots__))
