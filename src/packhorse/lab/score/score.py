"""Runs every campaign: identify, perturb, estimate, measure; then the table, and the benchmark's single figure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import Error
from packhorse.lab.score import benchmark, capacity, files, metrics
from packhorse.lab.score.campaign import Bar, Campaign, Group, Split, load, matched, shipped
from packhorse.lab.score.perturb import Case, Heard, cases
from packhorse.lab.score.rivals import coulomb_counting, textbook_filter
from packhorse.lab.score.truth import truth
from packhorse.lab.score.words import (
    Build,
    CapacityEstimator,
    CapacityRow,
    Estimated,
    Estimator,
    Identify,
    Measures,
    Row,
    Run,
    Scores,
    Trace,
    Truth,
)

OURS = "packhorse"
RIVALS: dict[str, Build] = {"coulomb counting": coulomb_counting, "textbook EKF": textbook_filter}
POINT = 0.01
COVERED = (0.88, 0.95)
"""What the issue allows the 90 % interval to cover."""
NAN = float("nan")


class Settings(NamedTuple):
    """What of the scoring is a choice."""

    bar_after_settling: bool = True  # else the bar's RMSE is over all rows
    rivals: bool = True
    robust_logs: int = 1  # logs of each group that also get lost rows, outliers and other time steps
    trace_points: int = 240
    weights: dict[str, float] = benchmark.WEIGHTS


class Job(NamedTuple):
    """One log to be scored, in all its cases."""

    group: Group
    path: Path
    cases: list[Case]


def run(
    data: Path,
    identify: Identify,
    estimate: Build,
    families: list[str] | None = None,
    *,
    capacity_of: CapacityEstimator | None = None,
    settings: Settings | None = None,
    console: Console | None = None,
) -> Scores:
    """Score an estimator over the campaigns whose data lie in a folder; what is missing is skipped and named.

    `families` are names of shipped campaigns or .toml files; without, all that ship. `estimate` makes an estimator
    from an identified cell. Raises ConfigurationError where a campaign is wrong.
    """
    chosen = settings or Settings()
    begin_s = time.monotonic()
    campaigns = [load(name) for name in (families or shipped())]
    runs: list[Run] = []
    skipped: list[str] = []
    with Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, disable=console is None
    ) as progress:
        for campaign in campaigns:
            if not (data / campaign.folder).is_dir():
                skipped.append(f"{campaign.family}: no folder {data / campaign.folder}")
                continue
            for split in campaign.split:
                runs += one_split(campaign, split, data, identify, estimate, chosen, progress, skipped)
    sizes: list[CapacityRow] = []
    if capacity_of is not None:
        sizes = capacity.score(data, identify, capacity_of, skipped)
    return Scores(
        rows=rows(campaigns, runs, chosen),
        runs=runs,
        weighted=benchmark.weighted(campaigns, runs, chosen.weights),
        capacity=sizes,
        skipped=skipped,
        truths={campaign.family: campaign.truth_quality for campaign in campaigns},
        labels={campaign.family: POINT * campaign.label_points for campaign in campaigns},
        taken_s=time.monotonic() - begin_s,
    )


def one_split(
    campaign: Campaign,
    split: Split,
    data: Path,
    identify: Identify,
    estimate: Build,
    settings: Settings,
    progress: Progress,
    skipped: list[str],
) -> list[Run]:
    """All runs of one split; a reason in `skipped` where it cannot be identified."""
    folder = data / campaign.folder
    task = progress.add_task(f"{campaign.family}, {split.name}: identify", total=None)
    try:
        todo = jobs(campaign, split, folder, settings)
        cell = identify(files.training(campaign, split, folder))
    except (Error, ValueError) as error:
        progress.update(task, total=1, completed=1)
        skipped.append(f"{campaign.family}, {split.name}: {error}")
        return []
    builds = {OURS: estimate} | (RIVALS if settings.rivals else {})
    estimators = {name: build(cell) for name, build in builds.items()}
    progress.update(task, description=f"{campaign.family}, {split.name}", total=len(todo), completed=0)
    found: list[Run] = []
    for job in todo:
        found += one_log(campaign, split, job, estimators, settings, skipped)
        progress.advance(task)
    return found


def jobs(campaign: Campaign, split: Split, folder: Path, settings: Settings) -> list[Job]:
    """Every log of a split once for each group it is in, with its cases."""
    todo = []
    for group in split.group:
        for k, path in enumerate(matched(folder, group.files)):
            sets = [name for name in split.sets if name != "robust" or k < settings.robust_logs]
            todo.append(Job(group, path, cases(sets, campaign.offsets_per_h)))
    return todo


def one_log(
    campaign: Campaign,
    split: Split,
    job: Job,
    estimators: dict[str, Estimator],
    settings: Settings,
    skipped: list[str],
) -> Iterator[Run]:
    """Every estimator over one log in all its cases."""
    log, right = files.log(campaign, job.path), truth(campaign, job.path)
    for case in job.cases:
        heard = case.perturb(log, right, campaign.nominal_Ah)
        for name, estimator in estimators.items():
            try:
                told = estimator(heard.log, heard.told)
            except ValueError as error:
                skipped.append(f"{campaign.family}, {log.name}, {case.name}, {name}: {error}; counted as all wrong")
                told = nothing(heard.log)
            yield judged(campaign, split, job.group, case, name, heard, told, right, settings)


def nothing(log: CellLog) -> Estimated:
    """The answer of an estimator that gives none."""
    blank = np.full(log.time_s.size, NAN)
    return Estimated(log.time_s, blank, blank, blank, blank, blank, blank)


def judged(
    campaign: Campaign,
    split: Split,
    group: Group,
    case: Case,
    name: str,
    heard: Heard,
    told: Estimated,
    right: Truth,
    settings: Settings,
) -> Run:
    """The figures of one run."""
    if told.soc.shape != heard.truth.shape:
        raise ValueError(
            f"{name} gave {told.soc.size} rows for the {heard.truth.size} of {heard.log.name}; give one for each"
        )
    if group.remaining:
        error, sigma = metrics.remaining_error(told, heard.truth, right.capacity_Ah, campaign.nominal_Ah)
    else:
        error, sigma = metrics.soc_error(told, heard.truth)
    offset_A = float(told.current_offset_A[-1]) - heard.offset_A
    figures = metrics.measure(heard.log.time_s, error, sigma, campaign.settle_s, offset_A)
    trace = Trace(*metrics.thinned(heard.log.time_s, error, metrics.SIGMAS_90 * sigma, settings.trace_points))
    where = (campaign.family, split.name, group.name, case.row, case.name, name, heard.log.name)
    return Run(*where, figures, trace)


def rows(campaigns: list[Campaign], runs: list[Run], settings: Settings) -> list[Row]:
    """The table: one row for each group, case and estimator, in the order in which they were run."""

    def place(one: Run) -> tuple[str, str, str, str, str]:
        return (one.family, one.split, one.group, one.case, one.estimator)

    order = {key: k for k, key in reversed(list(enumerate(map(place, runs))))}
    together = groupby(sorted(runs, key=lambda one: order[place(one)]), key=place)
    bars = {campaign.family: campaign for campaign in campaigns}
    return [row(list(some), bars[key[0]], settings) for key, some in together]


def bar_of(campaign: Campaign, split: str, group: str, case: str) -> Bar:
    """What is allowed there; an empty bar where nothing is said."""
    for some in campaign.split:
        for one in some.group:
            if some.name == split and one.name == group and one.bar is not None:
                return campaign.bars[one.bar].get(case, Bar())
    return Bar()


def row(runs: list[Run], campaign: Campaign, settings: Settings) -> Row:
    """One line: the worst variant of the case, and whether it meets its bar."""
    bar = bar_of(campaign, runs[0].split, runs[0].group, runs[0].case)

    def off(figures: Measures) -> float:
        value = figures.rmse if settings.bar_after_settling else figures.rmse_all
        return float(value if np.isfinite(value) else figures.rmse_all)

    variants: dict[str, list[Run]] = {}
    for one in runs:
        variants.setdefault(one.variant, []).append(one)
    pooled = {name: metrics.pooled([one.measures for one in some]) for name, some in variants.items()}
    worst = max(pooled, key=lambda name: off(pooled[name]))
    everything = metrics.pooled([one.measures for one in runs])
    worst_run = max(variants[worst], key=lambda one: off(one.measures))
    figures = pooled[worst]
    allowed = (points(bar.rmse_points), points(bar.max_points), NAN if bar.within_s is None else bar.within_s)
    reached = (off(figures), everything.largest, everything.within_s)
    checks = [have <= most for have, most in zip(reached, allowed, strict=True) if np.isfinite(most)]
    return Row(
        *(runs[0].family, runs[0].split, runs[0].group, runs[0].case, runs[0].estimator, worst),
        logs=len(variants[worst]),
        rmse=figures.rmse,
        rmse_all=figures.rmse_all,
        largest=everything.largest,
        within_s=everything.within_s,
        covered=everything.covered,
        width=everything.width,
        bar_rmse=allowed[0],
        bar_largest=allowed[1],
        bar_within_s=allowed[2],
        met=all(checks) if checks else None,
        offset_error_C=everything.offset_error_A / campaign.nominal_Ah,
        worst_file=worst_run.file,
        worst_rmse=off(worst_run.measures),
    )


def points(value: float | None) -> float:
    """Points as a fraction; NaN where nothing is said."""
    return NAN if value is None else POINT * value
