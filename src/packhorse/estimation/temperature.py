"""Which temperature is believed of each cell."""

from __future__ import annotations

import numpy as np

from packhorse.compiled import part
from packhorse.pack.known import known
from packhorse.pack.words import Array, Index

ROOM_DEGC = 25.0
"""Believed where nothing at all is heard; protection judges the silence itself."""


@part
def cell_degC(probe_degC: Array, probe_of_cell: Index, ambient_degC: float) -> Array:
    """Temperature of each cell of one string: its probe, else the mean of those heard, else ambient, else room."""
    total, heard = 0.0, 0.0
    for degC in probe_degC:
        heard_here = known(degC)
        total += degC if heard_here else 0.0
        heard += 1.0 if heard_here else 0.0
    spare = ambient_degC if known(ambient_degC) else ROOM_DEGC
    spare = total / heard if heard > 0.0 else spare
    out = np.empty(probe_of_cell.shape[0])
    for k in range(out.shape[0]):
        degC = probe_degC[probe_of_cell[k]]
        out[k] = degC if known(degC) else spare
    return out
