"""report.html in a real browser, at the width of a phone and of a desk.

The report runs no script and its policy allows none, so it is loaded unchanged into a frame
(``srcdoc``: its own policy applies) of a page that may look inside. What the policy refuses, the
browser logs as a console error: none may appear, and a planted remote picture must make one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

from tests.report.conftest import TESTS
from ue_cli.report import (
    Album,
    Certification,
    Evaluation,
    Labels,
    Report,
    write_certificate,
    write_evaluation,
    write_report,
)
from ue_cli.types import EffectCell, FileRecord

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]

OUTER = """<!doctype html><meta charset="utf-8"><body><pre id="found"></pre>
<iframe id="small" width="360" height="640" srcdoc="{page}"></iframe>
<iframe id="phone" width="375" height="800" srcdoc="{page}"></iframe>
<iframe id="desk" width="1280" height="800" srcdoc="{page}"></iframe>
<script>
addEventListener("load", () => {{
  const found = {{}};
  for (const id of ["small", "phone", "desk"]) {{
    const inner = document.getElementById(id).contentDocument;
    inner.querySelectorAll("details").forEach(d => d.open = true);
    const root = inner.documentElement, images = [...inner.images];
    found[id] = {{
      width: root.clientWidth, needed: root.scrollWidth,
      images: images.length,
      shown: images.filter(i => i.complete && i.naturalWidth == i.getAttribute("width")).length,
      margin: getComputedStyle(inner.body).marginTop,
      columns: getComputedStyle(inner.querySelector(".thumbs")
        || inner.body).gridTemplateColumns.split(" ").length,
      labels: [...inner.querySelectorAll(".plot text")].map(label => {{
        const box = label.getBoundingClientRect();
        return [box.left, box.right, parseFloat(getComputedStyle(label).fontSize)];
      }}),
      curves: [...inner.querySelectorAll(".plot path")].map(path => {{
        const plot = path.closest(".plot").getBoundingClientRect();
        const box = path.getBoundingClientRect(), style = getComputedStyle(path);
        return [box.width / plot.width, style.fill, style.stroke, style.strokeDasharray];
      }}),
      bars: [...inner.querySelectorAll(".bar")].map(bar => {{
        const frame = bar.querySelector("svg").getBoundingClientRect();
        const at = mark => {{
          const box = bar.querySelector(mark).getBoundingClientRect();
          return [box.left - frame.left, box.right - frame.left].map(x => x / frame.width);
        }};
        const stroke = mark => getComputedStyle(bar.querySelector(mark)).stroke;
        return {{
          height: frame.height, best: at("rect.best"), last: at("rect.last"),
          whisker: at("line.whisker"), control: at("line.control"),
          colours: [stroke("line.whisker"), stroke("line.control")],
          words: [...bar.querySelectorAll("p, span")].map(words => {{
            const box = words.getBoundingClientRect();
            return [box.left, box.right];
          }}),
        }};
      }}),
      tables: [...inner.querySelectorAll(".scroll")].map(t => [t.clientWidth, t.scrollWidth]),
      figures: [...inner.querySelectorAll("#worth .figures .value")].map(v => v.textContent),
      text: root.textContent,
    }};
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>"""


def browse(source: str, folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Load a page in both frames; what was found there, and the console's lines."""
    assert CHROMIUM is not None
    outer = folder / "outer.html"
    outer.write_text(OUTER.format(page=escape(source)), "utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--dump-dom",
            outer.as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    dom = done.stdout.decode()
    match = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert match is not None, dom[:500]
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    return json.loads(unescape(match[1])), [line for line in lines if "CONSOLE" in line]


@pytest.fixture
def source(tmp_path: Path, report: Report, album: Album, records: list[FileRecord]) -> str:
    write_report(tmp_path / "r", report, album, records * 7)
    return (tmp_path / "r" / "report.html").read_text("utf-8")


def test_the_report_opens_offline_on_a_phone_and_a_desk(source: str, tmp_path: Path) -> None:
    found, console = browse(source, tmp_path)
    assert console == []
    for place, width in (("phone", 375), ("desk", 1280)):
        seen = found[place]
        assert seen["images"] == seen["shown"] == 9
        assert seen["columns"] == {"phone": 1, "desk": 2}[place]
        check_layout(seen, width)


def check_layout(seen: dict[str, Any], width: int) -> None:
    assert seen["margin"] == "0px", "the style sheet was refused"
    assert seen["needed"] <= seen["width"] <= width
    for left, right, size in seen["labels"]:
        assert 0 <= left < right <= width and size >= 12


@pytest.mark.parametrize("alone", [False, True])
def test_a_certificate_is_legible_on_the_smallest_phone(
    tmp_path: Path,
    report: Report,
    album: Album,
    records: list[FileRecord],
    certification: Certification,
    alone: bool,
) -> None:
    if not alone:
        write_report(tmp_path / "r", report, album, records)
    write_certificate(tmp_path / "r", certification)
    found, console = browse((tmp_path / "r" / "report.html").read_text("utf-8"), tmp_path)
    assert console == []
    for place, width in (("small", 360), ("phone", 375), ("desk", 1280)):
        seen = found[place]
        check_layout(seen, width)
        assert len(seen["labels"]) >= 9
        protected, control = seen["curves"]
        # They end at four fifths of the axis, with room for the words; told apart without colour.
        assert abs(protected[0] - 0.8) < 0.02 and abs(control[0] - 0.8) < 0.02
        assert protected[1] == control[1] == "none"
        assert protected[2] != control[2] and protected[3] == "none" != control[3]


CLASS = "<img src=x onerror=\"document.title='got out'\">"


def test_an_evaluation_is_legible_and_its_bars_have_intervals(
    tmp_path: Path,
    report: Report,
    album: Album,
    records: list[FileRecord],
    evaluation: Evaluation,
) -> None:
    named = replace(report, labels=Labels("folders", "the first component.", {CLASS: 3}))
    write_report(tmp_path / "r", named, album, [replace(r, label=CLASS) for r in records])
    hostile = replace(evaluation, dataset=CLASS, not_covered=(f"Photos of {CLASS}.",))
    write_evaluation(tmp_path / "r", hostile)
    found, console = browse((tmp_path / "r" / "report.html").read_text("utf-8"), tmp_path)
    assert console == []
    for place, width in (("small", 360), ("phone", 375), ("desk", 1280)):
        seen = found[place]
        check_layout(seen, width)
        assert seen["figures"][0] == "55.4 %", "the headline is the worst case"
        assert seen["text"].count(f"Photos of {CLASS}.") == 1
        assert seen["images"] == seen["shown"] == 9, "a class's name became an element"
        assert len(seen["bars"]) == len(evaluation.measured.cells)
        for bar, cell in zip(seen["bars"], evaluation.measured.cells, strict=True):
            check_bar(bar, cell, width)
    assert all(inner <= outer for outer, inner in found["desk"]["tables"]), "a table is cut off"


def check_bar(bar: dict[str, Any], cell: EffectCell, width: int) -> None:
    top = max(cell.protected, key=lambda one: one.best)
    worst = min(cell.control, key=lambda one: one.last)
    near = pytest.approx
    assert bar["height"] >= 20
    assert bar["best"] == near([0, top.best / TESTS], abs=0.01)
    assert bar["last"] == near([0, cell.protected[0].last / TESTS], abs=0.01)
    assert bar["whisker"] == near(list(top.best_interval), abs=0.02)
    assert bar["control"] == near(list(worst.last_interval), abs=0.02)
    assert "none" not in bar["colours"] and len(set(bar["colours"])) == 2
    assert all(0 <= left < right <= width for left, right in bar["words"])


def test_the_check_sees_a_remote_picture_and_a_script(source: str, tmp_path: Path) -> None:
    smuggled = '<img src="https://example.invalid/x.png"><script>document.title = 1</script>'
    found, console = browse(source.replace("<main>", "<main>" + smuggled), tmp_path)
    assert found["desk"]["images"] == 10 and found["desk"]["shown"] == 9
    refused = [line for line in console if "Content Security Policy" in line]
    assert any("example.invalid" in line for line in refused)
    assert any("script" in line for line in refused)
