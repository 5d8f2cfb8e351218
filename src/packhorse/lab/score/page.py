"""What a run found, as a document, as a report to open in a browser, and as JSON. Every number comes from the run."""

from __future__ import annotations

import datetime as dt
import html
import json
import math
import platform
import re
from pathlib import Path
from typing import Any

import numpy as np

from packhorse import __version__
from packhorse.io.whole import write_whole
from packhorse.lab.score import plots
from packhorse.lab.score.metrics import SIGMAS_90
from packhorse.lab.score.score import COVERED, OURS
from packhorse.lab.score.words import CapacityRow, Row, Run, Scores

BEGIN, END = "<!-- written by packhorse score -->", "<!-- end of what packhorse score wrote -->"
IMAGES = "images/estimation"
DRAWN = ("P0", "P1", "P2", "P4")
IN_DOCS = ("P1", "P4")
"""Cases drawn in the report, and those of them that the document shows."""
MOST_POINTS = 15.0
OFFSET_C = 1.0 / 200.0
"""The offset is to be found to C/200 within one cycle."""
WEIGHTED = 0.015
"""The weighted error is to be at most this."""
CAPACITY_RMSE, CAPACITY_LARGEST = 0.015, 0.03
"""Capacity from ordinary use is to be known as well as this."""
WEIGHTED_HEAD = ("family", "estimator", "weighted error", "at most 1.5", "parts")
CAPACITY_HEAD = ("cell", "logs", "RMSE %", "max %", "at most 1.5, max 3", "90 % covers", "its width %", "note")
INTRODUCTION = """# How well the battery is known

What `packhorse score` measured on cells of other laboratories: SOC against the tester's count, with and without
disturbances, beside two plain estimators on the same cell file.

"""
METHOD = """Errors are in points of SOC (1 point = 0.01). RMSE and maximum leave out the time to settle (10 min, LFP
60 min); the bar is on that RMSE, and the one over all rows stands beside it. Rows of several logs are pooled; of the
variants of a case (both signs, all sizes of an offset) the line shows the worst, the maximum is over all. `within` is
the time until the error stays within 3 points to the end of the log. P0 true start; P1 start wrong by 30 points; P2
constant current offset; P3 noise 5 mV and 0.5 %, steps of 1.5 mV and 10 mA, gain 1 %, 2 K; P4 = P1 + C/50
+ P3. `start` joins the log where the true SOC is 90, 60 or 30 % and tells the estimator 100 %. An estimator hears time,
current, voltage and temperature, never the tester's count. The two rivals (RMSE / max) run on the same cell file:
a textbook EKF, and counting from the first voltage, which is told no start."""
BENCHMARK = """Weights are equal over the types of test, as the benchmark's authors publish them (Kollmeyer, Naguib,
Khanum, Emadi, IEEE ITEC 2022, doi 10.1109/ITEC53557.2022.9813996; weights of its second version from the code of its
site), with wrong starts of 90, 60 and 30 % at 3 : 2 : 1. It is not their score: charging, payloads and the choice of
cycles exist only on their own cells, their hour of padding is left out and every row counts, and noise is ours. Parts
are mean RMSE over all rows of a log; a part that a family cannot show is left out and the rest weighs more."""


def points(value: float, digits: int = 2) -> str:
    """A fraction in points, or a dash."""
    return f"{100.0 * value:.{digits}f}" if math.isfinite(value) else "–"


def share(value: float) -> str:
    """A fraction in percent, or a dash."""
    return f"{100.0 * value:.0f} %" if math.isfinite(value) else "–"


def duration(value_s: float) -> str:
    """Seconds as minutes."""
    return "never" if math.isinf(value_s) else "–" if math.isnan(value_s) else f"{value_s / 60.0:.1f} min"


def bar(row: Row) -> str:
    """What is allowed, in words."""
    said = [points(row.bar_rmse)] if math.isfinite(row.bar_rmse) else []
    said += [f"max {points(row.bar_largest, 1)}"] if math.isfinite(row.bar_largest) else []
    said += [f"within {duration(row.bar_within_s)}"] if math.isfinite(row.bar_within_s) else []
    return ", ".join(said) or "–"


def met(row: Row) -> str:
    """Whether the bar is met."""
    return "–" if row.met is None else "yes" if row.met else "**no**"


HEAD = (
    *("logs of", "case", "RMSE", "all rows", "max", "within", "90 % covers", "its width", "bar", "met", "worst log"),
    *("EKF", "counting"),
)


def lines(scores: Scores, family: str, split: str) -> list[list[str]]:
    """The table of one split: a line for each group and case, ours first, the rivals' RMSE and maximum at its end."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for row in scores.rows:
        if (row.family, row.split) == (family, split):
            found.setdefault((row.group, row.case), {})[row.estimator] = row
    return [cells(some) for some in found.values() if OURS in some]


def cells(some: dict[str, Row]) -> list[str]:
    """One line of the table as text."""
    row = some[OURS]
    started_wrong = row.case in ("P1", "P4", "start")
    return [
        f"{row.group} ({row.logs})",
        row.case if row.variant == row.case else f"{row.case} ({row.variant.removeprefix(row.case).strip()})",
        points(row.rmse),
        points(row.rmse_all),
        points(row.largest, 1),
        duration(row.within_s) if started_wrong else "",
        share(row.covered),
        points(row.width, 1),
        bar(row),
        met(row),
        f"{row.worst_file} ({points(row.worst_rmse)})",
        *(rival(some.get(name)) for name in ("textbook EKF", "coulomb counting")),
    ]


def rival(row: Row | None) -> str:
    """RMSE and maximum of a rival."""
    return "–" if row is None else f"{points(row.rmse)} / {points(row.largest, 1)}"


def missed(scores: Scores) -> list[list[str]]:
    """Every bar that is not met, and by how much."""
    found = []
    for row in scores.rows:
        if row.estimator == OURS and row.met is False:
            over = [
                f"{what} {show(have)} for {show(most)}"
                for what, have, most, show in (
                    ("RMSE", row.rmse, row.bar_rmse, points),
                    ("max", row.largest, row.bar_largest, points),
                    ("within 3 points", row.within_s, row.bar_within_s, duration),
                )
                if math.isfinite(most) and not have <= most
            ]
            limit = limited(row, scores.labels.get(row.family, 0.0))
            found.append([row.family, row.split, row.group, row.variant, ", ".join(over), limit])
    return found


def limited(row: Row, label: float) -> str:
    """What keeps a bar from being met, as far as the figures tell."""
    if row.rmse < label:
        return f"label: the error is within the {points(label)} points that the truth is good to"
    if row.covered >= COVERED[0]:
        return f"observability: {points(row.width, 1)} points are claimed, and hold the truth"
    return f"model: the {points(row.width, 1)} points claimed hold the truth in only {share(row.covered)} of rows"


def offsets(scores: Scores) -> list[list[str]]:
    """How well the offset of the current is known at the end of one log, worst of all logs and variants of P2."""
    return [
        [row.family, row.split, row.group, f"C/{1.0 / row.offset_error_C:.0f}", yes(row.offset_error_C <= OFFSET_C)]
        for row in scores.rows
        if row.estimator == OURS and row.case == "P2" and row.offset_error_C > 0.0
    ]


def yes(good: bool) -> str:
    """Met or not."""
    return "yes" if good else "**no**"


def table(head: tuple[str, ...], body: list[list[str]]) -> str:
    """A markdown table."""
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join('---' for _ in head)} |"]
    lines += [f"| {' | '.join(some)} |" for some in body]
    return "\n".join(lines)


def splits(scores: Scores) -> list[tuple[str, str]]:
    """Every family and split, in the order of the run."""
    return list(dict.fromkeys((row.family, row.split) for row in scores.rows))


def weighted_rows(scores: Scores) -> list[list[str]]:
    """The benchmark's figure, one line for each family and estimator."""
    lines = []
    for one in scores.weighted:
        parts = ", ".join(f"{part.name} {points(part.rmse)} (weight {part.weight:g})" for part in one.parts)
        lines.append([one.family, one.estimator, points(one.error), yes(one.error <= WEIGHTED), parts])
    return lines


def capacity_line(row: CapacityRow) -> list[str]:
    """One line of the table of capacities."""
    return [
        row.cell,
        str(row.logs),
        points(row.rmse),
        points(row.largest),
        yes(row.rmse <= CAPACITY_RMSE and row.largest <= CAPACITY_LARGEST),
        share(row.covered),
        points(row.width),
        row.note,
    ]


def coverage(scores: Scores) -> list[tuple[str, float, float]]:
    """For every family, the share of rows that our interval covers over P0 to P4, and its mean width."""
    found = []
    for family in dict.fromkeys(run.family for run in scores.runs):
        own = [
            run.measures
            for run in scores.runs
            if run.family == family and run.estimator == OURS and run.case in ("P0", "P1", "P2", "P3", "P4")
        ]
        own = [one for one in own if math.isfinite(one.covered) and one.rows > 0]
        weights = [one.rows for one in own]
        if own:
            covered = float(np.average([one.covered for one in own], weights=weights))
            found.append((family, covered, float(np.average([one.width for one in own], weights=weights))))
    return found


def body(scores: Scores, pictures: dict[str, str]) -> str:
    """The document between its markers; `pictures` are file names and what they show."""
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    judged = [row for row in scores.rows if row.estimator == OURS and row.met is not None]
    good = sum(bool(row.met) for row in judged)
    parts = [
        f"{today}, Packhorse {__version__}, Python {platform.python_version()}, {scores.taken_s:.0f} s. "
        f"{good} of {len(judged)} bars met.",
        METHOD,
    ]
    for family, split in splits(scores):
        parts.append(f"## {family}: {split}")
        parts.append(f"Truth: {scores.truths.get(family, 'not described')}")
        parts.append(table(HEAD, lines(scores, family, split)))
        parts += [
            f"![{said}]({IMAGES}/{name})" for name, said in pictures.items() if said.startswith(f"{family}, {split}:")
        ]
    if missed(scores):
        parts.append("## Where a bar is not met")
        parts.append(table(("family", "split", "logs of", "case", "by how much", "what limits it"), missed(scores)))
    if offsets(scores):
        parts.append("## Is the offset found?")
        parts.append("Error of the estimated current offset at the end of one log, the worst of all logs and offsets.")
        parts.append(table(("family", "split", "logs of", "known to", "C/200"), offsets(scores)))
    parts.append("## Do the intervals hold?")
    covers = [
        [family, share(covered), points(width, 1), yes(COVERED[0] <= covered <= COVERED[1])]
        for family, covered, width in coverage(scores)
    ]
    parts.append(f"Share of rows inside the 90 % interval (±{SIGMAS_90} sigma) over P0 to P4, after settling.")
    parts.append(table(("family", "covers", "mean width", "88 to 95 %"), covers))
    parts += [f"![{said}]({IMAGES}/{name})" for name, said in pictures.items() if name.startswith("coverage")]
    parts += ["## Weighted error", BENCHMARK]
    parts.append(table(WEIGHTED_HEAD, weighted_rows(scores)))
    if scores.capacity:
        parts.append("## Capacity from ordinary use")
        parts.append(table(CAPACITY_HEAD, [capacity_line(row) for row in scores.capacity]))
    if scores.skipped:
        parts.append("## Not run")
        parts.append("\n".join(f"- {reason}" for reason in scores.skipped))
    return "\n\n".join(parts)


def traces(scores: Scores) -> dict[tuple[str, str, str, str], list[Run]]:
    """Runs to draw: for every group and case the log and variant in which ours (else the first) is worst."""
    found: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in scores.runs:
        if run.case in DRAWN:
            found.setdefault((run.family, run.split, run.group, run.case), []).append(run)
    for key, some in found.items():
        own = [run for run in some if run.estimator == OURS] or some
        worst = max(own, key=lambda run: run.measures.rmse if math.isfinite(run.measures.rmse) else 0.0)
        found[key] = [run for run in some if (run.file, run.variant) == (worst.file, worst.variant)]
    return found


def drawings(scores: Scores, cases: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """The plots of some cases: file name -> what it shows, and the SVG."""
    found = {}
    for (family, split, group, case), some in traces(scores).items():
        if case not in cases:
            continue
        said = f"{family}, {split}: {group}, {some[0].variant}, {some[0].file}"
        curves = [
            plots.Line(
                run.estimator,
                run.trace.time_s / 60.0,
                100.0 * run.trace.error,
                100.0 * run.trace.half_width if run.estimator == OURS else None,
            )
            for run in some
        ]
        name = re.sub(r"[^a-z0-9]+", "_", f"{family} {split} {group} {case}".lower().replace("-", "minus "))
        drawn = plots.over_time(said, curves, "min", "estimate less truth, points of SOC", MOST_POINTS)
        found[f"{name.strip('_')}.svg"] = (said, drawn)
    bands = coverage(scores)
    if bands:
        title = "Rows inside the 90 % interval"
        drawn = plots.bars(title, [one[0] for one in bands], [one[1] for one in bands], *COVERED)
        found["coverage.svg"] = (title, drawn)
    return found


def write_page(scores: Scores, docs: Path) -> list[Path]:
    """Write `estimation.md` and its plots into a folder of documents; what stands outside the markers is kept."""
    drawn = drawings(scores, IN_DOCS)
    images = docs / IMAGES
    for old in images.glob("*.svg"):
        if old.name not in drawn:
            old.unlink()
    written = []
    for name, (_, content) in drawn.items():
        write_whole(images / name, content.encode())
        written.append(images / name)
    path = docs / "estimation.md"
    said = body(scores, {name: what for name, (what, _) in drawn.items()})
    before, after = INTRODUCTION, "\n"
    if path.is_file():
        old_text = path.read_text(encoding="utf-8")
        if BEGIN in old_text and END in old_text:
            before, after = old_text.split(BEGIN, 1)[0], old_text.split(END, 1)[1]
    write_whole(path, f"{before}{BEGIN}\n\n{said}\n\n{END}{after}".encode())
    return [path, *written]


CSS = """body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;max-width:76rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;font-size:13px;margin:1rem 0;display:block;overflow-x:auto}
td,th{border-bottom:1px solid #e2e8f0;padding:.25rem .6rem;text-align:left;white-space:nowrap}
.no{color:#b91c1c;font-weight:600}.yes{color:#15803d}figure{margin:1rem 0}svg{max-width:100%;height:auto}"""


def report(scores: Scores) -> str:
    """The whole run as one HTML page that opens offline."""
    drawn = drawings(scores, DRAWN)
    parts = [f"<h1>Packhorse score</h1><p>{html.escape(' '.join(METHOD.replace(chr(96), '').split()))}</p>"]
    for family, split in splits(scores):
        parts.append(f"<h2>{html.escape(f'{family}: {split}')}</h2><p>{html.escape(scores.truths.get(family, ''))}</p>")
        parts.append(html_table(HEAD, lines(scores, family, split)))
        parts += [f"<figure>{svg}</figure>" for said, svg in drawn.values() if said.startswith(f"{family}, {split}:")]
    parts.append("<h2>Where a bar is not met</h2>")
    parts.append(html_table(("family", "split", "logs of", "case", "by how much"), missed(scores)))
    if offsets(scores):
        parts.append("<h2>Is the offset found?</h2>")
        parts.append(html_table(("family", "split", "logs of", "known to", "C/200"), offsets(scores)))
    if "coverage.svg" in drawn:
        parts.append(f"<h2>Do the intervals hold?</h2><figure>{drawn['coverage.svg'][1]}</figure>")
    parts.append(f"<h2>Weighted error</h2><p>{html.escape(' '.join(BENCHMARK.split()))}</p>")
    parts.append(html_table(WEIGHTED_HEAD, weighted_rows(scores)))
    if scores.capacity:
        parts.append("<h2>Capacity from ordinary use</h2>")
        parts.append(html_table(CAPACITY_HEAD, [capacity_line(row) for row in scores.capacity]))
    if scores.skipped:
        items = "".join(f"<li>{html.escape(reason)}</li>" for reason in scores.skipped)
        parts.append(f"<h2>Not run</h2><ul>{items}</ul>")
    security = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Packhorse score</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{security}"><style>{CSS}</style>{"".join(parts)}</html>\n'
    )


def html_table(head: tuple[str, ...], lines: list[list[str]]) -> str:
    """An HTML table of plain text; yes and no are coloured."""

    def cell(content: str) -> str:
        plain = content.strip("*")
        kind = f' class="{plain}"' if plain in ("yes", "no") else ""
        return f"<td{kind}>{html.escape(plain)}</td>"

    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    rows = "".join(f"<tr>{''.join(map(cell, some))}</tr>" for some in lines)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{rows}</tbody></table>"


def as_json(scores: Scores) -> dict[str, Any]:
    """The run as plain values for `--json`: fractions, not points; what is not known, or infinite, is null."""
    return {
        "version": __version__,
        "taken_s": scores.taken_s,
        "rows": [plain(row._asdict()) for row in scores.rows],
        "runs": [{**plain(run._asdict(), "trace", "measures"), **plain(run.measures._asdict())} for run in scores.runs],
        "weighted": [
            {**plain(one._asdict(), "parts"), "parts": [plain(part._asdict()) for part in one.parts]}
            for one in scores.weighted
        ],
        "coverage": [
            {"family": family, "covered": covered, "width": width} for family, covered, width in coverage(scores)
        ],
        "capacity": [plain(row._asdict()) for row in scores.capacity],
        "skipped": scores.skipped,
        "truths": scores.truths,
    }


def plain(values: dict[str, Any], *without: str) -> dict[str, Any]:
    """A dictionary without some keys and with null for numbers that JSON does not know."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
        if name not in without
    }


def to_json(scores: Scores) -> str:
    """The same as text."""
    return json.dumps(as_json(scores), allow_nan=False)
