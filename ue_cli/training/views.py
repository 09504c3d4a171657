"""Two augmented views of each image: what contrastive learners compare.

RandomResizedCrop, flip, colour jitter and gray, as SimCLR (Chen et al., ICML 2020) and those after
it use them on CIFAR. All batched on the images' device, and differentiable with respect to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ue_cli.training import colours
from ue_cli.training.augment import crop_matrices, normalised, resampled
from ue_cli.training.ssl_recipes import SslRecipe

JITTERS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    colours.brightness,
    colours.contrast,
    colours.saturation,
    colours.hue,
)


@dataclass(frozen=True, slots=True)
class Draw:
    """What is random in one view of n images; on the CPU.

    Attributes:
        crop: (5, n) in [0, 1), of `augment.crop_matrices`.
        strengths: (4, n) of `JITTERS`: three factors, and a share of the hue's circle.
        jittered: (n,) bool: whose colours change.
        gray: (n,) bool: whose colours go.
        order: of `JITTERS`. One for the batch, where torchvision draws one per image.
    """

    crop: Tensor
    strengths: Tensor
    jittered: Tensor
    gray: Tensor
    order: tuple[int, ...]


def views(
    images: Tensor, recipe: SslRecipe, generator: torch.Generator, *, per_batch: bool = False
) -> tuple[Tensor, Tensor]:
    """Two views of each image, drawn independently.

    Args:
        images: (n, 3, h, w) in 0..255, uint8 or floating point.
        recipe: of the crops and the colours.
        generator: on the CPU; the draws do not depend on the images' device.
        per_batch: all images get the same first view's draw, and the same second one's: what
            torchvision does to a batch, and TUE's released code in its steps on δ.

    Returns:
        Twice (n, 3, size, size) float32, normalised as victims see images.
    """
    first, second = (draw_view(len(images), recipe, generator, per_batch) for _ in range(2))
    return apply_view(images, first, recipe), apply_view(images, second, recipe)


def draw_view(
    count: int, recipe: SslRecipe, generator: torch.Generator, per_batch: bool = False
) -> Draw:
    """The random numbers of one view of ``count`` images; arguments as in `views`."""
    u = torch.rand(11, 1 if per_batch else count, generator=generator).expand(-1, count)
    reach = torch.tensor(recipe.jitter)[:, None]
    middle = torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None]
    order = torch.randperm(len(JITTERS), generator=generator)
    return Draw(
        crop=u[:5],
        strengths=(middle + (2 * u[5:9] - 1) * reach),
        jittered=u[9] < recipe.jittered,
        gray=u[10] < recipe.gray,
        order=tuple(order.tolist()),
    )


def apply_view(images: Tensor, draw: Draw, recipe: SslRecipe) -> Tensor:
    """The view of (n, 3, h, w) images that was drawn, (n, 3, size, size) normalised."""
    _, _, height, width = images.shape
    crop = draw.crop.to(images.device)
    rows, columns = crop_matrices(crop, height, width, recipe.size, recipe.min_scale)
    out = resampled(images, rows, columns)
    chosen = draw.jittered.nonzero()[:, 0]
    if len(chosen):
        which, strengths = chosen.to(images.device), draw.strengths[:, chosen].to(images.device)
        changed = out.index_select(0, which)
        for each in draw.order:
            changed = JITTERS[each](changed, strengths[each])
        out.index_copy_(0, which, changed)
    gray = draw.gray.nonzero()[:, 0].to(images.device)
    out.index_copy_(0, gray, colours.luma(out.index_select(0, gray)).expand(-1, 3, -1, -1))
    return normalised(out)
