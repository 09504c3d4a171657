"""Fit the fast prediction of what is seen to ColorVideoVDP, and check it on other photos.

    python scripts/visibility.py photos/ kodak/ --out scripts/results/visibility.json
    python scripts/visibility.py photos/ kodak/ --fit

Every second photo of the folders (by name) is for fitting, the others for checking. Each carries
textures of the presets, at amplitudes from a third of the ball to all of it, as pixels and, where
the file is a JPEG, in its coefficients. The metric (PyPI ``cvvdp``, the extra ``visibility``) looks
at each picture fitted to a full-HD screen, at a crop of it at 1:1 where it is larger, and enlarged
to 256 pixels where it is smaller; the least of them counts. ``--fit`` prints the constants of
``ue_cli/perturbation/vision.py`` that agree best; without it, today's are checked.
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
from scipy.optimize import minimize
from scipy.stats import spearmanr

from ue_cli.certificates.budget import measure
from ue_cli.perturbation import apply, vision
from ue_cli.perturbation.phases import local_phasors
from ue_cli.perturbation.presets import PHOTOS, SMALL, TINY, texture_recipe
from ue_cli.perturbation.texture import TextureField, TextureRecipe, draw_code
from ue_cli.perturbation.visibility import Bounded, changed, small_copy
from ue_cli.perturbation.vision import Floats, Scene, scene
from ue_cli.photos.decode import decode
from ue_cli.photos.jpeg.coefficients import protect_jpeg
from ue_cli.photos.jpeg.quantised import NotInCoefficientDomain
from ue_cli.types import STANDARD, Budget, PixelArray

BUDGET = Budget(8)
SHARES = (0.35, 0.6, 0.85)
RESULTS = Path(__file__).resolve().parent / "results" / "visibility.json"
FITTED = ("_GAIN", "_MASK_GAIN", "_BAND")
"""Of `vision`: a factor for each channel, one for masking, and the middle of a band."""


def samples(path: Path) -> Iterator[tuple[str, PixelArray, PixelArray]]:
    """One photo with textures: what it is, and its pixels before and after."""
    data = path.read_bytes()
    decoded = decode(data)
    pixels = decoded.pixels
    if pixels.shape[2] != 3 or pixels.dtype != np.uint8 or decoded.orientation != 1:
        return
    size = pixels.shape[0], pixels.shape[1]
    own = texture_recipe(STANDARD, min(size))
    recipes: list[TextureRecipe] = [own, SMALL if own is PHOTOS else TINY]
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
                    made = protect_jpeg(
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
                yield f"{name} jpeg", pixels, made.pixels


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


KINDS = {".jpg", ".jpeg", ".png"}


def losses(rows: list[dict[str, Any]]) -> Floats:
    """JOD lost as predicted, with today's constants."""
    return np.array([10 - _predict(row["picture"], row["change"]) for row in rows])


def _predict(picture: Scene, change: Floats) -> float:
    return vision.quality(vision.energies(picture, change))


def fit(rows: list[dict[str, Any]]) -> None:
    """Print the constants that agree best in the logarithm of what is lost."""
    truth = np.log([max(10 - row["jod"], 1e-3) for row in rows])
    gain, mask, band = vision._GAIN.copy(), vision._MASK_GAIN, vision._BAND

    def wrong(x: Floats) -> float:
        vision._GAIN = gain * np.exp(np.array([x[0], 0, x[1]]))
        vision._MASK_GAIN = mask * float(np.exp(x[2]))
        vision._BAND = band * float(np.exp(x[3]))
        gap = truth - np.log(np.maximum(losses(rows), 1e-3))
        return float(gap.std())

    found = minimize(wrong, np.zeros(4), method="Nelder-Mead", options={"maxfev": 120})
    error = wrong(found.x)
    print("_GAIN", vision._GAIN.round(4), "_MASK_GAIN", vision._MASK_GAIN, "_BAND", vision._BAND)
    gap = truth - np.log(losses(rows))
    print(f"spread {error:.3f}; SCALE × {np.exp(np.quantile(gap, 0.9)):.3f} for nine in ten")


def agreement(rows: list[dict[str, Any]]) -> dict[str, float]:
    """How prediction and metric agree over some samples."""
    truth = np.array([10 - row["jod"] for row in rows])
    guess = losses(rows)
    keep = truth > 0.02
    gap = np.log(truth[keep] / guess[keep])
    return {
        "samples": len(rows),
        "rank_correlation": round(float(spearmanr(truth, guess)[0]), 3),
        "true_over_predicted_loss": round(float(np.exp(np.median(gap))), 3),
        "spread": round(float(gap.std()), 3),
        "lost_no_more_than_predicted": round(float((gap <= 0).mean()), 3),
    }


def main() -> None:
    """Measure, then fit or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS)
    a = parser.parse_args()
    torch.set_num_threads(1)
    rows = collect(a.folders)
    if a.fit:
        fit([row for row in rows if row["fitted"]])
    halves = {
        "fitted": [row for row in rows if row["fitted"]],
        "checked": [row for row in rows if not row["fitted"]],
    }
    out: dict[str, Any] = {name: agreement(half) for name, half in halves.items()}
    for kind in ("pixels", "jpeg"):
        some = [row for row in halves["checked"] if row["sample"].endswith(kind)]
        if some:
            out[f"checked, {kind}"] = agreement(some)
    out["versions"] = {name: version(name) for name in ("cvvdp", "torch", "numpy", "pillow")}
    out["when"] = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps(out, indent=1))
    if not a.fit:
        a.out.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
