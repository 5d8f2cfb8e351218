"""From decisions to commands: contactors, limits, balancing, heat, charging."""

from packhorse.control.balancing import bleed
from packhorse.control.charging import charge
from packhorse.control.contactors import positions, sequence
from packhorse.control.limits import limits
from packhorse.control.start import begin
from packhorse.control.thermal import regulate

__all__ = ["begin", "bleed", "charge", "limits", "positions", "regulate", "sequence"]
