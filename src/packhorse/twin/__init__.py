"""The simulated truck: true cells, heat and coolant, road and load, charger, sensors, faults.

It knows the BMS only by the frames that it gives and the commands and limits that it obeys, and its cells differ from
what the BMS believes, or every test would be a mirror.
"""

from packhorse.twin.build import compile_truck
from packhorse.twin.description import TruckFile, load_truck
from packhorse.twin.duty import demand_at, duty
from packhorse.twin.truck import idle, start, step
from packhorse.twin.words import Body, Cycle, Demand, Fault, Kind, Truck

__all__ = [
    "Body",
    "Cycle",
    "Demand",
    "Fault",
    "Kind",
    "Truck",
    "TruckFile",
    "compile_truck",
    "demand_at",
    "duty",
    "idle",
    "load_truck",
    "start",
    "step",
]
