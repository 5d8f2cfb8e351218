"""The command line as tests call it."""

from __future__ import annotations

import re
from pathlib import Path

from typer.testing import CliRunner, Result

from packhorse.app.main import app


def call(*words: object) -> Result:
    """What a command prints, and its exit code; in this process."""
    return CliRunner().invoke(app, [str(word) for word in words])


def refuses(said: str, *words: object) -> None:
    """The command complains with these words in one line and nothing else, and leaves the folder as it was."""
    here = Path.cwd()
    before = sorted(here.iterdir())
    done = call(*words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert re.fullmatch(r"packhorse: [^\n]+\n", done.stderr), done.stderr
    assert said in done.stderr
    assert sorted(here.iterdir()) == before
