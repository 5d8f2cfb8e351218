"""The page on buses names every message of the boards, with its group."""

from __future__ import annotations

from pathlib import Path

import pytest

from packhorse.protocols.boards import table

PAGE = (Path(__file__).parents[2] / "docs" / "buses.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("direction", ["readings", "commands"])
def test_every_message_is_on_the_page_with_its_group(direction: str) -> None:
    for kind, entry in table()[direction].items():
        row = next((line for line in PAGE.splitlines() if line.startswith(f"| `{kind}` |")), "")
        assert f"0x{entry['pgn']:X}" in row, kind
        sender = entry.get("from", "BMS")
        assert sender in row or str(table()["addresses"].get(sender)) in row, kind
