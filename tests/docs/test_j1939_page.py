"""The page on J1939 says what a node file may say, and its examples are valid."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packhorse.protocols.j1939.settings import NodeFile, compile_node

PAGE = (Path(__file__).parents[2] / "docs" / "j1939.md").read_text(encoding="utf-8")


def test_the_examples_are_a_node_file() -> None:
    text = "\n".join(re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.S | re.M))
    settings = compile_node(NodeFile.model_validate(tomllib.loads(text)))
    assert settings.codes["connection_status"]["closed"] == 2


def test_every_key_is_explained_with_its_default() -> None:
    table = PAGE.split("## What is sent")[0]
    missing = [name for name in NodeFile.model_fields if f"`{name}`" not in table]
    assert not missing
    for name in ("address", "silence_s", "first_own_spn"):
        assert str(NodeFile.model_fields[name].default) in table
