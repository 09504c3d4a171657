"""The published experiment at its smallest scale, piece by piece."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import picture
from ue_cli.certificates.smoothing import certify_grid
from ue_cli.types import NoisyCounts, Smoothing

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "reproduce.py"


def rows_after(root: Path, *arguments: str) -> list[dict[str, Any]]:
    places = ["--data", str(root), "--work", str(root / "work"), "--out", str(root / "pue.json")]
    done = subprocess.run(
        [sys.executable, SCRIPT, "pue", "--scale", "smoke", "--seeds", "0", *places, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads((root / "pue.json").read_text())["rows"]
    return rows


@pytest.mark.slow
def test_the_experiment_goes_on_where_it_stopped_and_its_bounds_follow_from_its_counts(
    tmp_path: Path,
) -> None:
    for k, name in enumerate(("cat", "dog", "ship")):
        for split, count in (("train", 12), ("test", 6)):
            for i in range(count):
                number = 1000 * k + 10 * i + (split == "test")
                picture(tmp_path / split / name / f"{i:02d}.png", number, size=(32, 32))
    first = rows_after(tmp_path, "--most", "2")
    assert [row["piece"] for row in first] == ["certificate", "victim"]
    rows = rows_after(tmp_path)
    assert [row for row in rows if row in first] == first
    victims = {row["arm"]: row for row in rows if row["piece"] == "victim"}
    assert set(victims) == {"clean", "random", "csd", "em", "pue"}
    assert all(row["train_images"] == 36 and row["test_images"] == 18 for row in victims.values())
    made = {row["arm"]: row for row in rows if row["piece"] == "make"}
    assert all(0 < row["linf"] <= 8 for row in made.values())
    assert made["pue"]["made"]["robust_rounds"] >= 1 and made["em"]["made"]["robust_rounds"] == 0
    certificates = [row for row in rows if row["piece"] == "certificate"]
    assert len(certificates) == 14
    for row in certificates:
        setting = Smoothing(
            row["sigma"], len(row["counts"]), row["q"], row["confidence"], row["scaling"]
        )
        counts = NoisyCounts(tuple(row["counts"]), row["tests"])
        etas = [bound["eta"] for bound in row["bounds"]]
        again = certify_grid(counts, etas, setting)
        assert [b.upper for b in again] == [bound["upper"] for bound in row["bounds"]]
        assert ("verdict" in row) == (row["arm"] != "clean")
    attacks = [row for row in rows if row["piece"] == "recovery"]
    assert {row["arm"] for row in attacks} == {"random", "csd", "em", "pue"}
    assert all(a["distance"] <= a["eta"] * 1.001 for row in attacks for a in row["attacks"])
    before = (tmp_path / "pue.json").read_bytes()
    rows_after(tmp_path)
    assert (tmp_path / "pue.json").read_bytes() == before
