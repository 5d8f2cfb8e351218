"""Every public word is in the glossary."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from packhorse.pack import words
from packhorse.twin import words as twin_words

PAGE = (Path(__file__).parents[2] / "docs" / "words.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [words, twin_words])
def test_every_word_is_in_the_glossary(module: object) -> None:
    public = [name for name, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    assert len(public) > 10
    missing = [name for name in public if not re.search(rf"`{name}`", PAGE)]
    assert not missing
