"""RandAugment, and the operations that it and TrivialAugment choose from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ue_cli.countermeasures import operations
from ue_cli.training import colours
from ue_cli.training.hooks import Plain

if TYPE_CHECKING:
    from ue_cli.training.supervised import VictimRecipe


@dataclass(frozen=True, slots=True)
class Space:
    """How far the operations go at full strength.

    Attributes:
        shear: pixels per pixel.
        share: of the side that an image is moved by.
        pixels: moved in addition.
        degrees: of rotation.
        enhance: away from 1, of the factors of brightness, saturation, contrast and sharpness.
        bits: that posterising takes away.
    """

    shear: float
    share: float
    pixels: float
    degrees: float
    enhance: float
    bits: int


RAND_AUGMENT = Space(0.3, 150 / 331, 0, 30, 0.9, 4)
TRIVIAL_AUGMENT_WIDE = Space(0.99, 0, 32, 135, 0.99, 6)
"""Both with torchvision's figures."""


class RandAugment(Plain):
    """Two random operations per image at a fixed strength (Cubuk et al., 2020).

    torchvision's draws two per batch; here every image has its own.

    Args:
        operations: in turn.
        strength: share of the operations' reach; torchvision's default is 9 of 30.
    """

    def __init__(self, *, operations: int = 2, strength: float = 0.3) -> None:
        self._operations = operations
        self._strength = strength

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        """The operations, then the recipe's augmentation."""
        out = images.float()
        for _ in range(self._operations):
            strength = torch.full((len(out),), self._strength)
            out = random_operation(out, RAND_AUGMENT, strength, generator)
        return super().augment(out, recipe, generator)


def random_operation(
    images: Tensor, space: Space, strength: Tensor, generator: torch.Generator
) -> Tensor:
    """One operation per image, drawn uniformly, with a random sign where it has one.

    Args:
        images: (n, 3, h, w) float in 0..255.
        space: how far they go.
        strength: (n,) in [0, 1], on the CPU.
        generator: on the CPU.
    """
    kinds = torch.randint(len(_OPERATIONS) + 1, (len(images),), generator=generator)
    signs = torch.where(torch.rand(len(images), generator=generator) < 0.5, -1.0, 1.0)
    out = images.clone()  # the kind after the last leaves an image as it is
    for kind, operation in enumerate(_OPERATIONS):
        chosen = (kinds == kind).nonzero()[:, 0]
        if len(chosen):
            positions = chosen.to(images.device)
            t, s = strength[chosen].to(images.device), signs[chosen].to(images.device)
            out[positions] = operation(images[positions], t, s, space)
    return out


_Operation = Callable[[Tensor, Tensor, Tensor, Space], Tensor]

_OPERATIONS: tuple[_Operation, ...] = (
    lambda x, t, s, space: operations.shear(x, s * t * space.shear, 0 * t),
    lambda x, t, s, space: operations.shear(x, 0 * t, s * t * space.shear),
    lambda x, t, s, space: operations.translate(x, s * _moved(t, space, x.shape[3]), 0 * t),
    lambda x, t, s, space: operations.translate(x, 0 * t, s * _moved(t, space, x.shape[2])),
    lambda x, t, s, space: operations.rotate(x, s * t * space.degrees),
    lambda x, t, s, space: colours.brightness(x, 1 + s * t * space.enhance),
    lambda x, t, s, space: colours.saturation(x, 1 + s * t * space.enhance),
    lambda x, t, s, space: colours.contrast(x, 1 + s * t * space.enhance),
    lambda x, t, s, space: operations.sharpness(x, 1 + s * t * space.enhance),
    lambda x, t, s, space: operations.posterise(x, 8 - (t * space.bits).round()),
    lambda x, t, s, space: operations.solarise(x, 255 * (1 - t)),
    lambda x, t, s, space: operations.autocontrast(x),
    lambda x, t, s, space: operations.equalise(x),
)


def _moved(strength: Tensor, space: Space, side: int) -> Tensor:
    """Whole pixels."""
    return (strength * (space.share * side + space.pixels)).floor()
