"""A page opened in Chromium, as a person would, and what is wrong with it there."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (1280, 500)
"""A screen, and the narrowest that Chromium's window takes."""
PROBE = """<script>
const errors = [];
addEventListener("error", event => errors.push(event.message || "a part of the page is missing"), true);
addEventListener("securitypolicyviolation", event => errors.push(event.violatedDirective + " " + event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  const cut = [...document.querySelectorAll(".tile, .tile *")].filter(e => e.scrollWidth > e.clientWidth + 1 &&
    getComputedStyle(e).display !== "inline");
  const drawn = e => [...e.querySelectorAll("canvas, svg")].some(e => e.getBoundingClientRect().height > 20);
  const plots = [...document.querySelectorAll(".plot, .drawing")];
  document.documentElement.dataset.probe = JSON.stringify({
    errors, cut: cut.map(e => e.textContent),
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    empty: plots.filter(e => !drawn(e)).map(e => e.textContent.slice(0, 80)), plots: plots.length,
  });
}, 500));
</script>"""


class Seen(NamedTuple):
    """What a browser made of a page."""

    errors: list[str]
    cut: list[str]  # texts of tiles that are wider than their tile
    sideways: int  # pixels by which the page is wider than the window
    empty: list[str]  # plots in which nothing is drawn
    plots: int


def seen(page: Path, width: int) -> Seen:
    """What Chromium makes of a copy of a page that a probe was put into. Skips where there is no Chromium."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        pytest.skip("no Chromium to open the page with; scripts/browser installs it")
    text = page.read_text(encoding="utf-8")
    text = re.sub(
        "default-src 'none';(?!.*script-src)", "default-src 'none'; script-src 'unsafe-inline';", text, count=1
    )
    copy = page.with_name(f"{page.stem}_{width}.html")
    copy.write_text(re.sub(r"<meta charset[^>]*>", lambda tag: tag[0] + PROBE, text, count=1), encoding="utf-8")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'chromium'}"]
    words += [f"--window-size={width},900", "--virtual-time-budget=10000", "--dump-dom", copy.absolute().as_uri()]
    done = subprocess.run([chromium, *words], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    found = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert found is not None, f"{page}: not loaded\n{done.stdout[:500]}\n{done.stderr[-500:]}"
    return Seen(**json.loads(html.unescape(found[1])))


def must_look_right(page: Path) -> None:
    """No error, every plot drawn, no text over its neighbour, nothing beyond the edge, on any screen."""
    for width in WIDTHS:
        found = seen(page, width)
        assert found == Seen([], [], 0, [], found.plots), f"{page.name}, {width} pixels wide"
        assert found.plots > 0, f"{page.name}: no plots"
