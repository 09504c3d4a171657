"""The rows of `effect.py`: one per training, in one JSON file that is always whole."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from typing import Any

from ue_cli.perturbation.texture import TextureRecipe, recipe_to_json
from ue_cli.pipeline.protection.making import CODE_VERSION


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
    texture: TextureRecipe | None,
    against: str,
    chain: bool,
    levels: int,
) -> bool:
    """Whether a row is this training."""
    if (row["experiment"], row["arm"], row["seed"], row["epochs"]) != (name, arm, seed, epochs):
        return False
    asked = None if texture is None else recipe_to_json(texture)
    if (row.get("against", "none"), row.get("chain", False)) != (against, chain):
        return False
    if row.get("levels", 8) != levels:
        return False
    return row.get("asked") == asked and is_current(row)


def is_current(row: dict[str, Any]) -> bool:
    """Whether a row's files have textures that are made as today, or none at all."""
    if row["arm"] in ("clean", "pixel", "pue"):
        return True
    # ``choice``: what codes were compared by, where that was another way than today's.
    return bool(row["recipe"].get("code_version") == CODE_VERSION) and "choice" not in row
