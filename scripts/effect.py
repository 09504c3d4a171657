"""Train victims on protected *files*, beside the clean control and random codes.

    python scripts/effect.py tiny-jpeg --arm csd --seeds 0 1 2 --data DATA --work WORK

DATA holds ``train/CLASS/*`` and ``test/CLASS/*`` of CIFAR-10 and of ten Tiny-ImageNet classes,
side by side, and ``flowers/train``, ``flowers/test`` of flower_photos. The experiments:

- ``tiny-png``: 5,000 images of 64 px as PNG; the victim sees 48 px under RandomResizedCrop(0.35).
- ``tiny-jpeg``: the photo-size proxy: the same enlarged to 1,024 px, JPEG q92 4:2:0, protected
  JPEG to JPEG by the default, resized to 64 px by the trainer, then as above.
- ``tiny-1000``: the first 100 files of each class, as in the grid.
- ``cifar-png``, ``cifar-jpeg``: 8,000 images of 32 px; flip and ±4 crop.
- ``flowers-png``, ``flowers-jpeg``: 300 photos of each of five classes at their own size (240 to
  500 px), resized by the trainer to 96 px; crops are read at 72 px. ``flowers-128``: 128 and 96.

``--chain`` puts what common downloaders do before that: the short side to 8/7 of what the victim
reads, saved as JPEG q95 4:2:0.

Arms: ``clean``, ``csd`` (the default), ``strong`` (``--look strong``), ``random`` (codes as drawn:
what CSD has to beat), ``pixel`` (CSD in pixel space) and ``pue``. Every seed is another key, so
another draw of codes, and another training. One row per training goes into one JSON file; rows
that are there are not run again. ``--recipe waves=2,low=6`` tries another texture than the preset,
and ``--against jpeg-50`` trains under a countermeasure (results/search.json).
"""

from __future__ import annotations

import argparse
import os
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from folders import class_names, first_files, load, protect_folder
from PIL import Image
from store import RESULTS, Row, Store

from ue_cli.countermeasures.registry import build
from ue_cli.protection.making import CODE_VERSION
from ue_cli.textures.presets import PHOTOS
from ue_cli.textures.texture import TextureRecipe, recipe_to_json
from ue_cli.training.supervised import VictimRecipe, train_victim
from ue_cli.types import STANDARD, STRONG, Budget


@dataclass(frozen=True)
class Experiment:
    """One data set as files, and how its victim trains.

    Attributes:
        data: ``cifar``, ``tiny`` (the other classes in DATA) or ``flowers``.
        per_class: training images per class.
        suffix: of the files that are protected.
        side: to which they are enlarged first; None leaves them.
        trainer_side: to which the trainer resizes what it reads.
        recipe: of the victim.
    """

    data: str
    per_class: int
    suffix: str
    side: int | None
    trainer_side: int
    recipe: VictimRecipe

    def folder(self, data: Path) -> Path:
        """Where its splits lie."""
        return data / "flowers" if self.data == "flowers" else data

    def classes(self, data: Path) -> list[str]:
        """Its class folders."""
        return class_names(self.folder(data), "cifar10" if self.data == "cifar" else self.data)


_TINY = VictimRecipe(size=48, augment="resized-crop", min_scale=0.35)
_FLOWERS = replace(_TINY, size=72, batch=32, lr=0.05)
_CIFAR = VictimRecipe(size=32, augment="shift", reach=4)
EXPERIMENTS = {
    "tiny-png": Experiment("tiny", 500, ".png", None, 64, _TINY),
    "tiny-half": Experiment("tiny", 250, ".png", None, 64, replace(_TINY, batch=32, lr=0.05)),
    "tiny-1000": Experiment("tiny", 100, ".png", None, 64, replace(_TINY, batch=32, lr=0.05)),
    "tiny-jpeg": Experiment("tiny", 500, ".jpg", 1024, 64, _TINY),
    "cifar-png": Experiment("cifar", 800, ".png", None, 32, _CIFAR),
    "cifar-jpeg": Experiment("cifar", 800, ".jpg", None, 32, _CIFAR),
    "flowers-png": Experiment("flowers", 300, ".png", None, 96, _FLOWERS),
    "flowers-128": Experiment("flowers", 300, ".png", None, 128, replace(_FLOWERS, size=96)),
    "flowers-jpeg": Experiment("flowers", 300, ".jpg", None, 96, _FLOWERS),
}

ARMS: dict[str, dict[str, Any]] = {
    "clean": {},
    "csd": {},
    "strong": {"look": STRONG},
    "random": {"selection": "random"},
    "pixel": {"space": "pixel"},
    "pue": {"method": "pue", "space": "pixel"},
}
"""What each asks of `ue protect`, beside the defaults."""


@dataclass(frozen=True)
class Setting:
    """Everything that decides a training, beside its data.

    Attributes:
        experiment, arm, seed, epochs: which.
        texture: instead of the preset; None: the preset.
        against: the countermeasure.
        chain: whether files go through a downloader first.
        levels: of the budget.
    """

    experiment: str
    arm: str
    seed: int
    epochs: int
    texture: TextureRecipe | None
    against: str
    chain: bool
    levels: int

    @property
    def key(self) -> Row:
        """It, as a row has it."""
        key = asdict(self)
        texture = key.pop("texture")
        return key | {"asked": None if texture is None else recipe_to_json(self.texture or PHOTOS)}

    def has(self, row: Row) -> bool:
        """Whether a row is this training, on files that are made as today."""
        older = {"against": "none", "chain": False, "levels": 8, "asked": None}
        same = all((older | row)[name] == value for name, value in self.key.items())
        if not same or self.arm in ("clean", "pixel", "pue"):
            return same
        # ``choice``: what codes were compared by, where that was another way than today's.
        return row["recipe"].get("code_version") == CODE_VERSION and "choice" not in row


def make_source(experiment: Experiment, data: Path, target: Path) -> None:
    """Write the training files that will be protected, once."""
    if target.exists():
        return
    draft = target.with_name(target.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    train = experiment.folder(data) / "train"
    for path, name in first_files(train, experiment.classes(data), experiment.per_class):
        out = draft / name / (path.stem + experiment.suffix)
        out.parent.mkdir(parents=True, exist_ok=True)
        if experiment.suffix == ".jpg" and experiment.side is None:
            shutil.copyfile(path, out)
            continue
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if experiment.side is not None:
            image = image.resize((experiment.side,) * 2, Image.Resampling.BICUBIC)
        if experiment.suffix == ".png":
            image.save(out)
        else:
            image.save(out, quality=92, subsampling="4:2:0")
    draft.rename(target)


def protected(source: Path, work: Path, setting: Setting) -> tuple[Path, Row]:
    """Protect a folder under a new key; where it lies, and what was measured."""
    shutil.rmtree(work, ignore_errors=True)
    options = {"look": STANDARD, "recipe": setting.texture, "budget": Budget(setting.levels)}
    options |= ARMS[setting.arm]
    copy = protect_folder(source, work, f"effect {setting.seed}", **options)
    return copy.out, {
        "collection": copy.result.fingerprint,
        "linf": copy.budget.linf,
        "mean_abs": copy.budget.mean_abs,
        "jod_median": copy.budget.jod_median,
        "jod_least": copy.budget.jod_least,
        "faint": copy.budget.faint_count,
        "files": copy.budget.files,
        "routes": copy.result.routes,
        "recipe": copy.method,
        "codes": copy.codes,
    }


def train(setting: Setting, data: Path, work: Path) -> Row:
    """One training, and what was measured on its files."""
    experiment = EXPERIMENTS[setting.experiment]
    folder = work / setting.experiment
    make_source(experiment, data, folder)
    copy = work / f"{setting.experiment}-{setting.arm}-{setting.seed}-{os.getpid()}"
    measured: Row = {}
    if setting.arm != "clean":
        folder, measured = protected(folder, copy, setting)
    names = experiment.classes(data)
    files = [(path, path.parent.name) for path in sorted(folder.rglob(f"*{experiment.suffix}"))]
    chain = experiment.recipe.size if setting.chain else 0
    images, labels = load(files, names, experiment.trainer_side, chain)
    shutil.rmtree(copy, ignore_errors=True)
    clean = first_files(experiment.folder(data) / "test", names, None)
    tests = load(clean, names, experiment.trainer_side)
    recipe = replace(experiment.recipe, epochs=setting.epochs)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    hooks = build(setting.against)
    victim = train_victim(
        images, labels, *tests, recipe, seed=setting.seed, device=device, hooks=hooks
    )
    return {
        "epoch_12": victim.accuracy[min(12, setting.epochs) - 1],
        "last": victim.last,
        "best": victim.best,
        "best_epoch": victim.accuracy.index(victim.best) + 1,
        "fit": victim.fit,
        "accuracy": [round(value, 4) for value in victim.accuracy],
        "train_files": len(files),
        "test_images": len(clean),
        **measured,
        "victim": asdict(recipe),
        "seconds": round(victim.seconds, 1),
        "device": device,
    }


def parse_recipe(text: str) -> TextureRecipe:
    """``waves=2,low=6`` → that recipe; what is not named keeps its default."""
    values = dict(part.split("=") for part in text.split(","))
    typed = {name: type(getattr(PHOTOS, name))(value) for name, value in values.items()}
    return replace(PHOTOS, **typed)


def main() -> None:
    """Run the rows that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("experiment", choices=sorted(EXPERIMENTS))
    parser.add_argument("--arm", choices=ARMS, default="csd")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", type=parse_recipe, help="instead of the preset")
    parser.add_argument("--chain", action="store_true", help="see above")
    parser.add_argument("--against", default="none", help="a countermeasure of ue evaluate")
    parser.add_argument("--epsilon", type=int, default=8, help="levels of 255")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--out", type=Path, default=RESULTS / "effect.json")
    a = parser.parse_args()
    store = Store(a.out)
    for seed in a.seeds:
        setting = Setting(
            *(a.experiment, a.arm, seed, a.epochs, a.recipe, a.against, a.chain, a.epsilon)
        )
        if any(setting.has(row) for row in store.rows()):
            continue
        row = store.add(setting.key, train(setting, a.data, a.work))
        columns = ("experiment", "arm", "seed", "against", "last", "best", "fit", "mean_abs")
        print({name: row.get(name) for name in columns}, flush=True)


if __name__ == "__main__":
    main()
