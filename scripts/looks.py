"""How protected files look, by ColorVideoVDP itself, and what that costs: tables and the frontier.

    python scripts/looks.py seen photos/ --seeds 101 102 103   # as `ue protect` writes them
    python scripts/looks.py published tiny/ --seeds 0          # bundled banks, noise: no look
    python scripts/looks.py plot                               # docs/looks.svg

``seen`` protects a folder under keys that no search has used, and looks at every written file
beside its original, those that count as faint left out. Rows go into results/looks.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect import Quiet
from metric import least_jod
from PIL import Image
from scipy.stats import spearmanr

from ue_cli.certify.budget import is_faint
from ue_cli.photos.owner.key import OwnerKey, install_key
from ue_cli.photos.owner.state import Collection
from ue_cli.pipeline.protection.options import ProtectOptions, choose_method
from ue_cli.pipeline.protection.protect import protect
from ue_cli.types import Look

RESULTS = Path(__file__).resolve().parent / "results" / "looks.json"
EFFECTS = RESULTS.with_name("effect.json")
SEARCHED = RESULTS.with_name("textures.json")
PRETRAINED = RESULTS.with_name("pretrained.json")
PLOT = Path(__file__).resolve().parents[1] / "docs" / "looks.svg"


def seen(source: Path, seed: int, look: str, perturbation: str | None) -> dict[str, Any]:
    """Protect a folder, and measure every written file."""
    key = OwnerKey(sha256(f"effect {seed}".encode()).digest())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        install_key(work / "home", key, replace=True)
        method = choose_method(perturbation=perturbation)
        options = ProtectOptions(
            src=source,
            out=work / "out",
            home=work / "home",
            look=Look.parse(look),
            perturbation=perturbation,
            method=method.method,
            space=method.space,
            jobs=1,
        )
        result = protect(options, Quiet())
        if result.fingerprint is None:
            raise RuntimeError("protect made no collection")
        with Collection.open(options.home, key, result.fingerprint, readonly=True) as collection:
            records = sorted(collection.records(), key=lambda record: record.name)
        measured = [
            least_jod(_pixels(options.out / record.output), _pixels(source / record.name))
            for record in records
        ]
    truth = np.array(measured)
    guess = np.array([record.jod for record in records])
    clear = np.array([not is_faint(record, options.budget) for record in records])
    counted = truth[clear] if clear.any() else np.array([10.0])
    varied = len(set(guess.tolist())) > 1
    return {
        "source": source.name,
        "seed": seed,
        "look": look,
        "perturbation": perturbation,
        "files": len(records),
        "faint": int((~clear).sum()),
        "jod_median": round(float(np.median(counted)), 3),
        "jod_5th_percentile": round(float(np.percentile(counted, 5)), 3),
        "jod_least": round(float(counted.min()), 3),
        "predicted_median": round(float(np.median(guess)), 3),
        "rank_correlation": round(float(spearmanr(truth, guess)[0]), 3) if varied else None,
        "carried_median": round(float(np.median([record.carried for record in records])), 3),
        "strength_median": round(float(np.median([record.strength for record in records])), 3),
        "linf": max(record.linf for record in records),
        "versions": {name: version(name) for name in ("cvvdp", "torch", "numpy", "pillow")},
        "machine": platform.processor() or platform.machine(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _pixels(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def noise(source: Path) -> dict[str, Any]:
    """±8 levels at random in every value: what any method could do at least."""
    generator = np.random.default_rng(0)
    values = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        before = _pixels(path)
        after = before + generator.choice([-8, 8], before.shape)
        values.append(least_jod(np.clip(after, 0, 255).astype(np.uint8), before))
    return {
        "source": source.name,
        "perturbation": "noise",
        "look": "strong",
        "files": len(values),
        "jod_median": round(float(np.median(values)), 3),
        "jod_least": round(float(min(values)), 3),
    }


def add(row: dict[str, Any]) -> None:
    """Put a row into the results, in the place of one of the same settings."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    same = ("source", "seed", "look", "perturbation")
    rows = [old for old in rows if any(old.get(name) != row.get(name) for name in same)]
    lines = ",\n".join(json.dumps(r) for r in [*rows, row])
    RESULTS.write_text(f'{{"rows": [\n{lines}\n]}}\n')
    print({name: row.get(name) for name in row if name not in ("versions", "when")}, flush=True)


def plot() -> None:
    """Effect against visibility on 1,000 files of Tiny-ImageNet, 64 px PNG."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as pyplot

    pyplot.rcParams["svg.hashsalt"] = "ue"
    effects = json.loads(EFFECTS.read_text())["rows"]
    looks = [r for r in json.loads(RESULTS.read_text())["rows"] if r["source"] == "tiny"]
    banks = json.loads(PRETRAINED.read_text())["rows"]
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for look in looks:
        name = look["perturbation"]
        if name == "noise":
            continue
        if name is not None:
            rows = [r for r in banks if r["arm"] == name and r["dataset"] == "tiny-imagenet-10"]
            rows = [r for r in rows if r["countermeasure"] == "none"]
        else:
            arm = {"standard": "csd"}.get(look["look"], look["look"])
            rows = [
                r
                for r in effects
                if (r["experiment"], r["arm"], r.get("against")) == ("tiny-1000", arm, "none")
                and not r.get("chain")
            ]
        if not rows:
            continue
        last = [100 * r["last"] for r in rows]
        label = name or f"ue protect --look {look['look']}"
        axes.scatter([look["jod_median"]] * len(last), last, label=label)
    axes.axvline(9.73, color="gray", linewidth=0.5)
    axes.axvline(9.38, color="gray", linewidth=0.5)
    axes.text(9.73, 4, " JPEG q75", fontsize=7)
    axes.text(9.38, 4, " JPEG q50", fontsize=7)
    axes.set_xlabel("quality beside the original, JOD (median; 10: no visible difference)")
    axes.set_ylabel("accuracy after the last epoch, % (lower is more effect)")
    axes.set_ylim(0, 80)
    axes.legend(fontsize=7, loc="upper left")
    figure.savefig(PLOT, bbox_inches="tight", metadata={"Date": None})


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("what", choices=("seen", "published", "plot"))
    parser.add_argument("sources", type=Path, nargs="*")
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--looks", nargs="+", default=["standard"])
    parser.add_argument("--banks", nargs="+", default=[])
    a = parser.parse_args()
    torch.set_num_threads(1)
    if a.what == "plot":
        plot()
        return
    for source in a.sources:
        if a.what == "published":
            add(noise(source))
            for name in a.banks:
                add(seen(source, a.seeds[0], "strong", name))
            continue
        for seed in a.seeds:
            for look in a.looks:
                add(seen(source, seed, look, None))


if __name__ == "__main__":
    main()
