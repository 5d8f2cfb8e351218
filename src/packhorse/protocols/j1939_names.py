"""What groups, addresses, parameters and failure modes of J1939 are called, for people who look at a bus.

What our table of messages knows is called as there.
"""

from __future__ import annotations

import functools

from packhorse.protocols.j1939.diagnostics import FIRST_OWN_SPN
from packhorse.protocols.j1939.hvess import layouts

GROUPS: dict[int, str] = {
    0x0000: "TSC1 torque/speed control",
    0xDF00: "DM13 stop broadcast",
    0xD300: "DM19 calibration",
    0xC300: "DM22 clear one fault",
    0xE800: "ACKM acknowledgement",
    0xEA00: "RQST request",
    0xEB00: "TP.DT transport, data",
    0xEC00: "TP.CM transport, control",
    0xEE00: "AC address claimed",
    0xEF00: "PropA proprietary",
    0x1EF00: "PropA proprietary",
    0xF000: "ERC1 retarder",
    0xF001: "EBC1 brakes",
    0xF002: "ETC1 transmission",
    0xF003: "EEC2 engine 2",
    0xF005: "ETC2 transmission 2",
    0xF009: "VDC2 stability",
    0xFCB7: "HSS2 hybrid remaining charge",
    0xFD80: "DM28 permanent faults",
    0xFDB5: "DM23 emission faults, previous",
    0xFDB6: "DM24 supported SPNs",
    0xFE6C: "TCO1 tachograph",
    0xFECA: "DM1 active faults",
    0xFECB: "DM2 previous faults",
    0xFECC: "DM3 clear previous faults",
    0xFECE: "DM5 readiness",
    0xFECF: "DM6 pending faults",
    0xFED3: "DM11 clear active faults",
    0xFED4: "DM12 emission faults",
    0xFEDA: "SOFT software",
    0xFEDF: "EEC3 engine 3",
    0xFEE4: "SHUTDN shutdown",
    0xFEE5: "HOURS engine hours",
    0xFEE6: "TD time and date",
    0xFEE9: "LFC fuel used",
    0xFEEB: "CI component",
    0xFEEC: "VI vehicle identification",
    0xFEEE: "ET1 engine temperature",
    0xFEEF: "EFL/P1 engine fluids",
    0xFEF2: "LFE1 fuel economy",
    0xFEF6: "IC1 intake, exhaust",
    0xFEF7: "VEP1 electrical power",
    0xFEF8: "TRF1 transmission fluids",
    0xFEFC: "DD1 dash display",
}
ADDRESSES: dict[int, str] = {
    0: "engine 1",
    1: "engine 2",
    3: "transmission 1",
    5: "shift console",
    11: "brakes",
    15: "retarder, engine",
    16: "retarder, driveline",
    17: "cruise control",
    19: "steering",
    23: "instruments",
    25: "climate control",
    33: "body controller",
    39: "management computer",
    49: "cab controller",
    61: "exhaust",
    74: "battery charger",
    238: "tachograph",
    239: "propulsion 1",
    240: "propulsion 2",
    241: "propulsion 3",
    242: "propulsion 4",
    243: "battery pack 1",
    244: "battery pack 2",
    245: "battery pack 3",
    246: "battery pack 4",
    249: "diagnostic tool 1",
    250: "diagnostic tool 2",
    254: "no address",
    255: "everyone",
}
FAILURES = {
    0: "above normal, most severe",
    1: "below normal, most severe",
    2: "erratic",
    3: "voltage high",
    4: "voltage low",
    5: "current low or open",
    6: "current high or grounded",
    7: "mechanical",
    8: "abnormal frequency",
    9: "abnormal rate of update",
    10: "abnormal rate of change",
    11: "cause not known",
    12: "bad device",
    13: "out of calibration",
    14: "special instructions",
    15: "above normal, least severe",
    16: "above normal, moderate",
    17: "below normal, least severe",
    18: "below normal, moderate",
    19: "bad data from the network",
    20: "drifted high",
    21: "drifted low",
    31: "condition exists",
}
"""Failure modes. Source: SAE J1939-73."""
PROPRIETARY = {*range(0xFF00, 0x10000), *range(0x1FF00, 0x20000)}


def group_name(group: int) -> str:
    """What a parameter group is called; empty where that is not known here."""
    if group in PROPRIETARY:
        return "PropB proprietary"
    layout = layouts().get(group)
    return GROUPS.get(group, "") if layout is None else f"{layout.name} {layout.about}"


def table_name(group: int) -> str:
    """The acronym of a parameter group in our table; empty where it is not there."""
    layout = layouts().get(group)
    return "" if layout is None else layout.name


def address_name(address: int) -> str:
    """Who has an address by custom; empty where that is not known here. A claim on the bus may say otherwise."""
    return ADDRESSES.get(address, "")


def parameter_name(spn: int) -> str:
    """Which signal of our table a suspect parameter number is; empty where none is."""
    return "manufacturer's own" if spn >= FIRST_OWN_SPN else _signals().get(spn, "")


def failure_name(fmi: int) -> str:
    """What a failure mode is."""
    return FAILURES.get(fmi, "reserved")


@functools.cache
def _signals() -> dict[int, str]:
    """Names by SPN."""
    every = [(s.spn, f"{layout.name}.{s.name}") for layout in layouts().values() for s in layout.signals if s.spn]
    return dict(reversed(every))
