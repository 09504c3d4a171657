"""The arrays of `reproduce.py tue`: photos, and what each arm makes of them."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect import CIFAR
from torch import Tensor
from torch.nn import functional

from reproduction.files import by_the_tool, read
from reproduction.grid.files import once
from reproduction.store import Row
from reproduction.tue.arms import Arm, RandomCodes, Texture
from reproduction.tue.plan import BUDGET, SIDES, Scale
from reproduction.tue.swaps import Correspondence, correspondence
from ue_cli import __version__
from ue_cli.methods.csd import PixelCsd
from ue_cli.methods.discriminant import pull_of
from ue_cli.perturbation.bank import load_bank, save_bank
from ue_cli.perturbation.transfer import transfer_bank
from ue_cli.types import Bank, Provenance


@dataclass(frozen=True)
class Photos:
    """A data set in memory, class by class.

    Attributes:
        classes: their names.
        images: (n, 3, side, side) uint8, for training.
        labels: (n,) int64, ascending.
        tests: (m, 3, side, side) uint8.
        truth: (m,) int64, ascending.
    """

    classes: tuple[str, ...]
    images: Tensor
    labels: Tensor
    tests: Tensor
    truth: Tensor

    def asked(self, count: int) -> tuple[Tensor, Tensor]:
        """The first test images of every class, and their labels."""
        chosen = _ranks(self.truth) < count
        return self.tests[chosen], self.truth[chosen]


class Files:
    """Photos and protected images of one scale, each made once and kept.

    Args:
        name: of the scale.
        scale: its sizes.
        data: holds ``train/CLASS/*`` and ``test/CLASS/*``.
        work: where they lie.
        device: for torch.
    """

    def __init__(self, name: str, scale: Scale, data: Path, work: Path, device: str) -> None:
        self._scale, self._data, self._device = scale, data, device
        self.work = work / "tue" / name
        self.photos = lru_cache(self._photos)

    def folder(self, arm: Arm, seed: int) -> Path:
        """Where an arm's files are, or will be."""
        text = json.dumps([arm.settings, self._scale.classes, self._scale.per_class])
        return self.work / f"{arm.name}-{seed}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def make(self, arm: Arm, seed: int) -> Row:
        """Make an arm's files of CIFAR-10, if they are not there; what was measured on them.

        Raises:
            UeError: a method cannot be used on such photos.
        """
        folder = self.folder(arm, seed)
        with once(folder) as draft:
            if draft is not None:
                (draft / "made.json").write_text(json.dumps(self._make(arm, seed, draft)))
        made: Row = json.loads((folder / "made.json").read_text())
        return made

    def protected(self, arm: Arm, seed: int, dataset: str, swap: Correspondence) -> Tensor:
        """An arm's images, (n, 3, side, side) uint8, in the order of the photos.

        Args:
            arm: which.
            seed: of its perturbation, of the swap and of what a transfer mixes.
            dataset: of the photos; patterns are made on CIFAR-10 and transferred to others.
            swap: which image carries which δ.

        Raises:
            UeError: the patterns cannot be transferred.
            ValueError: the arm is no set of patterns, and was to be swapped or transferred.
        """
        photos = self.photos(dataset)
        if arm.maker is None:
            return photos.images
        self.make(arm, seed)
        if dataset == "cifar10" and swap == "original":
            return torch.from_numpy(np.load(self.folder(arm, seed) / "images.npy"))
        if not arm.has_patterns:
            raise ValueError(f"{arm.name} has no patterns to swap or to transfer")
        bank = load_bank(self.folder(arm, seed) / "patterns.safetensors")
        if dataset != "cifar10":
            most = int(photos.labels.bincount().max())
            bank = transfer_bank(bank, photos.classes, per_class=most, seed=seed)
        delta = carried(bank, photos.labels)
        if swap != "original":
            delta = delta[correspondence(photos.labels, swap, seed=seed)]
        return added(photos.images, delta)

    def _make(self, arm: Arm, seed: int, draft: Path) -> Row:
        began, photos = time.perf_counter(), self.photos("cifar10")
        said: dict[str, Any]
        if isinstance(arm.maker, Texture):
            found, said = by_the_tool(photos.images, photos.labels, photos.classes, draft / "tool")
            images = torch.from_numpy(found)
        else:
            bank = self._bank(arm, seed)
            save_bank(bank, draft / "patterns.safetensors")
            images = added(photos.images, carried(bank, photos.labels))
            known = arm.settings or {}
            said = {n: v for n, v in bank.provenance.recipe.items() if n not in known}
        np.save(draft / "images.npy", images.numpy())
        seconds = round(time.perf_counter() - began, 1)
        delta = images.to(torch.int16) - photos.images
        levels = delta.abs()
        pull = pull_of((delta.float() / 255).flatten(1), photos.labels)
        return {
            "linf": int(levels.max()),
            "mean_abs": round(float(levels.float().mean()), 4),
            "csd": round(pull.value, 6),
            "making_seconds": seconds,
            "made": said,
        }

    def _bank(self, arm: Arm, seed: int) -> Bank:
        photos, maker = self.photos("cifar10"), arm.maker
        if isinstance(maker, RandomCodes):
            signs = np.random.default_rng(seed).choice(
                np.array([-1, 1], np.int8), (len(photos.classes), 1, 3, maker.cells, maker.cells)
            )
            told = Provenance("random", "pixel", {}, f"ue {__version__}")
            return Bank(signs * np.int8(BUDGET.levels), photos.classes, BUDGET, told)
        if isinstance(maker, PixelCsd):
            seeds = {name: f"{seed} {name}".encode() for name in photos.classes}
            return maker.optimise(photos.classes, seeds, BUDGET, device=self._device)
        if maker is None or isinstance(maker, Texture):
            raise ValueError(f"{arm.name} has no patterns")
        return maker.optimise(
            photos.images, photos.labels, photos.classes, BUDGET, seed=seed, device=self._device
        ).bank

    def _photos(self, dataset: str) -> Photos:
        """Decoded once for all processes."""
        scale, names = self._scale, self._classes(dataset)
        count, asked = scale.per_class, max(scale.tests, scale.ssl_tests)
        if dataset != "cifar10":
            count, asked = scale.other_per_class, scale.other_tests
        folder = self.work / f"{dataset}-{len(names)}-{count}-{asked}"
        with once(folder) as draft:
            if draft is not None:
                images, labels = read(self._data / "train", names, count, SIDES[dataset])
                tests, truth = read(self._data / "test", names, asked, SIDES[dataset])
                np.savez(
                    draft / "photos.npz",
                    images=images.numpy(),
                    labels=labels.numpy(),
                    tests=tests.numpy(),
                    truth=truth.numpy(),
                )
        with np.load(folder / "photos.npz") as found:
            arrays = [torch.from_numpy(found[n]) for n in ("images", "labels", "tests", "truth")]
        return Photos(tuple(names), *arrays)

    def _classes(self, dataset: str) -> list[str]:
        names = sorted(path.name for path in (self._data / "train").iterdir())
        own = [name for name in names if (name in CIFAR) == (dataset == "cifar10")]
        if len(own) < 2:
            raise SystemExit(f"{self._data} should have class folders of {dataset} in train/.")
        return own[: self._scale.classes]


def carried(bank: Bank, labels: Tensor) -> Tensor:
    """The δ of every image, (n, 3, c, c) int8: its class's patterns in turn, as they were made.

    Args:
        bank: its classes in the order of the labels.
        labels: (n,) int64.
    """
    delta = torch.from_numpy(bank.delta.copy())
    return delta[labels, _ranks(labels) % delta.shape[1]]


def added(images: Tensor, delta: Tensor) -> Tensor:
    """Images with their δ on them, as the pixels of a file.

    Args:
        images: (n, 3, side, side) uint8.
        delta: (n, 3, c, c) int8, stretched over the image.

    Returns:
        (n, 3, side, side) uint8.
    """
    wide = functional.interpolate(delta.float(), size=images.shape[2:], mode="nearest-exact")
    return wide.add_(images).clamp_(0, 255).to(torch.uint8)


def _ranks(labels: Tensor) -> Tensor:
    """Each image's number within its class, (n,)."""
    order = torch.argsort(labels, stable=True)
    counts = labels.bincount()
    ranks = torch.empty_like(labels)
    ranks[order] = torch.arange(len(labels)) - (counts.cumsum(0) - counts)[labels[order]]
    return ranks
