"""`packhorse score`: identification and estimation against the tester's count, on cells that others measured."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.whole import must_be_writable, write_whole
from packhorse.lab import score as scoring
from packhorse.lab.estimate import estimate
from packhorse.lab.identify import identify
from packhorse.lab.life import capacities
from packhorse.lab.score import Estimated, Estimator, Scores
from packhorse.lab.score.campaign import load, shipped
from packhorse.lab.score.page import bar, points, share
from packhorse.lab.score.score import OURS
from packhorse.lab.score.words import Row
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile


def score(data: Path, families: list[str] | None, docs: Path | None, out: Path | None, as_json: bool) -> None:
    """Score the campaigns whose data lie in a folder, and say, or write, how it went.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    if out is not None:
        if out.suffix != ".html":
            raise WriteError(f"{out}: give a name that ends in .html")
        must_be_writable(out)
    if docs is not None:
        must_be_writable(docs / "estimation.md")
    chosen = there(data, families)
    console = Console(stderr=True)
    scores = scoring.run(
        data,
        identified,
        estimator,
        chosen,
        capacity_of=None if families else capacities,
        console=console if console.is_terminal else None,
    )
    written = [] if docs is None else scoring.write_page(scores, docs)[:1]
    if out is not None:
        write_whole(out, scoring.report(scores).encode())
        written.append(out)
    if as_json:
        print(json.dumps(scoring.as_json(scores), allow_nan=False))
    else:
        show(scores, written)


def there(data: Path, families: list[str] | None) -> list[str]:
    """Campaigns to run: those that were named, else all whose folder is there. Raises ReadError where data miss."""
    if not data.is_dir():
        raise ReadError(f"{data}: no such folder; give the folder that holds those of the data sets")
    folders = {name: load(name).folder for name in (families or shipped())}
    found = [name for name, folder in folders.items() if (data / folder).is_dir()]
    missing = [f"{folders[name]} ({name})" for name in folders if name not in found]
    if families and missing:
        raise ReadError(f"{data}: has no folder {', '.join(missing)}; give the folder that holds it")
    if not found:
        raise ReadError(f"{data}: has none of the folders {', '.join(missing)}; give the folder that holds them")
    return found


def identified(training: Training) -> CellFile:
    """The cell of a campaign, as `packhorse identify` makes it."""
    return identify(training, training.each()[0].name if training.each() else "cell").cell


def estimator(cell: CellFile) -> Estimator:
    """`packhorse estimate` on one cell, with what scoring looks at."""

    def run(log: CellLog, told: float | None) -> Estimated:
        found = estimate(cell, log, told)
        return Estimated(*(getattr(found, name) for name in Estimated._fields))

    return run


def show(scores: Scores, written: list[Path]) -> None:
    """Every line that is held against a bar, what was not run, and where the rest is."""
    console = Console()
    judged = [row for row in scores.rows if row.estimator == OURS and row.met is not None]
    console.print(f"{sum(bool(row.met) for row in judged)} of {len(judged)} bars met", style="bold")
    console.print(table(judged))
    for reason in scores.skipped:
        console.print(f"not run: {reason}", markup=False, highlight=False)
    if written:
        console.print(f"written: {', '.join(map(str, written))}", markup=False, highlight=False)
    console.print(f"took {scores.taken_s:.0f} s", highlight=False)


def table(rows: list[Row]) -> Table:
    """Errors in points beside their bars."""
    found = Table(box=None, pad_edge=False)
    for head, right in (("data", False), ("case", False), ("RMSE", True), ("max", True), ("90 % covers", True)):
        found.add_column(head, justify="right" if right else "left")
    found.add_column("bar")
    found.add_column("met")
    for row in rows:
        found.add_row(
            f"{row.family}, {row.split}, {row.group}",
            row.case,
            points(row.rmse),
            points(row.largest, 1),
            share(row.covered),
            bar(row),
            "yes" if row.met else "[bold]no[/bold]",
        )
    return found
