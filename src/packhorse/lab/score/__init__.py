"""Scoring of estimators on cells that others measured: `run` does it, `write_page` writes it down."""

from packhorse.lab.score.page import as_json, report, write_page
from packhorse.lab.score.score import Settings, run
from packhorse.lab.score.words import (
    Build,
    CapacityEstimator,
    Estimated,
    Estimator,
    Identify,
    Scores,
)

__all__ = [
    "Build",
    "CapacityEstimator",
    "Estimated",
    "Estimator",
    "Identify",
    "Scores",
    "Settings",
    "as_json",
    "report",
    "run",
    "write_page",
]
