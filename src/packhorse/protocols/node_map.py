"""The mapping file of our own boards: with the DBC of the node, a recorded bus replays as the BMS heard it."""

from __future__ import annotations

from packhorse.protocols import boards

SECTIONS = {
    "string_A": ("current", 'unit = "A"\npositive = "discharge"\n'),
    "cell_V": ("cell_voltage", 'unit = "V"\n'),
    "probe_degC": ("probe_temperature", 'unit = "degC"\n'),
    "string_V": ("string_voltage", 'unit = "V"\n'),
    "link_V": ("link_voltage", 'unit = "V"\n'),
    "isolation_ohm": ("isolation", 'unit = "ohm"\n'),
    "hvil": ("hvil", ""),
    "contactor": ("contactor_feedback", ""),
    "inlet_degC": ("inlet_temperature", 'unit = "degC"\n'),
    "outlet_degC": ("outlet_temperature", 'unit = "degC"\n'),
}
"""By field of the boards: its section of a mapping file, and what stands there beside the columns.

How old readings already are when a board says them is left out: a replay takes the age of what was heard instead.
"""
VEHICLE = """[ambient_temperature]
columns = ["AMB.ambient_degC"]
unit = "degC"

[drive_request]
columns = ["HVESSC1.connect_command"]

[charge_request]
columns = ["HVESSC1.internal_charger_command"]
"""


def node_map(strings: int, series: int, probes: int) -> str:
    """The file, as TOML: rows as often as boards speak. Raises ValueError where there are too many strings."""
    columns: dict[str, list[str]] = {field: [] for field in SECTIONS}
    for row in boards.readings(strings, series, probes).rows:
        for field, signal in zip(row.words, boards.signals_of(row), strict=True):
            columns.get(field, []).append(f"{row.name}.{signal.name}")
    parts = [f"[bus]\nperiod_s = {boards.table()['period_s']}\n"]
    for field, (section, more) in SECTIONS.items():
        names = "".join(f'  "{name}",\n' for name in columns[field])
        parts.append(f"[{section}]\ncolumns = [\n{names}]\n{more}")
    return "\n".join([*parts, VEHICLE])
