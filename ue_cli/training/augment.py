"""Geometric augmentation of whole batches, as two small matrix products per image.

Cropping, scaling, shifting, mirroring and padding are all linear and separable, so that one batch
is ``rows @ image @ columnsᵀ`` with one pair of resampling matrices per image. The triangle filter
widens when it shrinks, as in Pillow and torchvision with antialiasing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe

MEAN, SPREAD = 118.0, 64.0
"""Networks see (x − MEAN)/SPREAD of pixels in 0..255."""


def resample_matrix(start: Tensor, length: Tensor, flip: Tensor, size: int, out: int) -> Tensor:
    """Antialiased bilinear weights that read a crop of one axis.

    Args:
        start: first edge of the crop in pixels, (n,).
        length: extent of the crop in pixels, (n,).
        flip: 1 where the axis is mirrored, else 0, (n,).
        size: pixels along the axis before.
        out: pixels along the axis after.

    Returns:
        (n, out, size); each row sums to 1, also where the crop touches the border.
    """
    scale = (length / out)[:, None, None]
    target = torch.arange(out, device=start.device, dtype=torch.float32) + 0.5
    target = torch.where(flip[:, None] > 0, out - target, target)
    centre = start[:, None, None] + target[:, :, None] * scale
    source = torch.arange(size, device=start.device, dtype=torch.float32) + 0.5
    weights = (1 - (source - centre).abs() / scale.clamp(min=1)).clamp_(min=0)
    return weights / weights.sum(dim=2, keepdim=True)


def shift_matrix(shift: Tensor, flip: Tensor, size: int) -> Tensor:
    """Weights that mirror and then move an axis by whole pixels; what comes in is zero.

    Args:
        shift: whole pixels, (n,).
        flip: 1 where the axis is mirrored, else 0, (n,).
        size: pixels along the axis.

    Returns:
        (n, size, size) of zeros and ones.
    """
    target = torch.arange(size, device=shift.device)
    wanted = target + shift[:, None]
    wanted = torch.where(flip[:, None] > 0, size - 1 - wanted, wanted)
    return (wanted[:, :, None] == target).to(torch.float32)


def apply_matrices(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``rows @ images @ columnsᵀ`` in normalised units.

    Args:
        images: (n, 3, h, w) uint8, or float in 0..255.
        rows: (n, out_h, h).
        columns: (n, out_w, w).

    Returns:
        (n, 3, out_h, out_w) float32, channels last in memory, about −2 to 2.
    """
    return normalised(resampled(images, rows, columns))


def resampled(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """As `apply_matrices`, but still in 0..255."""
    out: Tensor = rows[:, None] @ images.to(rows.dtype) @ columns[:, None].mT
    return out


def normalised(images: Tensor) -> Tensor:
    """What a network sees of pixels in 0..255, channels last in memory."""
    return ((images - MEAN) / SPREAD).contiguous(memory_format=torch.channels_last)


def random_resized_crop(
    images: Tensor, size: int, min_scale: float, generator: torch.Generator
) -> Tensor:
    """RandomResizedCrop and horizontal flip, another draw per image.

    Area uniform in [min_scale, 1], aspect log-uniform in [3/4, 4/3], as torchvision draws them;
    boxes are real-valued and clamped to the frame instead of drawn again.

    Args:
        images: (n, 3, h, w) uint8.
        size: side of the result.
        min_scale: smallest share of the area.
        generator: on the CPU; the draws do not depend on the device of ``images``.

    Returns:
        (n, 3, size, size) float32, normalised.
    """
    u = torch.rand(5, len(images), generator=generator).to(images.device)
    rows, columns = crop_matrices(u, images.shape[2], images.shape[3], size, min_scale)
    return apply_matrices(images, rows, columns)


def crop_matrices(
    u: Tensor, height: int, width: int, size: int, min_scale: float
) -> tuple[Tensor, Tensor]:
    """The matrices of `random_resized_crop`.

    Args:
        u: (5, n) uniform in [0, 1): area, aspect, place from the top and from the left, flip.
        height: of the images.
        width: of the images.
        size: side of the result.
        min_scale: smallest share of the area.

    Returns:
        (n, size, height) for rows and (n, size, width) for columns.
    """
    area = height * width * (min_scale + (1 - min_scale) * u[0])
    aspect = torch.exp((2 * u[1] - 1) * math.log(4 / 3))
    tall = (area / aspect).sqrt().clamp(max=height)
    wide = (area * aspect).sqrt().clamp(max=width)
    flip = (u[4] < 0.5).float()
    rows = resample_matrix(u[2] * (height - tall), tall, torch.zeros_like(flip), height, size)
    columns = resample_matrix(u[3] * (width - wide), wide, flip, width, size)
    return rows, columns


def random_shift(images: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """RandomCrop with ``reach`` pixels of black padding, and horizontal flip.

    Args:
        images: (n, 3, h, w) uint8.
        reach: largest shift in pixels.
        generator: on the CPU.

    Returns:
        (n, 3, h, w) float32, normalised.
    """
    count, _, height, width = images.shape
    shifts = torch.randint(-reach, reach + 1, (2, count), generator=generator).to(images.device)
    flip = (torch.rand(count, generator=generator) < 0.5).float().to(images.device)
    rows = shift_matrix(shifts[0], torch.zeros_like(flip), height)
    return apply_matrices(images, rows, shift_matrix(shifts[1], flip, width))


def whole(images: Tensor, size: int) -> Tensor:
    """The whole frame at ``size``, antialiased: what a victim sees at test time.

    Args:
        images: (n, 3, h, w) uint8.
        size: side of the result.

    Returns:
        (n, 3, size, size) float32, normalised.
    """
    count, _, height, width = images.shape
    zero = torch.zeros(count, device=images.device)
    rows = resample_matrix(zero, zero + height, zero, height, size)
    return apply_matrices(images, rows, resample_matrix(zero, zero + width, zero, width, size))


def augmented(images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
    """What the network sees of (n, 3, h, w) images in 0..255 while it trains."""
    if recipe.augment == "resized-crop":
        return random_resized_crop(images, recipe.size, recipe.min_scale, generator)
    return random_shift(images, recipe.reach, generator)
