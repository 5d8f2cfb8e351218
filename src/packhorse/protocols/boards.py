"""The boards of a pack on the bus: cells, probes, strings and circuits as messages, and what the BMS asks of them.

    wire   = readings(strings, series, probes)  or  commands(strings, series)
    codes  = coded(wire, values)                            values by field, NaN is not available
    frames = framed(wire, codes, source)
    memory, others = take(wire, memory, time_s, frames)     others: frames that are none of the wire's
    values = known_values(wire, memory, time_s, patience_s) what is fresh; NaN where it is not

No public standard exists for cell-monitoring boards; the table is our own (`boards.toml`). Every message is four words
of 16 bits, so that a tick of hundreds of messages is one array.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array, Command, Frame, Index, Pack
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, join
from packhorse.protocols.j1939.node import Requests
from packhorse.protocols.signal import Signal, special_codes

WORDS, BYTES = 4, 8
LAST, ABSENT, ERROR = special_codes(16)
MASK_BITS = 16
PRIORITY = 6
FROM_EACH, FROM_ANYONE = 0x03FFFFFF, 0x03FFFF00
"""What of an identifier tells a message: group and source of a reading, the group alone of a command."""
Codes = NDArray[np.uint16]
Values = Mapping[str, Array | float]


class Row(NamedTuple):
    """One message: its group, who speaks it (None: whoever commands), and the fields of its words."""

    name: str
    kind: str
    pgn: int
    source: int | None
    string: int  # -1: of the pack
    words: tuple[str, ...]
    first: int  # index of the first word within its field


class Wire(NamedTuple):
    """All messages in one direction, as arrays of (rows, 4)."""

    rows: tuple[Row, ...]
    row_of: Mapping[int, int]  # by identifier under `mask`
    mask: int
    scale: Array
    offset: Array
    last: Array
    saturates: NDArray[np.bool_]
    at: Mapping[str, Index]  # by field: place of each of its values in the flat array
    of: Mapping[str, Index]  # by kind: its rows, (strings, rows) where a string's boards speak it


class Memory(NamedTuple):
    """What has been heard: the last codes of each message, when, and how often."""

    codes: Codes  # (rows, 4)
    heard_s: Array  # (rows,) -inf: never
    times: Index  # (rows,)
    truncated: int = 0


@functools.cache
def table() -> dict[str, Any]:
    """The table of boards as written."""
    return tomllib.loads(resources.files(__package__).joinpath("boards.toml").read_text(encoding="utf-8"))


@functools.cache
def readings(strings: int, series: int, probes: int) -> Wire:
    """What the boards of such a pack say. Raises ValueError where it has more strings than there are addresses."""
    counts = {"series": series, "probes": probes}
    return _wire(_rows(table()["readings"], strings, counts), FROM_EACH)


@functools.cache
def commands(strings: int, series: int) -> Wire:
    """What is asked of them. Raises ValueError as above."""
    counts = {"masks": -(-series // MASK_BITS)}
    return _wire(_rows(table()["commands"], strings, counts), FROM_ANYONE)


def blank(wire: Wire) -> Memory:
    """A memory that has heard nothing."""
    rows = len(wire.rows)
    return Memory(np.full((rows, WORDS), ABSENT, np.uint16), np.full(rows, -math.inf), np.zeros(rows, np.int64))


def coded(wire: Wire, values: Values) -> Codes:
    """The nearest codes; what is not given is not available, what is out of range an error or the end of the range."""
    flat = np.full(wire.scale.size, math.nan)
    for field, places in wire.at.items():
        if field in values:
            flat[places.ravel()] = np.asarray(values[field], dtype=np.float64).ravel()
    value = flat.reshape(wire.scale.shape)
    count = np.rint((value - wire.offset) / wire.scale)
    inside = (count >= 0.0) & (count <= wire.last)
    held = np.where(inside, count, np.where(wire.saturates, np.clip(count, 0.0, wire.last), ERROR))
    return np.where(np.isnan(value), ABSENT, held).astype(np.uint16)


def framed(wire: Wire, codes: Codes, source: int, rows: Iterable[int] | None = None) -> list[CanFrame]:
    """The messages as frames; `source` speaks those that have no sender of their own."""
    data = codes.astype("<u2").tobytes()
    chosen = range(len(wire.rows)) if rows is None else rows
    return [CanFrame(_can_id(wire.rows[k], source), data[BYTES * k : BYTES * (k + 1)]) for k in chosen]


def take(wire: Wire, was: Memory, time_s: float, frames: Sequence[CanFrame]) -> tuple[Memory, list[CanFrame]]:
    """Take frames of one moment in; gives back those that are for others. What is too short is dropped and counted."""
    row_of, mask = wire.row_of, wire.mask
    rows, parts, others, truncated = [], [], [], 0
    for frame in frames:
        row = row_of.get(frame.can_id & mask)
        if row is None:
            others.append(frame)
        elif len(frame.data) == BYTES:
            rows.append(row)
            parts.append(frame.data)
        else:
            truncated += 1
    if not rows:
        return was._replace(truncated=was.truncated + truncated), others
    codes, heard_s = was.codes.copy(), was.heard_s.copy()
    codes[rows] = np.frombuffer(b"".join(parts), "<u2").reshape(-1, WORDS)  # of several the last stays
    heard_s[rows] = time_s
    times = was.times + np.bincount(rows, minlength=len(wire.rows))
    return Memory(codes, heard_s, times, was.truncated + truncated), others


def known_values(wire: Wire, memory: Memory, time_s: float, patience_s: float) -> dict[str, Array]:
    """The value of every field; NaN where it is no value, was never heard, or is older than `patience_s`."""
    value = memory.codes * wire.scale + wire.offset
    fresh = time_s - memory.heard_s <= patience_s
    flat = np.where((memory.codes <= wire.last) & fresh[:, None], value, math.nan).ravel()
    return {field: flat[places] for field, places in wire.at.items()}


def frame_of(wire: Wire, memory: Memory, pack: Pack, time_s: float, requests: Requests, ambient_degC: float) -> Frame:
    """The frame that the BMS takes in.

    A reading that has not come for longer than the pack's patience is NaN; until then it stands, with its age.
    """
    patience_s = pack.sensors.patience_s
    heard = known_values(wire, memory, time_s, patience_s)
    return Frame(
        time_s,
        heard["cell_V"],
        heard["probe_degC"],
        heard["string_A"],
        heard["string_V"],
        ages(wire, memory, heard["age_s"], time_s, patience_s),
        heard["contactor"],
        float(heard["link_V"][0]),
        float(heard["isolation_ohm"][0]),
        float(heard["hvil"][0]),
        float(heard["inlet_degC"][0]),
        float(heard["outlet_degC"][0]),
        ambient_degC,
        requests.drive_request,
        requests.charge_request,
        requests.reset_request,
    )


def ages(wire: Wire, memory: Memory, told_s: Array, time_s: float, patience_s: float) -> Array:
    """Age of cells, probes and current of each string: what the board tells, and how long its messages are ago.

    The oldest that still counts tells; where none does any more, the youngest.
    """
    out = np.where(np.isnan(told_s), 0.0, told_s)
    for column, kind in enumerate(("cells", "probes", "string")):
        since_s = time_s - memory.heard_s[wire.of[kind]]
        counting = since_s <= patience_s
        oldest_s = np.where(counting, since_s, -math.inf).max(axis=1)
        youngest_s = since_s.min(axis=1)
        out[:, column] += np.where(counting.any(axis=1), oldest_s, youngest_s)
    return np.where(np.isfinite(out), out, math.nan)


def said_of(frame: Frame, inverter_W: float = math.nan) -> dict[str, Array | float]:
    """What the boards of a truck say of what their sensors read."""
    words = frame._asdict()
    return {field: words[field] for field in _fields("readings") if field in words} | {"inverter_W": inverter_W}


def asked_of(command: Command) -> dict[str, Array | float]:
    """What the boards are asked, by field; sixteen cells to bleed are one mask."""
    strings, series = command.bleed.shape
    bits = np.zeros((strings, -(-series // MASK_BITS) * MASK_BITS))
    bits[:, :series] = command.bleed
    masks = bits.reshape(strings, -1, MASK_BITS) @ (2.0 ** np.arange(MASK_BITS))
    words = command._asdict()
    return {field: words[field] for field in _fields("commands") if field != "bleed"} | {"bleed": masks}


def command_of(wire: Wire, memory: Memory, series: int, time_s: float, patience_s: float) -> Command:
    """What the boards obey: what is not asked, or no longer, is off and open."""
    asked = {field: np.nan_to_num(value) for field, value in known_values(wire, memory, time_s, patience_s).items()}
    masks = asked["bleed"].astype(np.uint16)
    bits = masks[:, :, None] >> np.arange(MASK_BITS, dtype=np.uint16) & 1
    single = {
        field: float(asked[field][0]) for field in ("pump", "chiller", "radiator", "heater", "charge_A", "charge_V")
    }
    strings = masks.shape[0]
    bleed = np.ascontiguousarray(bits.reshape(strings, -1)[:, :series], dtype=np.float64)
    return Command(contactor=asked["contactor"], bleed=bleed, stage=np.zeros(strings), **single)


def signals_of(row: Row) -> tuple[Signal, ...]:
    """The words of a message as signals, each with a name of its own; strings, cells and probes count from 1."""
    signals = []
    for k, field in enumerate(row.words):
        scale, offset, saturates, last = _scale(field)
        absent, error = (ABSENT, ERROR) if last == LAST else (-1, -1)
        name = _signal_name(row, field, k)
        signals.append(Signal(name, MASK_BITS * k, MASK_BITS, scale, offset, last, absent, error, saturates=saturates))
    return tuple(signals)


def _signal_name(row: Row, field: str, k: int) -> str:
    string = f"string{row.string + 1}_" if row.string >= 0 else ""
    several = len(set(row.words)) < len(row.words) or row.kind in {"cells", "probes", "bleed"}
    return f"{string}{field}_{row.first + k + 1}" if several else f"{string}{field}"


def _rows(kinds: Mapping[str, Any], strings: int, counts: Mapping[str, int]) -> list[Row]:
    if strings > table()["strings"]:
        raise ValueError(f"{strings} strings on one bus: boards of {table()['strings']} have addresses; use more buses")
    rows = []
    for kind, entry in kinds.items():
        speaker, whom = entry.get("from"), entry.get("from", entry.get("to"))
        for s in range(strings) if whom == "string" else (-1,):
            source = None if speaker is None else table()["addresses"][speaker] + max(s, 0)
            count = counts[entry["of"]] if "of" in entry else len(entry["words"])
            for k, first in enumerate(range(0, count, WORDS)):
                words = tuple(entry["words"] * WORDS if "of" in entry else entry["words"])[: count - first][:WORDS]
                string = f"_{s + 1}" if s >= 0 else ""
                number = f"_{k + 1}" if "of" in entry else ""
                pgn = entry["pgn"] + entry.get("step", 0) * max(s, 0) + k
                rows.append(Row(f"{kind}{string}{number}", kind, pgn, source, s, words, first))
    return rows


def _wire(rows: list[Row], mask: int) -> Wire:
    scale, offset = np.ones((len(rows), WORDS)), np.zeros((len(rows), WORDS))
    last, saturates = np.full((len(rows), WORDS), float(LAST)), np.zeros((len(rows), WORDS), np.bool_)
    places: dict[str, dict[int, list[int]]] = {}
    for r, row in enumerate(rows):
        for k, field in enumerate(row.words):
            scale[r, k], offset[r, k], saturates[r, k], last[r, k] = _scale(field)
            places.setdefault(field, {}).setdefault(row.string, []).append(WORDS * r + k)
    at = {field: np.array(list(of.values())) if -1 not in of else np.array(of[-1]) for field, of in places.items()}
    single = {"string_A", "string_V"}  # one of each string
    at = {field: found[:, 0] if field in single else found for field, found in at.items()}
    of = {kind: _rows_of(rows, kind) for kind in {row.kind for row in rows}}
    row_of = {_can_id(row, 0) & mask: r for r, row in enumerate(rows)}
    return Wire(tuple(rows), row_of, mask, scale, offset, last, saturates, at, of)


def _rows_of(rows: list[Row], kind: str) -> Index:
    strings = {row.string for row in rows if row.kind == kind}
    return np.array([[r for r, row in enumerate(rows) if (row.kind, row.string) == (kind, s)] for s in sorted(strings)])


def _scale(field: str) -> tuple[float, float, bool, int]:
    entry = table()["scales"][field]
    if entry == "mask":
        return 1.0, 0.0, False, (1 << MASK_BITS) - 1
    return entry[0], entry[1], "saturates" in entry, LAST


def _can_id(row: Row, source: int) -> int:
    return join(PRIORITY, row.pgn, GLOBAL, source if row.source is None else row.source)


def _fields(direction: str) -> list[str]:
    return list(dict.fromkeys(field for entry in table()[direction].values() for field in entry["words"]))
