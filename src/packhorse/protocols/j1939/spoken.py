"""Which messages our battery speaks, and the bytes of each."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import NamedTuple

from packhorse.pack.words import Frame, Output, Pack, State
from packhorse.protocols.j1939.battery import STRING_SPEECH, WHOLE_SPEECH, View
from packhorse.protocols.j1939.hvess import PACKS, Layout, encode, pack_layouts, system_layouts
from packhorse.protocols.j1939.settings import MODULE_STATUS, NOT_SENT, Settings

MODULES = "MS1"
"""The message that says nothing unless the node file tells how."""


class Moment(NamedTuple):
    """One step of the BMS, of which a node speaks."""

    pack: Pack
    frame: Frame
    state: State
    output: Output


class Said(NamedTuple):
    """A message of ours: its layout, the strings it speaks of, and the end of its name."""

    layout: Layout
    strings: tuple[int, ...]
    block: str


def spoken(settings: Settings, strings: int) -> Mapping[str, Said]:
    """Every message of ours by name: of the whole battery and, where it has several strings, of each as a pack."""
    modules = any(code != NOT_SENT for code in settings.codes[MODULE_STATUS].values())
    return _spoken(strings, settings.packs, settings.first_pack, settings.current_is_signed, modules)


@functools.cache
def _spoken(strings: int, packs: bool, first_pack: int, signed: bool, modules: bool) -> Mapping[str, Said]:
    every = tuple(range(strings))
    said = {f"HVESS{block}": (system_layouts(), every, block) for block in WHOLE_SPEECH}
    if packs and strings > 1:
        for s in range(min(strings, PACKS + 1 - first_pack)):
            n = first_pack + s
            said |= {f"HVESP{n}{block}": (pack_layouts(n), (s,), block) for block in STRING_SPEECH}
    return {
        name: Said(with_current(layouts[name], signed), which, block)
        for name, (layouts, which, block) in said.items()
        if modules or block != MODULES
    }


def with_current(layout: Layout, signed: bool) -> Layout:
    """The layout as the makers have it who send the current as a signed number without offset."""
    if not signed:
        return layout
    signals = tuple(
        s._replace(offset=0.0, last=0x7FFF, absent=0x8000, error=0x8000, signed=True) if s.name == "current_A" else s
        for s in layout.signals
    )
    return layout._replace(signals=signals)


def encoded(settings: Settings, moment: Moment, said: Said) -> bytes:
    """The bytes of one of our messages at this moment."""
    view = View(settings, *moment, said.strings, whole=said.layout.name.startswith("HVESS"))
    return encode(said.layout, WHOLE_SPEECH[said.block](view))
