"""Passive balancing: bleed the cells that hold more charge than the weakest, not those that show more voltage."""

from __future__ import annotations

import numpy as np

from packhorse.compiled import part
from packhorse.pack.words import Array, Belief, Control, Frame, Pack, Reaction
from packhorse.protection import Verdict

LIMP = float(Reaction.LIMP)


@part
def bleed(pack: Pack, was: Control, belief: Belief, frame: Frame, verdict: Verdict) -> Array:
    """Which cells to bleed, (strings, series): those more than `start_Ah` above the weakest, until `stop_Ah`.

    Only while the string is nearly at rest, no serious fault is active and the cell itself is heard above
    `min_cell_V`.
    """
    rules = pack.balancing
    out = np.zeros_like(was.bleed)
    for s in range(pack.strings):
        calm = abs(frame.string_A[s]) < rules.max_string_A and verdict.reaction[s] < LIMP
        if not calm or belief.started == 0.0:
            continue
        least = belief.soc[s].min()
        for k in range(pack.series):
            extra_Ah = (belief.soc[s, k] - least) * pack.cell.capacity_Ah
            enough_Ah = rules.stop_Ah if was.bleed[s, k] > 0.0 else rules.start_Ah
            out[s, k] = 1.0 if extra_Ah > enough_Ah and frame.cell_V[s, k] > rules.min_cell_V else 0.0
    return out
