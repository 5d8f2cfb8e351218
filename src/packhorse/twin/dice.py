"""Dice without memory: a number for each seed, tick and channel, so that a life can be cut anywhere and resumed.

The hash is the 32-bit mixer of C. Wellons ("lowbias32", public domain, 2018).
"""

from __future__ import annotations

import math

from packhorse.compiled import compiled

MASK = 0xFFFFFFFF
PER_ONE = 1.0 / 4294967296.0


@compiled
def mixed(x: int) -> int:
    """A 32-bit number whose bits all depend on all bits of `x`."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    return x ^ (x >> 16)


@compiled
def uniform(seed: int, tick: int, channel: int) -> float:
    """A number in (0, 1)."""
    return (mixed(mixed(mixed(seed & MASK) ^ (tick & MASK)) ^ (channel & MASK)) + 0.5) * PER_ONE


@compiled
def normal(seed: int, tick: int, channel: int) -> float:
    """A number of the standard normal distribution (Box and Muller, doi 10.1214/aoms/1177706645)."""
    radius = math.sqrt(-2.0 * math.log(uniform(seed, tick, 2 * channel)))
    return radius * math.cos(2.0 * math.pi * uniform(seed, tick, 2 * channel + 1))


@compiled
def rounded(value: float, step: float) -> float:
    """The nearest multiple of `step`; the value itself where `step` is 0."""
    return round(value / step) * step if step > 0.0 else value
