"""The 64-bit NAME by which a J1939 node says what it is and claims its address; the lower one wins."""

from __future__ import annotations

from typing import NamedTuple

BITS = (21, 11, 3, 5, 8, 1, 7, 4, 3, 1)
"""Width of each field of `Name`, from the lowest bit on."""


class Name(NamedTuple):
    """The fields of a NAME, from the lowest bit on."""

    identity: int
    manufacturer: int
    ecu_instance: int
    function_instance: int
    function: int
    reserved: int
    vehicle_system: int
    vehicle_system_instance: int
    industry_group: int
    may_move: int  # 1: able to claim another address


def name_number(name: Name) -> int:
    """The NAME as one number. Raises ValueError where a field is out of its range."""
    total, place = 0, 0
    for field, part, bits in zip(Name._fields, name, BITS, strict=True):
        if not 0 <= part < 1 << bits:
            raise ValueError(f"name.{field}: found {part}; give 0 to {(1 << bits) - 1}")
        total |= part << place
        place += bits
    return total


def split_name(number: int) -> Name:
    """A NAME taken apart."""
    parts = []
    for bits in BITS:
        parts.append(number & ((1 << bits) - 1))
        number >>= bits
    return Name(*parts)


def name_bytes(number: int) -> bytes:
    """A NAME as it is sent."""
    return number.to_bytes(8, "little")
