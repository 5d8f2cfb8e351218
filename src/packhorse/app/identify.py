"""`packhorse identify`: laboratory logs of a cell become its cell file, with a report of how well it fits."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from packhorse.app import laboratory
from packhorse.app.laboratory import Heard
from packhorse.app.report import identification
from packhorse.app.report.found import KINDS, Found
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.whole import must_be_writable, write_all
from packhorse.lab import bpx, check
from packhorse.lab.identify import Identified
from packhorse.lab.identify import identify as identified
from packhorse.lab.identify.describe import chemistry_of
from packhorse.lab.identify.slow import branches
from packhorse.lab.identify.training import SAME_K, clusters, nearest, thinned
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile
from packhorse.pack.write import cell_toml

CHEMISTRIES: tuple[str, ...] = get_args(CellFile.model_fields["chemistry"].annotation)
READING, FITTING = 0.1, 0.85
"""Shares of the progress bar: reading the logs, and the identification after it; the rest is the report."""
ASSUMED_SIGMA = 1.0
"""Share by which resistances may be wrong that only slow tests have seen."""
Say = Callable[[str, float], None]


class Asked(NamedTuple):
    """What the command line asks for."""

    ocv: list[Path]
    pulse: list[Path]
    capacity: list[Path]
    drive: list[Path]
    out: Path
    mapping: Path | None = None
    chemistry: str | None = None
    name: str | None = None
    degC: float | None = None
    report: Path | None = None
    bpx: Path | None = None
    from_bpx: Path | None = None

    def inputs(self) -> list[Path]:
        """Every file that is read."""
        given = [*self.ocv, *self.pulse, *self.capacity, *self.drive]
        return [*given, *(path for path in (self.mapping, self.from_bpx) if path is not None)]

    def outputs(self) -> list[Path]:
        """Every file that is written."""
        return [path for path in (self.out, self.bpx, self.report) if path is not None]


def identify(asked: Asked, as_json: bool = False) -> None:
    """Identify a cell and write its files, all of them or none.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    must_fit(asked)
    if asked.from_bpx is not None:
        convert(asked, asked.from_bpx, as_json)
        return
    began_s = time.monotonic()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=1.0)

        def say(part: str, share: float) -> None:
            progress.update(task, description=part, completed=share)

        heard = read(asked, say)
        ocv, pulse, capacity, drive = ([one.log for one in heard[kind]] for kind in KINDS)
        training = Training(ocv, pulse, capacity, drive, asked.chemistry)
        name = asked.name or asked.out.stem
        result = solved(training, name, lambda part, share: say(part, READING + FITTING * share))
        must_look_like(asked.chemistry, result)
        found = told(asked, heard, training, result, time.monotonic() - began_s)
        say("files", READING + FITTING)
        write_all(files(asked, found.identified.cell, found))
    facts = {**found.facts(), "files": [str(path) for path in asked.outputs()]}
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    else:
        show(found, asked)


def must_fit(asked: Asked) -> None:
    """Refuse, before any work is done, what cannot be done. Raises ReadError or WriteError."""
    must_have_outputs(asked)
    chemistry = asked.chemistry
    if chemistry is not None and chemistry not in CHEMISTRIES:
        close = difflib.get_close_matches(chemistry.lower(), CHEMISTRIES, n=1, cutoff=0.3)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(CHEMISTRIES)}"
        raise ReadError(f"--chemistry {chemistry[:40]}: no such chemistry; {hint}")
    laboratory.must_be_degC(asked.degC)
    logs = [*asked.ocv, *asked.pulse, *asked.capacity, *asked.drive]
    if asked.from_bpx is not None:
        if logs or asked.report is not None:
            raise ReadError("--from-bpx turns a file into a cell file; leave out the logs and --report")
        return
    if not asked.ocv:
        given = f"{logs[0].name} alone does not tell it" if logs else "no log was given"
        raise ReadError(
            f"the open-circuit voltage is missing, {given}; give a slow discharge and charge (below C/8, from full to "
            "empty) with --ocv"
        )
    places = [path.absolute() for path in logs]
    for path in logs:
        if places.count(path.absolute()) > 1:
            raise ReadError(f"{path}: given more than once; give each log as one kind of test")


def must_have_outputs(asked: Asked) -> None:
    """Refuse outputs that cannot be written or that would overwrite something else that is meant."""
    wanted = {asked.out: ".toml (a cell file) or .json (BPX)", asked.bpx: ".json", asked.report: ".html"}
    for path, endings in wanted.items():
        if path is not None and path.suffix not in endings.replace("(", " ").split():
            raise WriteError(f"{path}: give a name that ends in {endings}")
        if path is not None:
            must_be_writable(path)
    places = [path.absolute() for path in asked.outputs()]
    for path in places:
        if places.count(path) > 1 or path in [given.absolute() for given in asked.inputs()]:
            raise WriteError(f"{path}: is named twice; give every output a file of its own")


def read(asked: Asked, say: Say) -> dict[str, list[Heard]]:
    """Every log by kind of test. Raises ReadError, also for a pulse test without a pulse."""
    heard: dict[str, list[Heard]] = {kind: [] for kind in KINDS}
    total = sum(len(getattr(asked, kind)) for kind in KINDS)
    done = 0
    for kind in KINDS:
        for path in getattr(asked, kind):
            say(f"reading {path.name}", READING * done / total)
            one = laboratory.read(path, asked.mapping, asked.degC)
            if kind == "pulse" and not check.has_pulses(one.log):
                raise ReadError(
                    f"{path}: no pulses in it; a pulse test has at least {check.LEAST_PULSES} stretches of even "
                    f"current, each after a rest of {check.REST_S:g} s, in rows at most {check.EDGE_S:g} s apart; "
                    "give another test, or give this one with --drive or --capacity"
                )
            heard[kind].append(one)
            done += 1
    return apart(heard)


def apart(heard: dict[str, list[Heard]]) -> dict[str, list[Heard]]:
    """Logs of the same name, as of folders of their own, named by their paths."""
    names = [one.log.name for some in heard.values() for one in some]

    def named(one: Heard) -> Heard:
        own = one.log.name if names.count(one.log.name) == 1 else str(one.path.with_suffix(""))
        return one._replace(log=one.log._replace(name=own))

    return {kind: [named(one) for one in some] for kind, some in heard.items()}


def solved(training: Training, name: str, say: Say) -> Identified:
    """The identification, with what it refuses in one line. Raises ReadError."""
    try:
        return identified(training, name, say)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        why = first["msg"].removeprefix("Value error, ")
        raise ReadError(
            f"{training.ocv[0].name} and the others give a cell that cannot be ({place}: {why}); check units, "
            "and that all logs are of one cell"
        ) from error
    except np.linalg.LinAlgError as error:
        raise ReadError(
            f"{training.ocv[0].name} and the others do not determine a cell ({error}); give more tests"
        ) from error
    except ValueError as error:
        raise ReadError(str(error)) from error


def must_look_like(chemistry: str | None, result: Identified) -> None:
    """Refuse a chemistry that the OCV contradicts. Raises ReadError."""
    known = result.known
    seen = chemistry_of(known.ocv_V[nearest(ROOM_DEGC, known.centres)])
    if chemistry is not None and (chemistry == "lfp") is not (seen == "lfp"):
        shape = "is as flat in the middle as only that of lfp" if seen == "lfp" else "is not flat as that of lfp"
        raise ReadError(f"--chemistry {chemistry}: the open-circuit voltage {shape}; leave --chemistry out")


def told(asked: Asked, heard: dict[str, list[Heard]], training: Training, result: Identified, taken_s: float) -> Found:
    """The result with what a reader should know, which the cell file says too."""
    everything = [one for kind in KINDS for one in heard[kind]]
    notes: list[str] = []
    changes: dict[str, object] = {}
    centres = clusters(training.each())
    if len(centres) == 1:
        notes.append(f"one temperature only, {centres[0]:g} degC: what is said of colder and warmer is not measured")
    slow_degC = [branch.degC for branch in branches([thinned(log) for log in training.ocv])]
    beyond = [degC for degC in centres if not min(slow_degC) - SAME_K < degC < max(slow_degC) + SAME_K]
    if beyond:
        said = ", ".join(f"{degC:g}" for degC in beyond)
        notes.append(f"no slow test at {said} degC: capacity and OCV there are those of the nearest slow test")
    if not training.pulse and not training.drive:
        notes.append("no pulse test and no drive: resistances and time constants are little more than assumed")
        changes["resistance_sigma"] = ASSUMED_SIGMA
    if asked.chemistry is None:
        alike = " (nca looks the same; say --chemistry nca if it is)" if result.cell.chemistry == "nmc" else ""
        notes.append(f"chemistry told from the shape of the OCV: {result.cell.chemistry}{alike}")
    blurred = [(float(np.median(np.diff(one.log.time_s))), one.log.name) for one in heard["drive"]]
    if blurred and max(blurred)[0] > check.EDGE_S:
        step_s, name = max(blurred)
        notes.append(f"{name} has a row every {step_s:.3g} s: R0 and R1 are mixed, only their sum is measured there")
    without = [one.log.name for one in everything if one.told_degC]
    if without:
        notes.append(f"temperature told, not measured: {asked.degC:g} degC in {counted(len(without), 'log')}")
    cell = result.cell.model_copy(update={**changes, "sources": [*result.cell.sources, *notes]})
    repairs = {one.log.name: one.repairs for one in everything}
    return Found(result._replace(cell=cell), training, repairs, notes, taken_s)


def counted(number: int, what: str) -> str:
    """`1 log`, `2 logs`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def files(asked: Asked, cell: CellFile, found: Found | None) -> dict[Path, bytes]:
    """Every file to be written, with its content."""
    contents = {}
    for path in (asked.out, asked.bpx):
        if path is not None:
            contents[path] = bpx.content(cell, path) if path.suffix == ".json" else cell_toml(cell).encode()
    if asked.report is not None and found is not None:
        contents[asked.report] = identification.page(found).encode()
    return contents


def convert(asked: Asked, source: Path, as_json: bool) -> None:
    """A cell file from a BPX file."""
    cell = bpx.read(source)
    if asked.name is not None or asked.chemistry is not None:
        changes = {"name": asked.name or cell.name, "chemistry": asked.chemistry or cell.chemistry}
        cell = cell.model_copy(update=changes)
    write_all(files(asked, cell, None))
    written = [str(path) for path in asked.outputs()]
    if as_json:
        facts = {"name": cell.name, "chemistry": cell.chemistry, "capacity_Ah": cell.capacity_Ah, "files": written}
        print(json.dumps(facts, allow_nan=False))
        return
    table = pairs(
        [
            (cell.name, f"{cell.chemistry.upper()}, {cell.capacity_Ah:.4g} Ah, {cell.min_V:g} to {cell.max_V:g} V"),
            *(("source", said) for said in cell.sources),
            ("written", ", ".join(written)),
        ]
    )
    Console().print(table)


def show(found: Found, asked: Asked) -> None:
    """The summary, on one screen."""
    cell, errors, shape = found.identified.cell, found.identified.errors, found.identified.shape
    logs = counted(len(found.training.each()), "log")
    console = Console()
    console.print(
        f"{cell.name}: {cell.chemistry.upper()}, {cell.capacity_Ah:.4g} Ah, {cell.min_V:g} to {cell.max_V:g} V",
        style="bold",
        markup=False,
    )
    console.print(by_temperature(found))
    lines = [
        ("time constants", f"{shape.tau1_s:g} and {shape.tau2_s:g} s"),
        (
            "model error",
            f"lasting as above, fast {1000 * errors.fast_sigma_V:.1f} mV, "
            f"of resistances {100 * cell.resistance_sigma:.0f} %",
        ),
        ("repaired", found.repaired()),
        *(("note", note) for note in found.notes),
        ("written", ", ".join(map(str, asked.outputs()))),
        ("took", f"{found.taken_s:.0f} s for {logs}"),
    ]
    console.print(pairs([(label, value) for label, value in lines if value]))


def by_temperature(found: Found) -> Table:
    """Capacity, resistance, model error and fit, one row for each temperature."""
    table = Table(box=None, pad_edge=False)
    for head in ("degC", "logs", "Ah", "R0 mohm", "R1 mohm", "R2 mohm", "model mV", "drives mV", "all mV"):
        table.add_column(head, justify="right")
    for row in found.temperatures:
        ohms = (row.r0_ohm, row.r1_ohm, row.r2_ohm)
        volts = (row.model_V, row.drive_V, row.all_V)
        table.add_row(
            f"{row.degC:g}",
            str(row.logs),
            f"{row.capacity_Ah:.4g}",
            *(f"{1000 * value:.3g}" for value in ohms),
            *(f"{1000 * value:.1f}" if np.isfinite(value) else "--" for value in volts),
        )
    table.caption = "rms of logs that the fit has not seen; resistances at half charge"
    table.caption_justify = "left"
    return table


def pairs(lines: list[tuple[str, str]]) -> Table:
    """Labels and values as a table without lines."""
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in lines:
        table.add_row(label, value)
    return table
