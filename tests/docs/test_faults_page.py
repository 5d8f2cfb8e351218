"""The committed page of faults is what the fault table says."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_page_is_what_the_script_prints() -> None:
    printed = runpy.run_path(str(ROOT / "scripts" / "faults_page"))["tables"]()
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert printed in page, "docs/faults.md is out of date; run: .venv/bin/python scripts/faults_page --write"
