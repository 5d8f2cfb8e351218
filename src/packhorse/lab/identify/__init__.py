"""From laboratory logs of a cell to its cell file."""

from packhorse.lab.identify.identify import Identified, identify
from packhorse.lab.training import Training

__all__ = ["Identified", "Training", "identify"]
