"""`packhorse replay`: a recorded log through the same step as on the truck, answered row by row.

Everything heavy is imported where it is used, so that `packhorse --help` stays quick.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from packhorse.app.report.life import Life
    from packhorse.io.logs import Log
    from packhorse.pack.words import Pack

FILES = ("results.parquet", "events.parquet", "cells.parquet", "report.html")


class Told(NamedTuple):
    """What the user says of a log: what its columns or signals are, and for a bus what its messages hold."""

    mapping: Path | None = None
    dbc: Path | None = None
    profile: str | None = None


def replay(
    log: Path,
    pack: str,
    mapping: Path | None,
    out: Path,
    quiet: bool,
    as_json: bool,
    dbc: Path | None = None,
    profile: str | None = None,
) -> None:
    """Replay a log and write results, events, cells and report into `out`.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    from packhorse.app import compiling, report
    from packhorse.io import results as folder
    from packhorse.pack.load import load_pack, load_pack_file

    compiled_pack = load_pack(pack)
    described, _cell = load_pack_file(pack)
    folder.check(out, set(FILES))
    recorded = opened(log, Told(mapping, dbc, profile), compiled_pack, quiet or as_json)
    with compiling.notice((compiling.REPLAY,), compiling.REPLAY_S, quiet), compiling.shared():
        warm(compiled_pack)
    life = run(recorded, compiled_pack, described.name, quiet or as_json)
    folder.write(
        out,
        {
            "results.parquet": folder.parquet(life.results),
            "events.parquet": folder.parquet(life.events),
            "cells.parquet": folder.parquet(life.cells),
            "report.html": folder.text(report.page(life)),
        },
    )
    facts = {**life.facts(), "files": [str(out / name) for name in FILES]}
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    elif not quiet:
        show(facts)


def opened(log: Path, told: Told, pack: Pack, quiet: bool) -> Log:
    """A log of readings, or of a bus. Raises `ReadError` or `ConfigurationError`."""
    import sys

    from packhorse.app.signals import reading
    from packhorse.io import can_logs, logs, profiles
    from packhorse.io.errors import ReadError

    if told.profile is not None and (told.dbc is not None or told.mapping is not None):
        raise ReadError(f"{log}: --profile says what messages hold and what that is; leave out --dbc and --map")
    if told.dbc is None and told.profile is None and not can_logs.is_bus_only(log):
        return logs.open_log(log, told.mapping, pack)
    if told.profile is None and (told.dbc is None or told.mapping is None):
        raise ReadError(f"{log}: a recorded bus needs --dbc FILE and --map FILE, or --profile; see docs/mapping.md")
    with reading(log, quiet=quiet) as progress:
        if told.profile is not None:
            recorded = logs.open_profile_log(log, profiles.open_profile(told.profile), pack, progress)
        elif told.dbc is not None and told.mapping is not None:
            recorded = logs.open_bus_log(log, told.dbc, told.mapping, pack, progress)
    if recorded.complaint:
        print(f"packhorse: {log}: {recorded.complaint}; the rest is answered", file=sys.stderr)
    return recorded


def warm(pack: Pack) -> None:
    """Have the core compiled, or loaded from its cache, by a replay of nothing."""
    import numpy as np

    from packhorse import bms
    from packhorse.pack.words import Frames

    shapes: dict[str, tuple[int, ...]] = {
        "cell_V": (pack.strings, pack.series),
        "probe_degC": (pack.strings, pack.probes),
        "string_A": (pack.strings,),
        "string_V": (pack.strings,),
        "age_s": (pack.strings, 3),
        "contactor": (pack.strings, 3),
    }
    nothing = Frames(*(np.empty((0, *shapes.get(name, ()))) for name in Frames._fields))
    bms.replay(pack, bms.start(pack), nothing)


def run(recorded: Log, pack: Pack, name: str, quiet: bool) -> Life:
    """Every row of a log through the BMS."""
    import polars as pl
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from packhorse import bms
    from packhorse.app.report.life import Life, Tally
    from packhorse.io import answers

    state = bms.start(pack)
    cells = answers.CellLife(pack.strings, pack.series, busy_A=0.2 * pack.cell.capacity_Ah)
    tables, found, tally = [], [], Tally()
    bar = (
        nullcontext()
        if quiet
        else Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), transient=True
        )
    )
    with bar as progress:
        task = progress.add_task("Replaying", total=recorded.rows) if progress is not None else None
        for block in recorded.blocks():
            state, record = bms.replay(pack, state, block.frames)
            tables.append(answers.results(record, block.frames, block.soc_reference, recorded.start))
            found.extend(bms.events(record.events))
            cells.take(block.frames)
            tally.take(block)
            if progress is not None and task is not None:
                progress.update(task, advance=record.time_s.size)
    return Life(
        log=recorded.path.name,
        pack=name,
        strings=pack.strings,
        series=pack.series,
        start=recorded.start,
        results=pl.concat(tables),
        events=answers.events(found, recorded.start),
        cells=cells.table(state),
        invalid=dict(recorded.invalid),
        blank_rows=recorded.blank_rows,
        distance_km=tally.distance_km(),
    )


def show(facts: dict[str, Any]) -> None:
    """The summary as a short table on the terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in lines(facts):
        table.add_row(label, value)
    console = Console()
    console.print(facts["verdict"], style="bold")
    console.print(table)


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of every line of the summary."""
    soc, worst = facts["soc"], facts["weakest_cell"]
    distance = facts["distance_km"]
    events = ", ".join(f"{count} {severity}" for severity, count in facts["events"].items() if count > 0)
    invalid = ", ".join(f"{row['count']} {row['section']} ({row['reason']})" for row in facts["invalid"])
    said = [
        ("rows", f"{facts['rows']} answered over {facts['duration_h']:.2f} h, {facts['gaps']['count']} gaps"),
        ("distance", "" if distance is None else f"{distance:.0f} km"),
        ("SOC", f"{say_soc(soc['first'])} to {say_soc(soc['last'])}"),
        ("weakest cell", "" if worst is None else f"{worst['place']}: {worst['deviation_mV']:+.1f} mV on average"),
        ("events", events if events else "none"),
        ("invalid readings", invalid if invalid else "none"),
        ("warning", facts["warning"]),
        ("written", str(Path(facts["files"][0]).parent) + ": " + ", ".join(Path(f).name for f in facts["files"])),
    ]
    return [(label, value) for label, value in said if value]


def say_soc(estimate: dict[str, float | None]) -> str:
    """SOC with two sigma, in percent."""
    if estimate["soc"] is None or estimate["sigma"] is None:
        return "unknown"
    return f"{100 * estimate['soc']:.1f} % (± {200 * estimate['sigma']:.1f})"
