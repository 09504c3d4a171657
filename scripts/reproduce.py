"""Run a published experiment again, piece by piece.

    python scripts/reproduce.py pue --scale cpu --data DATA --work WORK

DATA holds ``train/CLASS/*`` and ``test/CLASS/*`` of CIFAR-10 as image files. Three scales:
``smoke`` shows in under a minute that everything runs; ``cpu`` is 10 classes × 500 images and a
small network, each piece in minutes on one core; ``paper`` is the published setting (ResNet-18,
all images, 200 epochs), for a GPU. Every piece adds one row to one JSON file, with its seed,
setting and seconds; pieces that are there are not run again, so that the same command goes on where
it stopped. ``summary`` puts the figures that the report quotes into the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from reproduction.pieces import Experiment
from reproduction.scales import PUBLISHED, SCALES
from reproduction.store import Row, Store

RESULTS = Path(__file__).resolve().parent / "results" / "pue.json"
SUMMARY = RESULTS.parent.parent.parent / "ue_cli" / "pipeline" / "pue.json"
SHOWN = (
    "piece",
    "arm",
    "seed",
    "surrogate",
    "setting",
    "last",
    "best",
    "fit",
    "verdict",
    "seconds",
)


def main() -> None:
    """Run the pieces that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("experiment", choices=("pue", "summary"))
    parser.add_argument("--scale", choices=SCALES, default="cpu")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--most", type=int, help="stop after so many pieces")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    a = parser.parse_args()
    store = Store(a.out, a.work, {"published": PUBLISHED})
    if a.experiment == "summary":
        summarise(store.rows(), SUMMARY)
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    experiment = Experiment(a.scale, SCALES[a.scale], a.data, store, device)
    done = 0
    for piece in experiment.pieces(a.seeds):
        if store.find(piece.key) is not None:
            continue
        if a.most is not None and done >= a.most:
            return
        show(piece.run())
        done += 1


def summarise(rows: list[Row], path: Path) -> None:
    """Put what the report refers to where the package finds it."""
    table: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row["scale"] == "cpu" and row["piece"] == "victim":
            for name in ("last", "best", "fit"):
                table.setdefault(row["arm"], {}).setdefault(name, []).append(row[name])
    path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


def show(row: Row) -> None:
    """One line on a finished piece."""
    print({name: row[name] for name in SHOWN if name in row}, flush=True)


if __name__ == "__main__":
    main()
