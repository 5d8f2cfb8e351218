"""The single figure of the McMaster benchmark, as far as one laboratory's logs can carry it.

P. J. Kollmeyer, M. Naguib, F. Khanum, A. Emadi, "A blind modeling tool for standardized evaluation of battery state of
charge estimation algorithms", IEEE ITEC 2022, pp. 243-248, doi 10.1109/ITEC53557.2022.9813996. Weights as its authors'
second version has them, published with the code of its site (github.com/McMaster-Battery-Research-Group/
battery-soc-benchmark, src/lib/test-cases.ts): every *type* of test weighs the same, a type with several cases shares
its weight among them, and "all cells" weighs nothing because the others contain it. Wrong starts of 90, 60 and 30 %
weigh 3 : 2 : 1 within their type, and of the offsets only the larger (0.3 A in 4.6 Ah, C/15.3) counts.

What is not the same here, and can only be done on the authors' own cells: charging, payloads, standard and
non-standard cycles are test types of their own there. There the log begins with an hour of its first reading, which
does not count; here it begins where it begins, and all its rows count. Noise is no test there; the issue asks for it,
and it weighs as much as the others. A part that a family cannot show is left out and the rest weighs more.
"""

from __future__ import annotations

import numpy as np

from packhorse.lab.score.campaign import Campaign
from packhorse.lab.score.words import Part, Run, Weighted

WEIGHTS = {
    "clean": 1.0,
    "wrong start": 1.0,
    "current offset": 1.0,
    "noise": 1.0,
    "temperature": 1.0,
    "unseen cell": 1.0,
}
"""Equal over the types of test, as published; `noise` is ours."""
START_WEIGHTS = {"start 90 %": 3.0, "start 60 %": 2.0, "start 30 %": 1.0}


def weighted(campaigns: list[Campaign], runs: list[Run], weights: dict[str, float]) -> list[Weighted]:
    """The weighted error of every family and estimator."""
    found = []
    for campaign in campaigns:
        own = [one for one in runs if one.family == campaign.family]
        for estimator in dict.fromkeys(one.estimator for one in own):
            some = parts(campaign, [one for one in own if one.estimator == estimator], weights)
            total = sum(part.weight for part in some)
            if total > 0.0:
                error = sum(part.weight * part.rmse for part in some) / total
                found.append(Weighted(campaign.family, estimator, some, error))
    return found


def parts(campaign: Campaign, runs: list[Run], weights: dict[str, float]) -> list[Part]:
    """The parts that these runs can show, each the mean of the logs' RMSE over all rows."""
    kind = {split.name: split.benchmark_part for split in campaign.split}
    main = {split.name for split in campaign.split if "benchmark" in split.sets}
    clean = [one for one in runs if one.case == "P0"]
    tested = [one for one in runs if one.split in main]
    largest = max(campaign.offsets_per_h)
    offsets = {f"P2 {sign}C/{1.0 / largest:.0f}" for sign in "+-"}
    at = {name: [one for one in clean if kind[one.split] == name] for name in ("clean", "temperature", "unseen cell")}
    of = {
        "clean": at["clean"],
        "wrong start": [one for one in tested if one.variant in START_WEIGHTS],
        "current offset": [one for one in tested if one.variant in offsets],
        "noise": [one for one in tested if one.case == "P3"],
        "temperature": at["clean"] + at["temperature"] or at["unseen cell"],
        "unseen cell": at["unseen cell"],
    }
    if len({(one.split, one.group) for one in of["temperature"]}) < 2:
        of["temperature"] = []
    return [Part(name, weights[name], average(name, some), len(some)) for name, some in of.items() if some]


def average(part: str, runs: list[Run]) -> float:
    """Mean RMSE of the logs of a part: temperatures count alike however many logs they have, starts 3 : 2 : 1."""
    off = np.array([one.measures.rmse_all for one in runs])
    if part == "wrong start":
        return float(np.average(off, weights=[START_WEIGHTS[one.variant] for one in runs]))
    if part == "temperature":
        groups = [(one.split, one.group) for one in runs]
        means = [np.mean(off[[other == group for other in groups]]) for group in dict.fromkeys(groups)]
        return float(np.mean(means))
    return float(np.mean(off))
