"""From image files to arrays, and from perturbations to protected images."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from effect import load, protected
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

SIDE = 32


def read(
    folder: Path, classes: Sequence[str], count: int, side: int = SIDE
) -> tuple[Tensor, Tensor]:
    """The first files of every class folder: (n, 3, side, side) uint8 and (n,) labels."""
    files = [(path, name) for name in classes for path in sorted((folder / name).iterdir())[:count]]
    return load(files, list(classes), side)


def with_cells(images: Tensor, labels: Tensor, cells: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Every image with its class's cells (classes, 3, c, c) in levels, stretched and clipped."""
    wide = nn.functional.interpolate(
        torch.from_numpy(cells.astype(np.float32)), size=SIDE, mode="nearest-exact"
    )
    delta = wide.to(torch.int16)[labels]
    return (images + delta).clamp(0, 255).to(torch.uint8).numpy()


def by_the_tool(
    images: Tensor, labels: Tensor, classes: Sequence[str], work: Path
) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The images as PNG files, protected by `ue protect` under a new random key.

    Args:
        images: (n, 3, 32, 32) uint8.
        labels: (n,).
        classes: their names.
        work: a folder that is made and removed.

    Returns:
        The protected images in the order of ``images``, and what the tool measured.
    """
    shutil.rmtree(work, ignore_errors=True)
    source = work / "photos"
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = source / classes[int(label)] / f"{index:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    out, made = protected(source, work / "made", "csd", None, 0)
    files = sorted(out.rglob("*.png"), key=lambda path: path.name)
    found, _ = load([(path, path.parent.name) for path in files], list(classes), SIDE)
    shutil.rmtree(work)
    return found.numpy(), made
