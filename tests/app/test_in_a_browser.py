"""Every report opened in Chromium: nothing is missing, cut or empty, on a wide screen and on a narrow one."""

from pathlib import Path

import browser
import laboratory
import synthetic_buses
from commands import call
from packhorse.io.can_logs.write import writer


def test_a_page_that_is_wrong_is_told(tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(
        '<!doctype html><html><head><meta charset="utf-8"></head><body>'
        '<div class="tile" style="width: 40px"><b style="display: block; white-space: nowrap">1145 kW out</b></div>'
        '<figure class="drawing">nothing</figure><div style="width: 3000px">far</div>'
        '<img src="gone.png"><script>missing()</script></body></html>'
    )
    found = browser.seen(page, 1280)
    assert len(found.errors) == 2
    assert "1145 kW out" in found.cut
    assert found.empty == ["nothing"]
    assert found.sideways > 1000


def test_the_report_of_a_truck(tmp_path: Path) -> None:
    log, out = tmp_path / "drive.parquet", tmp_path / "out"
    done = call("run", "--truck", "heavy", "--seconds", "20", "--speed", "0", "--record", log)
    assert done.exit_code == 0, done.output
    assert call("replay", log, "--pack", "heavy", "-o", out).exit_code == 0
    browser.must_look_right(out / "report.html")


def test_the_report_of_a_cell(tmp_path: Path) -> None:
    slow, pulses = (laboratory.write(log, tmp_path) for log in (laboratory.slow(25.0), laboratory.pulses(25.0)))
    report = tmp_path / "cell.html"
    done = call("identify", "--ocv", slow, "--pulse", pulses, "-o", tmp_path / "cell.toml", "--report", report)
    assert done.exit_code == 0, done.output
    browser.must_look_right(report)


def test_the_report_of_a_bus(tmp_path: Path) -> None:
    log, report = tmp_path / "bus.blf", tmp_path / "found.html"
    with writer(log) as file:
        file.take(synthetic_buses.bus(3, 400.0).heard)
    done = call("signals", log, "--discover", "--report", report)
    assert done.exit_code == 0, done.output
    browser.must_look_right(report)
