"""The rows of `effect.py`: one per training, in one JSON file that is always whole."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from ue_cli.methods.texture_csd import POOL
from ue_cli.perturbation.texture import TextureRecipe, recipe_from_json

SUMMARY = Path(__file__).resolve().parents[1] / "ue_cli/pipeline/protection/effect.json"

BEFORE = 16
"""Candidates per class that codes were chosen from when rows did not say so."""


def known_rows(path: Path) -> list[dict[str, Any]]:
    """The rows that a results file has."""
    rows: list[dict[str, Any]] = json.loads(path.read_text())["rows"] if path.exists() else []
    return rows


def add_row(path: Path, new: dict[str, Any]) -> None:
    """Append one row; the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several of these run side by side
        rows = [*known_rows(path), new]
        rows.sort(key=lambda r: (r["experiment"], r["arm"], r["epochs"], r["seed"]))
        draft = path.with_name(path.name + ".draft")
        lines = ",\n".join(json.dumps(r) for r in rows)
        draft.write_text(f'{{"rows": [\n{lines}\n]}}\n')
        draft.replace(path)


def same(
    row: dict[str, Any],
    name: str,
    arm: str,
    seed: int,
    epochs: int,
    texture: TextureRecipe,
    against: str,
) -> bool:
    """Whether a row is this training."""
    if (row["experiment"], row["arm"], row["seed"], row["epochs"]) != (name, arm, seed, epochs):
        return False
    return row.get("against", "none") == against and carries(row, texture)


def carries(row: dict[str, Any], texture: TextureRecipe) -> bool:
    """Whether a row's files have such textures, chosen as today, or none at all."""
    if row["arm"] in ("clean", "pixel", "pue"):
        return True
    chosen = row["arm"] == "random" or row["recipe"].get("candidates", BEFORE) == POOL
    return chosen and recipe_from_json(row["recipe"]) == texture


def summarise(path: Path) -> None:
    """Put what the report refers to where the package finds it: of textures, today's default."""
    default = TextureRecipe()
    rows = [
        row
        for row in known_rows(path)
        if row["epochs"] == 30 and row.get("against", "none") == "none" and carries(row, default)
    ]
    table: dict[str, dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        cell = table.setdefault(row["experiment"], {}).setdefault(row["arm"], {})
        for name in ("last", "best", "fit"):
            cell.setdefault(name, []).append(row[name])
    SUMMARY.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
