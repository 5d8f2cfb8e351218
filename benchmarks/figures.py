"""What benchmarks share: candidates in turn, a figure beside its bar, a table, a section of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

REPEATS = 7
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
HEAD = """# How fast

Each section is written by the command that it names; do not edit. Ratios are measured side by side in one run and carry
over to other machines; absolute times belong to this machine and its load.
"""


def figure(
    what: str, measured: float | None, unit: str, bar: float | None, note: str, *, at_least: bool = False
) -> dict[str, Any]:
    """One figure beside its bar, if it has one; `met` is None where nothing is to be met or nothing was measured.

    `note` says how it was measured, or why it was not.
    """
    met = None if measured is None or bar is None else bool(measured >= bar if at_least else measured <= bar)
    return {
        "what": what,
        "measured": measured,
        "unit": unit,
        "bar": bar,
        "bar_is": "at least" if at_least else "at most",
        "met": met,
        "note": note,
    }


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one run: wall time, or what another clock says."""
    start = clock()
    work()
    return clock() - start


def in_turn(*candidates: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Median seconds of each candidate; they take turns, `REPEATS` times, after one run that does not count."""
    for work in candidates:
        work()
    taken = [[seconds(work, clock) for work in candidates] for _ in range(REPEATS)]
    return [float(x) for x in np.median(taken, axis=0)]


def bar_of(one: dict[str, Any], at_least: str, at_most: str) -> str:
    """The bar of a figure in words; a dash where it has none."""
    sign = at_least if one["bar_is"] == "at least" else at_most
    return "-" if one["bar"] is None else f"{sign} {one['bar']:g} {one['unit']}".strip()


def show(figures: dict[str, Any]) -> None:
    """The figures as a table."""
    table = Table("figure", "measured", "bar", "met", "how")
    for one in figures.values():
        value = "-" if one["measured"] is None else f"{one['measured']:.3g} {one['unit']}".strip()
        met = {True: "yes", False: "[red]no[/red]", None: "-"}[one["met"]]
        table.add_row(one["what"], value, bar_of(one, "≥", "≤"), met, one["note"])
    Console().print(table)


def rows_of(figures: dict[str, Any]) -> str:
    """The figures as rows of a Markdown table, with its head."""
    rows = ["| figure | measured | bar | met | how |", "| --- | --- | --- | --- | --- |"]
    for one in figures.values():
        value = "not measured" if one["measured"] is None else f"{one['measured']:.3g} {one['unit']}".strip()
        met = {True: "yes", False: "**no**", None: "-"}[one["met"]]
        bar = bar_of(one, "at least", "at most")
        rows.append(f"| {one['what']} | {value} | {bar} | {met} | {one['note']} |")
    return "\n".join(rows) + "\n"


def put(name: str, title: str, body: str, to: Path | None = None) -> None:
    """Write a section of a page between its markers, by default of docs/performance.md; the others stay as they are."""
    to = to or PAGE
    opening, closing = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    page = to.read_text(encoding="utf-8") if to.is_file() else HEAD
    page = page if "<!-- end of " in page else HEAD
    command = f"`python benchmarks/{name}.py --write`"
    machine = f"Python {platform.python_version()}, {os.cpu_count()} processors, {platform.machine()}"
    text = f"## {title}\n\n{command}, {time.strftime('%Y-%m-%d')}, {machine}.\n\n{body}"
    before, _, rest = page.partition(opening)
    after = rest.partition(closing)[2] if rest else ""
    before = before if rest else before.rstrip("\n") + "\n\n"
    to.write_text(f"{before}{opening}{text}{closing}{after}", encoding="utf-8")


def main(
    name: str, title: str, measure: Callable[[], dict[str, Any]], *, to: Path | None = None, note: str = ""
) -> None:
    """Measure, and show a table, or print JSON (`--json`), or write the section of a page (`--write`, see `put`)."""
    figures = measure()
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures, indent=2, allow_nan=False))
    elif "--write" in sys.argv[1:]:
        put(name, title, rows_of(figures) + (f"\n{note}" if note else ""), to)
    else:
        show(figures)
        print(note, end="")
