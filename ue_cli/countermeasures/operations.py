"""Image operations with another strength for each image of a batch.

torchvision's functions take one strength for all. Images are (n, 3, h, w) float in 0..255 and
strengths (n,) on their device; results are new tensors. Definitions are torchvision's, which the
tests compare with; what needs no strength is torchvision's own. Those on colours are
`training.colours`, which contrastive learning has, too.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as vision

from ue_cli.training.colours import blend


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Away from (above 1) or towards a smoothed image; the outermost pixels stay."""
    if min(images.shape[2:]) < 3:
        return images.clone()
    kernel = torch.full((3, 1, 3, 3), 1 / 13, device=images.device)
    kernel[:, :, 1, 1] = 5 / 13
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = functional.conv2d(images, kernel, groups=3)
    return blend(images, smooth, factor)


def posterise(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the upper ``bits`` of each value, cutting off the rest."""
    step = (2.0 ** (8 - bits))[:, None, None, None]
    return (images / step).floor() * step


def solarise(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least ``threshold``."""
    return torch.where(images >= threshold[:, None, None, None], 255 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel of each image to the whole range."""
    stretched: Tensor = vision.autocontrast(images / 255)
    return stretched * 255


def equalise(images: Tensor) -> Tensor:
    """Flatten each channel's histogram."""
    flat: Tensor = vision.equalize(images.round().to(torch.uint8))
    return flat.float()


def shear(images: Tensor, along_x: Tensor, along_y: Tensor) -> Tensor:
    """Move rows left by ``along_x`` per pixel below the top; columns up likewise."""
    height, width = images.shape[2:]
    unit = torch.ones_like(along_x)
    across, down = along_x * height / width, along_y * width / height
    return warp(images, (unit, across, across), (down, unit, down))


def translate(images: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Move right and down by pixels."""
    height, width = images.shape[2:]
    zero, unit = torch.zeros_like(across), torch.ones_like(across)
    return warp(images, (unit, zero, -2 * across / width), (zero, unit, -2 * down / height))


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Turn around the centre, counter-clockwise."""
    height, width = images.shape[2:]
    cosine, sine = torch.deg2rad(degrees).cos(), torch.deg2rad(degrees).sin()
    zero = torch.zeros_like(degrees)
    row = (cosine, -sine * height / width, zero)
    return warp(images, row, (sine * width / height, cosine, zero))


Row = tuple[Tensor, Tensor, Tensor]


def warp(images: Tensor, across: Row, down: Row) -> Tensor:
    """Read each pixel from where an affine map puts it: the nearest one, black outside.

    Args:
        images: (n, 3, h, w).
        across: the map's first row, in coordinates from −1 to 1 over the image, each (n,).
        down: its second row.
    """
    maps = torch.stack([torch.stack(across, dim=1), torch.stack(down, dim=1)], dim=1)
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", align_corners=False)
