"""What each byte of a message does: a reading, a constant, a counter, a checksum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover.words import Role, Stream
from packhorse.pack.words import Array
from packhorse.protocols.frames import Bytes

ENOUGH_FRAMES = 24
STEADY = 0.95
"""Share of steps that a counter takes in order."""
SOLVED_FRAMES, CHANCE = 1500, 64.0
"""Frames that show a checksum; the mean step of a byte that is pure chance."""


def roles(stream: Stream) -> NDArray[np.int64]:
    """What each byte does, (bytes,) of `Role`."""
    found = np.full(stream.data.shape[1], int(Role.DATA))
    found[(stream.data == stream.data[0]).all(axis=0)] = Role.CONSTANT
    head = stream.data[: stream.whole].astype(np.int64)
    for b in np.flatnonzero(found == Role.DATA):
        if any(counts(head[:, b] >> shift & mask, mask) for shift, mask in ((0, 15), (4, 15), (0, 255))):
            other = head[:, b] >> 4 if counts(head[:, b] & 15, 15) else head[:, b] & 15
            if counts(head[:, b], 255) or (other == other[0]).all():
                found[b] = Role.COUNTER
    varied = np.flatnonzero(found == Role.DATA)
    if varied.size > 2:
        ends = [b for b in dict.fromkeys((int(varied[-1]), int(varied[0]))) if checks(head[:SOLVED_FRAMES], b)]
        if ends:
            found[max(ends, key=lambda b: checksum_like(found, head, b))] = Role.CHECKSUM
    return found


def checksum_like(doing: NDArray[np.int64], head: NDArray[np.int64], b: int) -> tuple[bool, bool, bool, int]:
    """How much a byte that follows from the others looks like their checksum: any byte of an XOR follows from the rest.

    It jumps as chance does, and stands at an end of the message or beside its counter, the last byte rather than the
    first.
    """
    beside = any(0 <= c < doing.size and doing[c] == Role.COUNTER for c in (b - 1, b + 1))
    jumps = jumpiness(head[:, b].astype(np.float64)) > 0.8 * CHANCE
    return jumps, beside, b in (0, doing.size - 1), b


def jumpiness(byte: Array) -> float:
    """Mean step of a byte, over its ends; 64 for pure chance."""
    step = np.abs(np.diff(byte))
    if step.size == 0:
        return 0.0
    return float(np.minimum(step, 256.0 - step).mean())


def counts(values: NDArray[np.int64], top: int) -> bool:
    """Whether values rise by one from frame to frame, and begin again somewhere."""
    if values.size < ENOUGH_FRAMES or (values == values[0]).all():
        return False
    step = np.diff(values)
    return bool(np.mean((step == 1) | ((step < 0) & (values[1:] == values.min()))) > STEADY and values.max() <= top)


def checks(head: NDArray[np.int64], b: int) -> bool:
    """Whether a byte follows from the others as a sum does, or bit by bit as XOR and any CRC do."""
    if head.shape[0] < 4 * ENOUGH_FRAMES or np.unique(head[:, b]).size < 16:
        return False
    others = np.delete(head, b, axis=1)
    total = others.sum(axis=1)
    if any(np.unique((head[:, b] + sign * total) & 255).size == 1 for sign in (1, -1)):
        return True
    inputs = np.unpackbits(others.astype(np.uint8), axis=1)
    inputs = inputs[:, (inputs != inputs[0]).any(axis=0)]
    if inputs.shape[1] < 8 or inputs.shape[0] < 2 * inputs.shape[1]:
        return False
    outputs = np.unpackbits(head[:, b : b + 1].astype(np.uint8), axis=1)
    return follows(np.column_stack((inputs, np.ones(inputs.shape[0], np.uint8))), outputs)


def follows(inputs: Bytes, outputs: Bytes) -> bool:
    """Whether all output bits are sums, without carry, of input bits; by elimination over two elements."""
    table, row = np.column_stack((inputs, outputs)).astype(bool), 0
    for column in range(inputs.shape[1]):
        below = np.flatnonzero(table[row:, column])
        if below.size == 0:
            continue
        table[[row, row + below[0]]] = table[[row + below[0], row]]
        others = np.flatnonzero(table[:, column])
        others = others[others != row]
        table[others] ^= table[row]
        row += 1
        if row == table.shape[0]:
            return False
    spare = table.shape[0] - row
    return spare > ENOUGH_FRAMES and not table[row:, inputs.shape[1] :].any()
