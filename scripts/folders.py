"""Folders of photos: read as trainers read them, and protected as `ue protect` does it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ue_cli.owner.key import OwnerKey, install_key, load_key
from ue_cli.owner.state import Collection
from ue_cli.protection.options import ProtectOptions
from ue_cli.protection.protect import protect
from ue_cli.protection.results import ProtectResult
from ue_cli.types import BudgetCertificate, FileRecord

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Quiet:
    """`Phases` that say nothing."""

    def start(self, title: str, total: int) -> None:
        """Nothing."""

    def step(self, count: int = 1) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""


def class_names(data: Path, dataset: str, most: int | None = None) -> list[str]:
    """The class folders of a data set in ``data/train``, where several lie side by side.

    Args:
        data: the folder.
        dataset: ``cifar10``, or another name for all classes but CIFAR-10's.
        most: how many, the first by name.

    Raises:
        SystemExit: there are fewer than two.
    """
    names = sorted(path.name for path in (data / "train").iterdir())
    chosen = [name for name in names if (name in CIFAR10) == (dataset == "cifar10")]
    if len(chosen) < 2:
        raise SystemExit(f"{data} should have class folders of {dataset} in train/.")
    return chosen[:most]


def first_files(folder: Path, names: Sequence[str], count: int | None) -> list[tuple[Path, str]]:
    """The first files of every class by name, and their classes; None: all of them."""
    return [(path, name) for name in names for path in sorted((folder / name).iterdir())[:count]]


def load(
    files: Sequence[tuple[Path, str]], names: Sequence[str], side: int, chain: int = 0
) -> tuple[Tensor, Tensor]:
    """Read files as a trainer does.

    Args:
        files: and their classes.
        names: of all classes.
        side: of what the trainer keeps, in pixels.
        chain: what the victim reads, where files go through `chained` first; 0: they do not.

    Returns:
        (n, 3, side, side) uint8 and (n,) int64.
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


def chained(image: Image.Image, side: int) -> Image.Image:
    """What downloaders keep of a picture: its short side 8/7 of the victim's, JPEG q95 4:2:0."""
    zoom = side * 8 / 7 / min(image.size)
    size = round(image.width * zoom), round(image.height * zoom)
    small = image.resize(size, Image.Resampling.BICUBIC)
    with io.BytesIO() as file:
        small.save(file, "JPEG", quality=95, subsampling="4:2:0")
        with Image.open(file) as opened:
            return opened.convert("RGB")


@dataclass(frozen=True, kw_only=True)
class Protected:
    """A folder that was protected, and what the tool says about it.

    Attributes:
        out: the protected copy.
        result: of the run.
        budget: what was measured on the files.
        method: how the perturbation was made, as the collection has it.
        codes: of its classes, likewise.
        records: of its files, by name.
    """

    out: Path
    result: ProtectResult
    budget: BudgetCertificate
    method: Mapping[str, Any]
    codes: Any
    records: tuple[FileRecord, ...]


def protect_folder(source: Path, work: Path, key: str | None = None, **options: Any) -> Protected:
    """Protect a folder with the real tool.

    Args:
        source: the originals.
        work: folder for ``out`` and ``home``.
        key: what the owner's key is made of, in a new ``home``; None: a random key.
        options: of `ProtectOptions`, beside the defaults.

    Raises:
        RuntimeError: nothing was measured.
        UeError: nothing could be protected.
    """
    home = work / "home"
    if key is not None:
        install_key(home, OwnerKey(sha256(key.encode()).digest()))
    asked = ProtectOptions(
        src=source, out=work / "out", home=home, **({"jobs": 1, "certify": False} | options)
    )
    result = protect(asked, Quiet())
    owner = load_key(home)
    if result.budget is None or result.fingerprint is None or owner is None:
        raise RuntimeError("protect measured nothing")
    with Collection.open(home, owner, result.fingerprint, readonly=True) as collection:
        return Protected(
            out=work / "out",
            result=result,
            budget=result.budget,
            method=collection.info.recipe,
            codes=collection.info.codes,
            records=tuple(sorted(collection.records(), key=lambda record: record.name)),
        )
