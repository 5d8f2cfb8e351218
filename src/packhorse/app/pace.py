"""Simulated time against the wall clock, and how a person ends it."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

FORGIVEN_S = 0.5
"""A machine that falls further behind does not hurry afterwards."""
LEAST_SLEEP_S = 0.002
SAMPLE_S, SAMPLES = 0.5, 8


class Pace:
    """Keeps simulated time at `speed` times real time (0: as fast as possible), and knows what was achieved."""

    def __init__(self, speed: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self.speed = speed
        self._clock, self._sleep = clock, sleep
        self._due_s, self._last_s = clock(), 0.0
        self._samples: deque[tuple[float, float]] = deque([(self._due_s, 0.0)], maxlen=SAMPLES)
        self._now: tuple[float, float] = self._samples[0]

    def keep(self, elapsed_s: float) -> None:
        """Wait until so much simulated time is due."""
        now_s = self._clock()
        if self.speed > 0.0:
            self._due_s += (elapsed_s - self._last_s) / self.speed
            ahead_s = self._due_s - now_s
            if ahead_s > LEAST_SLEEP_S:
                self._sleep(ahead_s)
            elif ahead_s < -FORGIVEN_S:
                self._due_s = now_s
        self._last_s = elapsed_s
        self._now = (self._clock(), elapsed_s)
        if self._now[0] - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append(self._now)

    @property
    def achieved(self) -> float:
        """How many times faster than real time it has been lately."""
        wall_s, time_s = (now - then for now, then in zip(self._now, self._samples[0], strict=True))
        return time_s / wall_s if wall_s > 0.0 else self.speed


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Whether somebody has asked to end (Ctrl-C, or a supervisor's SIGTERM); who asks twice is obeyed at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            signal.default_int_handler(number, frame)
        asked.append(number)

    were = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in were.items():
            signal.signal(number, handler)
