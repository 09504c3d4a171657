"""Colour operations with another strength for each image of a batch.

torchvision's functions take one strength for all; definitions are torchvision's, which the tests
compare with. Images are (n, 3, h, w) float in 0..255 and strengths (n,) on their device, or (1,)
for all. Results are new tensors, differentiable with respect to the images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as vision


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply by ``factor``."""
    return blend(images, torch.zeros_like(images), factor)


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
    value, smallest = images.amax(dim=1), images.amin(dim=1)
    chroma = value - smallest
    red, green, blue = images.unbind(dim=1)
    safe = chroma.clamp(min=1e-6)
    sector = torch.where(
        value == red,
        (green - blue) / safe,
        torch.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    offsets = torch.tensor([5.0, 3.0, 1.0], device=images.device)[:, None, None]
    k = (offsets + (sector + 6 * turns[:, None, None])[:, None]).remainder(6)
    return value[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp(0, 1)
