"""Hold the fast prediction of what is seen against ColorVideoVDP.

    python scripts/visibility.py photos/ kodak/ --out scripts/results/visibility.json

Every second photo of the folders (by name) was for fitting, the others are for checking. Each has
textures of the presets, at amplitudes from a third of the ball to all of it, as pixels and, where
the file is a JPEG, in its coefficients. The metric (PyPI ``cvvdp``, the extra ``visibility``) looks
at each picture fitted to a full-HD screen, at a crop of it at 1:1 where it is larger, and enlarged
to 256 pixels where it is smaller; the least of them counts. How the constants of
``ue_cli/textures/vision.py`` were fitted: docs/lab-notes.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from metric import least_jod
from scipy.stats import spearmanr

from ue_cli.banks import apply
from ue_cli.certificates.budget import measure
from ue_cli.images.decode import decode
from ue_cli.jpeg.coefficients import protect_jpeg
from ue_cli.jpeg.quantised import NotInCoefficientDomain
from ue_cli.textures import vision
from ue_cli.textures.phases import local_phasors
from ue_cli.textures.presets import PHOTOS, SMALL, TINY, texture_recipe
from ue_cli.textures.texture import TextureField, TextureRecipe, draw_code
from ue_cli.textures.visibility import Bounded, changed, small_copy
from ue_cli.textures.vision import Floats, scene
from ue_cli.types import STANDARD, Budget, PixelArray

BUDGET = Budget(8)
SHARES = (0.35, 0.6, 0.85)
RESULTS = Path(__file__).resolve().parent / "results" / "visibility.json"
KINDS = {".jpg", ".jpeg", ".png"}


def samples(path: Path) -> Iterator[tuple[str, PixelArray, PixelArray]]:
    """One photo with textures: what it is, and its pixels before and after."""
    data = path.read_bytes()
    decoded = decode(data)
    pixels = decoded.pixels
    if pixels.shape[2] != 3 or pixels.dtype != np.uint8 or decoded.orientation != 1:
        return
    size = pixels.shape[0], pixels.shape[1]
    usual = texture_recipe(STANDARD, min(size))
    recipes: list[TextureRecipe] = [usual, SMALL if usual is PHOTOS else TINY]
    small = small_copy(pixels).astype(np.float64)
    for index, recipe in enumerate(recipes):
        seed = f"{path.name}/{index}".encode()
        code = draw_code(seed, recipe)
        whole = TextureField(code, local_phasors(seed, code, small, recipe.bandwidth), *size)
        for share in SHARES:
            field = Bounded(whole, np.full((1, 1), share), *size)
            name = f"{path.name} {recipe.low:g}-{recipe.high:g} {share}"
            yield f"{name} pixels", pixels, apply.perturb(pixels, field, BUDGET)
            if decoded.format == "JPEG" and index == 0:
                try:
                    written_file = protect_jpeg(
                        data,
                        pixels.astype(np.uint8, copy=False),
                        field,
                        BUDGET,
                        fill=False,
                        decode=lambda written: decode(written).pixels.astype(np.uint8),
                        measure=measure,
                    )
                except NotInCoefficientDomain:
                    continue
                yield f"{name} jpeg", pixels, written_file.pixels


def collect(folders: list[Path]) -> list[dict[str, Any]]:
    """Every sample with the metric's answer, and what the prediction needs."""
    paths = sorted(p for folder in folders for p in folder.rglob("*") if p.suffix.lower() in KINDS)
    rows = []
    for number, path in enumerate(paths):
        for name, before, after in samples(path):
            picture = scene(small_copy(before), before.shape[0], before.shape[1])
            rows.append(
                {
                    "sample": name,
                    "fitted": number % 2 == 0,
                    "jod": least_jod(after, before),
                    "picture": picture,
                    "change": changed(before, after, 1, BUDGET),
                }
            )
        print(f"{number + 1}/{len(paths)} {path.name}", flush=True)
    return rows


def losses(rows: list[dict[str, Any]]) -> Floats:
    """JOD lost as predicted."""
    energies = (vision.energies(row["picture"], row["change"]) for row in rows)
    return np.array([10 - vision.quality(energy) for energy in energies])


def agreement(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How prediction and metric agree over some samples."""
    truth = np.array([10 - row["jod"] for row in rows])
    prediction = losses(rows)
    visible = truth > 0.02
    gap = np.log(truth[visible] / prediction[visible])
    return {
        "samples": len(rows),
        "rank_correlation": round(float(spearmanr(truth, prediction)[0]), 3),
        "true_over_predicted_loss": round(float(np.exp(np.median(gap))), 3),
        "spread": round(float(gap.std()), 3),
        "lost_no_more_than_predicted": round(float((gap <= 0).mean()), 3),
    }


def main() -> None:
    """Measure and check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    a = parser.parse_args()
    torch.set_num_threads(1)
    rows = collect(a.folders)
    halves = {
        "fitted": [row for row in rows if row["fitted"]],
        "checked": [row for row in rows if not row["fitted"]],
    }
    out: dict[str, Any] = {name: agreement(half) for name, half in halves.items()}
    for kind in ("pixels", "jpeg"):
        if rows := [row for row in halves["checked"] if row["sample"].endswith(kind)]:
            out[f"checked, {kind}"] = agreement(rows)
    out["versions"] = {name: version(name) for name in ("cvvdp", "torch", "numpy", "pillow")}
    out["when"] = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps(out, indent=1))
    a.out.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
