"""How protected files look, by ColorVideoVDP itself; rows go into results/looks.json.

    python scripts/looks.py seen photos/ --seeds 101 102 103   # as `ue protect` writes them
    python scripts/looks.py published tiny/ --banks csd-cifar10  # bundled banks: no look

``seen`` protects a folder under keys that no search has used, and looks at every written file
beside its original, those that count as faint left out. `plots.py looks` draws docs/looks.svg.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from folders import protect_folder
from metric import least_jod
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import spearmanr
from store import RESULTS, Row, Store

from ue_cli.certificates.budget import is_faint
from ue_cli.protection.options import choose_method
from ue_cli.types import Budget, Look

LIBRARIES = ("cvvdp", "torch", "numpy")


def look_at(source: Path, seed: int, look: str, perturbation: str | None) -> Row:
    """Protect a folder, and measure every written file."""
    method = choose_method(perturbation=perturbation)
    with tempfile.TemporaryDirectory() as folder:
        copy = protect_folder(
            source,
            Path(folder),
            f"effect {seed}",
            look=Look.parse(look),
            perturbation=perturbation,
            method=method.method,
            space=method.space,
        )
        measured = [
            least_jod(pixels(copy.out / record.output), pixels(source / record.name))
            for record in copy.records
        ]
    truth = np.array(measured)
    prediction = np.array([record.jod for record in copy.records])
    clear = np.array([not is_faint(record, Budget(8)) for record in copy.records])
    counted = truth[clear] if clear.any() else np.array([10.0])
    varied = len(set(prediction.tolist())) > 1
    carried = [record.carried for record in copy.records]
    strength = [record.strength for record in copy.records]
    return {
        "files": len(copy.records),
        "faint": int((~clear).sum()),
        "jod_median": round(float(np.median(counted)), 3),
        "jod_5th_percentile": round(float(np.percentile(counted, 5)), 3),
        "jod_least": round(float(counted.min()), 3),
        "predicted_median": round(float(np.median(prediction)), 3),
        "rank_correlation": round(float(spearmanr(truth, prediction)[0]), 3) if varied else None,
        "carried_median": round(float(np.median(carried)), 3),
        "strength_median": round(float(np.median(strength)), 3),
        "linf": max(record.linf for record in copy.records),
    }


def pixels(path: Path) -> NDArray[np.uint8]:
    """(h, w, 3)."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def main() -> None:
    """Measure the folders that were named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("seen", "published"))
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--looks", nargs="+", default=["standard"])
    parser.add_argument("--banks", nargs="+", default=[])
    parser.add_argument("--out", type=Path, default=RESULTS / "looks.json")
    a = parser.parse_args()
    torch.set_num_threads(1)
    store = Store(a.out)
    for source in a.sources:
        runs: list[tuple[int, str, str | None]]
        if a.what == "published":
            runs = [(a.seeds[0], "strong", name) for name in a.banks]
        else:
            runs = [(seed, look, None) for seed in a.seeds for look in a.looks]
        for seed, look, bank in runs:
            key = {"source": source.name, "seed": seed, "look": look, "perturbation": bank}
            row = store.add(key, look_at(source, seed, look, bank), LIBRARIES)
            print(row, flush=True)


if __name__ == "__main__":
    main()
