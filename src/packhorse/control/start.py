"""Where control begins: everything open, nothing running."""

from __future__ import annotations

import numpy as np

from packhorse.pack.words import Control


def begin(strings: int, series: int) -> Control:
    """All contactors open, no cell bled, no limit granted yet."""
    return Control(
        stage=np.zeros(strings),
        stage_s=np.zeros(strings),
        tries=np.zeros(strings),
        mean_square_A2=np.zeros(strings),
        contactor=np.zeros((strings, 3)),
        bleed=np.zeros((strings, series)),
        limit_A=np.zeros((2, strings)),
        cooling=0.0,
        heating=0.0,
        charge_done=0.0,
    )
