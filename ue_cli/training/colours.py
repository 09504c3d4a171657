"""Colour operations with another strength for each image of a batch.

torchvision's functions take one strength for all; definitions are torchvision's, which the tests
compare with. Images are (n, 3, h, w) float in 0..255 and strengths (n,) on their device, or (1,)
for all. Results are new tensors, differentiable with respect to the images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torchvision.transforms.v2 import functional as vision


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by ``factor``."""
    return (factor[:, None, None, None] * images).clamp(0, 255)


def luma(images: Tensor) -> Tensor:
    """Of ITU-R BT.601, (n, 1, h, w)."""
    gray: Tensor = vision.rgb_to_grayscale(images)
    return gray


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Away from (above 1) or towards the mean luma of each image."""
    return blend(images, luma(images).mean(dim=(1, 2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Away from (above 1) or towards gray."""
    return blend(images, luma(images), factor)


def blend(images: Tensor, others: Tensor, factor: Tensor) -> Tensor:
    """``others`` at factor 0, ``images`` at 1, beyond them above."""
    share = factor[:, None, None, None]
    return (share * images + (1 - share) * others).clamp(0, 255)


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of HSV by a share of the whole circle."""
    turned: Tensor = _Hue.apply(images, turns)
    return turned


class _Hue(torch.autograd.Function):
    """`hue`, with a derivative of its own: autograd's takes twice as long.

    Channels become V − (V − m)·F(k), V the largest and m the smallest, and k is where the channel
    lies on the circle: linear in the channels between the corners of F.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, images: Tensor, turns: Tensor) -> Tensor:
        """(n, 3, h, w) and (n,) → (n, 3, h, w)."""
        value, smallest = images.amax(dim=1), images.amin(dim=1)
        chroma = value - smallest
        # Products of numbers are many times faster than choices by masks, here and below.
        largest = _first_place(images, value)
        ahead = (largest * (images.roll(-1, dims=1) - images.roll(1, dims=1))).sum(dim=1)
        sector = ahead / chroma.clamp(min=1e-6) + 2 * largest[:, 1] + 4 * largest[:, 2]
        offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device)[:, None, None]
        k = (offsets + (sector + 6 * turns[:, None, None])[:, None]).remainder(6)
        share = torch.minimum(k, 4 - k).clamp(0, 1)
        ctx.save_for_backward(images, largest, smallest, sector, k, share)
        return value[:, None] - chroma[:, None] * share

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        """With respect to the images alone; where two channels are equal, one is the largest."""
        images, largest, smallest, sector, k, share = ctx.saved_tensors
        least = _first_place(images, smallest)
        # Between the corners of F, k moves with the sector, and F with k, up or down.
        between = share.ceil() - share.floor()
        moved = (slope * between * (2 - k).sign()).sum(dim=1)
        low = (slope * share).sum(dim=1) - moved * (sector - 2 * largest[:, 1] - 4 * largest[:, 2])
        out = largest * (slope.sum(dim=1) - low)[:, None] + least * low[:, None]
        return out + moved[:, None] * (largest.roll(-1, dims=1) - largest.roll(1, dims=1)), None


def _first_place(images: Tensor, extreme: Tensor) -> Tensor:
    """1 in the first channel that has the (n, h, w) extreme value, else 0; like ``images``."""
    red, green = (1 - (images[:, i] - extreme).sign().abs() for i in (0, 1))
    green = green * (1 - red)
    return torch.stack([red, green, 1 - red - green], dim=1)
