"""What is forbidden: judges raw measurements against the fault table.

Limits act on the worst raw value, so an implausible reading can never hide an unsafe one; silence of a sensor is a
fault of its own. This room never imports estimation: no clever belief can talk it out of a trip.
"""

from packhorse.protection.signals import judge
from packhorse.protection.watch import Verdict, begin, step

__all__ = ["Verdict", "begin", "judge", "step"]
