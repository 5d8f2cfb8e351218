"""`packhorse dbc export`: our own node as a DBC file."""

from __future__ import annotations

from pathlib import Path

from packhorse.app.on_bus import SIMULATED_NODE
from packhorse.app.world import refused
from packhorse.io.whole import write_whole
from packhorse.pack.load import find, load_pack_file, read
from packhorse.protocols.j1939.settings import NodeFile, compile_node
from packhorse.protocols.node_dbc import node_dbc
from packhorse.protocols.node_map import node_map


def export(pack: str, node: str | None, out: Path, mapping: Path | None = None) -> None:
    """Write the DBC of a pack as a node, and beside it the mapping by which a recorded bus of it is replayed.

    Raises ConfigurationError or an `io` error.
    """
    file, _ = load_pack_file(pack)
    described = NodeFile.model_validate(SIMULATED_NODE) if node is None else read(find("nodes", node), NodeFile)
    with refused():
        text = node_dbc(compile_node(described), file.strings, file.series, file.probes)
    write_whole(out, text.encode("ascii"))
    lines = text.splitlines()
    messages, signals = (sum(line.startswith(mark) for line in lines) for mark in ("BO_ ", " SG_ "))
    print(f"{out}: {messages} messages, {signals} signals")
    if mapping is not None:
        with refused():
            write_whole(mapping, node_map(file.strings, file.series, file.probes).encode("ascii"))
        print(f"{mapping}: the mapping of its boards")
