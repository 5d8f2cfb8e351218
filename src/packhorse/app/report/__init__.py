"""The report of a replay: one self-contained HTML file that opens offline, in any browser, for years."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import packhorse
from packhorse.app.report import sections
from packhorse.app.report.life import Life
from packhorse.app.report.plots import data

HERE = Path(__file__).parent


def page(life: Life) -> str:
    """The whole report as HTML."""
    parts = {
        "title": html.escape(f"{life.log} on {life.pack}"),
        "uplot_css": asset("vendor/uPlot.min.css"),
        "css": asset("report.css"),
        "uplot_js": asset("vendor/uPlot.iife.min.js"),
        "js": asset("report.js"),
        "data": embed(data(life)),
        "head": sections.head(life),
        "facts": sections.facts(life),
        "events": sections.events(life),
        "cells": sections.cells(life),
        "limits": sections.limits(life),
        "readings": sections.readings(life),
        "version": html.escape(packhorse.__version__),
    }
    return fill("template.html", parts)


def fill(template: str, parts: dict[str, str]) -> str:
    """A template with its parts, which stand in it as `%%name%%`."""
    pieces = asset(template).split("%%")
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))


def embed(value: dict[str, Any]) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def asset(name: str) -> str:
    """A file that ships beside this one."""
    return (HERE / name).read_text(encoding="utf-8")
