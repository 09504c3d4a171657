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
import io
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect_rows import add_row, known_rows, same
from PIL import Image
from torch import Tensor

from ue_cli import __version__
from ue_cli.countermeasures.registry import build
from ue_cli.perturbation.presets import PHOTOS
from ue_cli.perturbation.texture import TextureRecipe, recipe_to_json
from ue_cli.photos.owner.key import OwnerKey, install_key, load_key
from ue_cli.photos.owner.state import Collection
from ue_cli.pipeline.protection.options import ProtectOptions
from ue_cli.pipeline.protection.protect import protect
from ue_cli.training.supervised import VictimRecipe, train_victim
from ue_cli.types import STANDARD, STRONG, Budget

CIFAR = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
RESULTS = Path(__file__).resolve().parent / "results" / "effect.json"


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

    def folder(self, data: Path, split: str) -> Path:
        """Where its class folders lie."""
        return data / "flowers" / split if self.data == "flowers" else data / split


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


def classes(experiment: Experiment, data: Path) -> list[str]:
    """The experiment's class folders."""
    names = sorted(path.name for path in experiment.folder(data, "train").iterdir())
    if experiment.data == "flowers":
        return names
    return [name for name in names if (name in CIFAR) == (experiment.data == "cifar")]


def pick(experiment: Experiment, data: Path, split: str) -> Iterator[tuple[Path, str]]:
    """The first files of every class, in the order of their names."""
    for name in classes(experiment, data):
        files = sorted((experiment.folder(data, split) / name).iterdir())
        for path in files[: experiment.per_class if split == "train" else None]:
            yield path, name


def make_source(experiment: Experiment, data: Path, target: Path) -> None:
    """Write the training files that will be protected, once."""
    if target.exists():
        return
    draft = target.with_name(target.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    for path, name in pick(experiment, data, "train"):
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


def chained(image: Image.Image, read: int) -> Image.Image:
    """What downloaders keep of a picture: its short side 8/7 of the victim's, JPEG q95 4:2:0."""
    zoom = read * 8 / 7 / min(image.size)
    size = round(image.width * zoom), round(image.height * zoom)
    small = image.resize(size, Image.Resampling.BICUBIC)
    with io.BytesIO() as file:
        small.save(file, "JPEG", quality=95, subsampling="4:2:0")
        with Image.open(file) as opened:
            return opened.convert("RGB")


def load(
    files: list[tuple[Path, str]], names: list[str], side: int, chain: int = 0
) -> tuple[Tensor, Tensor]:
    """Read files as a trainer does: decode, resize, one uint8 tensor (n, 3, side, side).

    Args:
        files: and their classes.
        names: of all classes.
        side: of what the trainer keeps.
        chain: what the victim reads, where files go through `chained` first; 0: they do not.
    """
    images = np.empty((len(files), side, side, 3), np.uint8)
    for index, (path, _) in enumerate(files):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        if chain:
            image = chained(image, chain)
        if image.size != (side, side):
            image = image.resize((side, side), Image.Resampling.BILINEAR)
        images[index] = np.asarray(image)
    labels = torch.tensor([names.index(name) for _, name in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), labels


class Quiet:
    """`Phases` that say nothing."""

    def start(self, title: str, total: int) -> None:
        """Nothing."""

    def step(self, count: int = 1) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def protected(
    source: Path, work: Path, arm: str, texture: TextureRecipe | None, seed: int, levels: int = 8
) -> tuple[Path, dict[str, Any]]:
    """Protect a folder with the real tool under a new key; where it lies, and what was measured."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    install_key(work / "home", OwnerKey(sha256(f"effect {seed}".encode()).digest()), replace=True)
    options = ProtectOptions(
        src=source,
        out=work / "out",
        home=work / "home",
        method="pue" if arm == "pue" else "csd",
        space="pixel" if arm in ("pixel", "pue") else "texture",
        selection="random" if arm == "random" else "csd",
        recipe=texture,
        budget=Budget(levels),
        look=STRONG if arm == "strong" else STANDARD,
        jobs=1,
    )
    result = protect(options, Quiet())
    owner = load_key(options.home)
    if result.budget is None or result.fingerprint is None or owner is None:
        raise RuntimeError("protect returned no certificate")
    with Collection.open(options.home, owner, result.fingerprint, readonly=True) as collection:
        method = {"recipe": collection.info.recipe, "codes": collection.info.codes}
    return options.out, {
        "collection": result.fingerprint,
        "linf": result.budget.linf,
        "mean_abs": result.budget.mean_abs,
        "jod_median": result.budget.jod_median,
        "jod_least": result.budget.jod_least,
        "faint": result.budget.faint_count,
        "files": result.budget.files,
        "routes": result.routes,
        **method,
    }


def row(
    name: str,
    arm: str,
    seed: int,
    epochs: int,
    texture: TextureRecipe | None,
    against: str,
    chain: bool,
    levels: int,
    data: Path,
    work: Path,
) -> dict[str, Any]:
    """One training, and everything that decided it."""
    experiment = EXPERIMENTS[name]
    source = work / name
    make_source(experiment, data, source)
    own = work / f"{name}-{arm}-{seed}-{against}-{os.getpid()}"
    folder, made = (
        (source, {}) if arm == "clean" else protected(source, own, arm, texture, seed, levels)
    )
    names = classes(experiment, data)
    files = [(p, p.parent.name) for p in sorted(folder.rglob(f"*{experiment.suffix}"))]
    size = experiment.recipe.size if chain else 0
    images, labels = load(files, names, experiment.trainer_side, size)
    shutil.rmtree(own, ignore_errors=True)
    tests = load(list(pick(experiment, data, "test")), names, experiment.trainer_side)
    recipe = VictimRecipe(**{**asdict(experiment.recipe), "epochs": epochs})
    device = "cuda" if torch.cuda.is_available() else "cpu"
    victim = train_victim(
        images, labels, *tests, recipe, seed=seed, device=device, hooks=build(against)
    )
    return {
        "experiment": name,
        "arm": arm,
        "against": against,
        "chain": chain,
        "levels": levels,
        "asked": None if texture is None else recipe_to_json(texture),
        "seed": seed,
        "epochs": epochs,
        "epoch_12": victim.accuracy[min(12, epochs) - 1],
        "last": victim.last,
        "best": victim.best,
        "best_epoch": victim.accuracy.index(victim.best) + 1,
        "fit": victim.fit,
        "accuracy": [round(value, 4) for value in victim.accuracy],
        "train_files": len(files),
        "test_images": len(tests[0]),
        **made,
        "victim": asdict(recipe),
        "seconds": round(victim.seconds, 1),
        "device": device,
        "machine": platform.processor() or platform.machine(),
        "versions": {"ue": __version__, **{p: version(p) for p in ("torch", "numpy", "pillow")}},
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def parse_recipe(text: str) -> TextureRecipe:
    """``waves=2,low=6`` → that recipe; what is not named keeps its default."""
    default = PHOTOS
    values = dict(part.split("=") for part in text.split(","))
    typed = {name: type(getattr(default, name))(value) for name, value in values.items()}
    return replace(default, **typed)


def main() -> None:
    """Run the rows that are missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("experiment", choices=sorted(EXPERIMENTS))
    arms = ("clean", "csd", "strong", "random", "pixel", "pue")
    parser.add_argument("--arm", choices=arms, default="csd")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--recipe", type=parse_recipe, help="instead of the preset")
    parser.add_argument("--chain", action="store_true", help="see above")
    parser.add_argument("--against", default="none", help="a countermeasure of ue evaluate")
    parser.add_argument("--epsilon", type=int, default=8, help="levels of 255")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--work", type=Path, default=Path("work"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    a = parser.parse_args()
    for seed in a.seeds:
        key = (a.experiment, a.arm, seed, a.epochs, a.recipe, a.against, a.chain, a.epsilon)
        if any(same(known, *key) for known in known_rows(a.out)):
            continue
        new = row(*key, a.data, a.work)
        add_row(a.out, new)
        shown = ("experiment", "arm", "seed", "against", "last", "best", "fit", "mean_abs")
        print({name: new.get(name) for name in shown}, flush=True)


if __name__ == "__main__":
    main()
