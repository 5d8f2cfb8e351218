"""CSV of frames: as python-can and SavvyCAN write it, and any with columns of time, identifier and data in hex.

timestamp,arbitration_id,extended,remote,error,dlc,data      python-can: identifier 0x..., data in base64
Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8   SavvyCAN: microseconds, hex
timestamp,id,data                                            seconds, 0x18FEF100, 0011223344556677
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from packhorse.compiled import compiled, part
from packhorse.io.can_logs.scan import (
    char,
    decimal,
    digit_of,
    filled,
    line_end,
    packed_hex,
    possible,
    put,
    room,
    spaced,
    spaces,
)
from packhorse.io.can_logs.scan import whole as number
from packhorse.io.can_logs.source import Findings, lines
from packhorse.io.errors import ReadError
from packhorse.pack.words import Index
from packhorse.protocols.frames import ERROR, EXTENDED, FD, REMOTE, SENT, Bytes, CanFrames

IGNORED, TIME, ID, IS_EXTENDED, IS_REMOTE, IS_ERROR, IS_FD, LENGTH, BUS, DIRECTION, HEX, BASE64, BYTE = range(13)
NAMES: dict[str, int] = {
    **dict.fromkeys(("timestamp", "time", "time_s", "time stamp"), TIME),
    **dict.fromkeys(("id", "arbitration_id", "can_id", "identifier"), ID),
    **dict.fromkeys(("extended", "is_extended", "ext", "ide"), IS_EXTENDED),
    **dict.fromkeys(("remote", "is_remote", "rtr"), IS_REMOTE),
    **dict.fromkeys(("error", "is_error"), IS_ERROR),
    **dict.fromkeys(("fd", "is_fd", "edl"), IS_FD),
    **dict.fromkeys(("dlc", "length", "len", "data_length"), LENGTH),
    **dict.fromkeys(("bus", "channel"), BUS),
    **dict.fromkeys(("dir", "direction"), DIRECTION),
    **dict.fromkeys(("data", "payload", "data_bytes"), HEX),
    **{f"d{k}": BYTE for k in range(1, 65)},
}
OF_PYTHON_CAN = b"timestamp,arbitration_id,extended,remote,error,dlc,data"
QUOTE, EQUALS, T_SMALL, ZERO, X_SMALL, SMALL = ord('"'), ord("="), ord("t"), ord("0"), ord("x"), 0x20
SIXTY_FOUR: Bytes = np.full(256, 255, dtype=np.uint8)
SIXTY_FOUR[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")] = np.arange(64)


class Form(NamedTuple):
    """What the columns of a file are, and how its numbers are written."""

    roles: Index  # (columns,)
    separator: int
    base: int  # of identifiers without 0x
    unit_s: float


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of a CSV; a line that is none is counted."""
    form: Form | None = None
    for content in lines(path, findings):
        body = content
        if form is None:
            head, _, body = content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
            form = form_of(path, head, body)
        text, frames = room(body)
        count, size, wrong = fill(text, form, frames)
        findings["lines that are no frame"] += wrong
        yield filled(frames, count, size)


def columns(head: bytes) -> tuple[list[str], str]:
    """The names in the first line of a CSV, and what separates them."""
    line = head.decode("latin-1").strip().strip("\xef\xbb\xbf")
    separator = max(",;\t", key=line.count)
    return [name.strip().strip('"').casefold() for name in line.split(separator)], separator


def is_ours(head: bytes) -> bool:
    """Whether a first line names columns that frames can be read from."""
    roles = [NAMES.get(name, IGNORED) for name in columns(head)[0]]
    return roles.count(TIME) == 1 and roles.count(ID) == 1 and (HEX in roles or BYTE in roles)


def form_of(path: Path, head: bytes, body: bytes) -> Form:
    """What a file looks like. Raises ReadError where identifiers could be hexadecimal or decimal."""
    names, separator = columns(head)
    roles = [NAMES.get(name, IGNORED) for name in names]
    if not is_ours(head):
        raise ReadError(f"{path}: no columns of time, identifier and data in hex; give a CSV of frames")
    if head.strip() == OF_PYTHON_CAN:
        roles[roles.index(HEX)] = BASE64
    cells = [line.split(separator.encode()) for line in body[: 2**16].splitlines()]
    at = roles.index(ID)
    ids = [row[at].strip().strip(b'"').lower() for row in cells if len(row) > at]
    base = base_of(ids, sure_hex="time stamp" in names)
    if base == 0:
        raise ReadError(
            f"{path}: column {names[at]}: {ids[0].decode('latin-1')!r} may be decimal or hex; write hex as 0x123"
        )
    unit_s = 1e-6 if "time stamp" in names else 1.0
    return Form(np.array(roles, dtype=np.int64), ord(separator), base, unit_s)


def base_of(ids: list[bytes], *, sure_hex: bool) -> int:
    """The base of identifiers, as far as they tell it; 0 where they do not."""
    bare = [one for one in ids if one and not one.startswith(b"0x")]
    if sure_hex or not bare or any(set(one) & set(b"abcdef") for one in bare):
        return 16
    if any(one.isdigit() and int(one[:20], 16) > 0x1FFFFFFF for one in bare):
        return 10
    return 16 if all(len(one) in (3, 8) for one in bare) and any(one.startswith(b"0") for one in bare) else 0


@compiled
def fill(text: Bytes, form: Form, frames: CanFrames) -> tuple[int, int, int]:
    """Frames of every line; gives how many, how long their payloads are, and how many lines were none."""
    count, size, wrong, at = 0, 0, 0, 0
    while at < text.size:
        end = line_end(text, at)
        if spaces(text, at, end) < end:
            time_s, identifier, flags, bus, length = row_of(text, at, end, form, frames.data, size)
            if length >= 0 and np.isfinite(time_s) and possible(identifier, flags, length):
                put(frames, count, time_s * form.unit_s, identifier, flags, bus, length, size)
                count, size = count + 1, size + length
            else:
                wrong += 1
        at = end + 1
    return count, size, wrong


class Row(NamedTuple):
    """What the cells of a line say of a frame; -1 where they do not."""

    time_s: float
    id: int
    flags: int
    bus: int
    told: int  # length as it is stated
    length: int  # length of the payload that is there
    extended: int
    sound: bool


@part
def row_of(text: Bytes, at: int, end: int, form: Form, data: Bytes, to: int) -> tuple[float, int, int, int, int]:
    """Time, identifier, flags, bus and length of a line; length -1 where it is no frame."""
    row = Row(np.nan, -1, 0, 0, -1, 0, -1, True)
    for column in range(form.roles.size):
        begin, stop, after = cell(text, at, end, form.separator)
        role = form.roles[column]
        if role >= HEX:
            length, sound = bytes_of(text, begin, stop, role, data, to, row.length, row.sound)
            row = Row(row.time_s, row.id, row.flags, row.bus, row.told, length, row.extended, sound)
        elif role != IGNORED:
            row = with_cell(text, begin, stop, role, form.base, row)
        at = after
        if after > end:
            if column + 1 < form.roles.size and form.roles[column + 1] != BYTE:
                return np.nan, -1, 0, 0, -1
            break
    length = 0 if row.flags & REMOTE else row.length
    sound = row.sound and ((row.flags & REMOTE) != 0 or row.told < 0 or row.told == length)
    wide = row.extended == 1 or (row.extended < 0 and row.id > 0x7FF)
    flags = row.flags | (EXTENDED if wide else 0) | (FD if length > 8 else 0)
    return row.time_s, row.id, flags, row.bus, (length if sound else -1)


@part
def with_cell(text: Bytes, at: int, stop: int, role: int, base: int, row: Row) -> Row:
    """A row with what one cell says, unless that is payload."""
    time_s, identifier, flags, bus, told, length, extended, sound = row
    if role == TIME:
        time_s, ended = decimal(text, at, stop)
        sound = sound and ended == stop
    elif role == ID:
        identifier, sound = id_of(text, at, stop, base, sound)
    elif role == IS_EXTENDED:
        extended = int(is_true(text, at, stop))
    elif role == LENGTH:
        told = number(text, at, stop, 10)[0]
    elif role == BUS:
        bus = max(number(text, at, stop, 10)[0], 0)
    else:
        flags |= flag_of(text, at, stop, role)
    return Row(time_s, identifier, flags, bus, told, length, extended, sound)


@part
def cell(text: Bytes, at: int, end: int, separator: int) -> tuple[int, int, int]:
    """Begin and end of a cell without its spaces and quotes, and where the next begins; beyond `end` for the last."""
    stop = at
    while stop < end and char(text, stop) != separator:
        stop += 1
    after, begin = stop + 1, spaces(text, at, stop)
    while stop > begin and char(text, stop - 1) <= 32:
        stop -= 1
    if stop - begin >= 2 and char(text, begin) == QUOTE and char(text, stop - 1) == QUOTE:
        begin, stop = begin + 1, stop - 1
    return begin, stop, after


@part
def id_of(text: Bytes, at: int, stop: int, base: int, sound: bool) -> tuple[int, bool]:
    """An identifier, hexadecimal where it begins with 0x."""
    if stop - at > 2 and char(text, at) == ZERO and (char(text, at + 1) | SMALL) == X_SMALL:
        at, base = at + 2, 16
    value, ended = number(text, at, stop, base)
    return value, sound and value >= 0 and ended == stop


@part
def is_true(text: Bytes, at: int, stop: int) -> bool:
    """Whether a cell says yes: 1 or true."""
    return stop > at and ((stop == at + 1 and char(text, at) == 49) or (char(text, at) | SMALL) == T_SMALL)


@part
def flag_of(text: Bytes, at: int, stop: int, role: int) -> int:
    """The flag that a cell sets, if it says yes."""
    if not is_true(text, at, stop):
        return 0
    if role == IS_FD:
        return FD
    return REMOTE if role == IS_REMOTE else (ERROR if role == IS_ERROR else SENT)


@part
def bytes_of(
    text: Bytes, at: int, stop: int, role: int, data: Bytes, to: int, length: int, sound: bool
) -> tuple[int, bool]:
    """Payload of a cell behind what there is of it; gives its length now."""
    if role == BYTE:
        if at == stop:
            return length, sound
        value, ended = number(text, at, stop, 16)
        if value < 0 or value > 255 or ended != stop or length >= 64:
            return length, False
        data[to + length] = value
        return length + 1, sound
    if role == BASE64:
        return from_base64(text, at, stop, data, to, sound)
    if stop - at > 2 and char(text, at) == ZERO and (char(text, at + 1) | SMALL) == X_SMALL:
        at += 2
    if stop - at > 2 and digit_of(text, at + 2) > 15:
        length, ended = spaced(text, at, stop, 16, 64, data, to)
    else:
        length, ended = packed_hex(text, at, stop, data, to)
    return length, sound and ended == stop


@part
def from_base64(text: Bytes, at: int, stop: int, data: Bytes, to: int, sound: bool) -> tuple[int, bool]:
    """Payload in base64."""
    held, bits, length = np.int64(0), 0, 0
    while stop > at and char(text, stop - 1) == EQUALS:
        stop -= 1
    for k in range(at, stop):
        six = int(SIXTY_FOUR[char(text, k)])
        if six > 63 or length > 64:
            return length, False
        held, bits = ((held << 6) | six) & 0xFFFF, bits + 6
        if bits >= 8:
            bits -= 8
            if length < 64:
                data[to + length] = (held >> bits) & 0xFF
            length += 1
    return length, sound and length <= 64 and (stop - at) % 4 != 1
