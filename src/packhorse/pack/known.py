"""What counts as measured."""

from __future__ import annotations

from packhorse.compiled import compiled

LARGEST = 1e12
"""No sensor of a truck gives a number as large as this."""


@compiled
def known(x: float) -> bool:
    """Whether a reading is a number that was measured: neither NaN nor infinite nor absurdly large."""
    return -LARGEST < x < LARGEST
