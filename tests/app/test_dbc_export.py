"""`packhorse dbc export` writes a file that a judge reads, and says in a line what is wrong."""

from __future__ import annotations

from pathlib import Path

import cantools.database
from typer.testing import CliRunner

from packhorse.app.main import app


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "node.dbc"
    result = CliRunner().invoke(app, ["dbc", "export", "--pack", "light", "-o", str(path)])
    assert result.exit_code == 0, result.output
    known = cantools.database.load_file(path, strict=True)
    assert f"{len(known.messages)} messages" in result.output
    assert known.get_message_by_name("HVESSD1").cycle_time == 20


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["dbc", "export", "-o", str(tmp_path)])
    assert result.exit_code == 2
