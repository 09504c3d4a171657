"""Small images, networks and draws for the tests of countermeasures."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.training.nets import SmallResNet, small_resnet
from ue_cli.training.publicbank import PublicBank
from ue_cli.training.supervised import VictimRecipe

RECIPE = VictimRecipe(epochs=1, size=16, batch=8, widths=(8, 8))


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photos(
    count: int, classes: int = 2, height: int = 16, width: int = 16, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Smooth colours with some detail: what operations on pixels are made for."""
    coarse = torch.rand(count, 3, 4, 4, generator=draw(seed))
    smooth = functional.interpolate(coarse, size=(height, width), mode="bicubic")
    detail = 0.1 * torch.randn(count, 3, height, width, generator=draw(seed + 1))
    pixels = ((smooth + detail) * 255).clamp(0, 255).to(torch.uint8)
    return pixels, torch.arange(count) % classes


def small_net(classes: int = 2) -> SmallResNet:
    return small_resnet(classes, (8, 8), seed=0)


def as_it_is(bank: Tensor, count: int) -> PublicBank:
    """A bank of the images' own size, on as many files; gray ones would carry the same."""
    height, width = bank.shape[-2:]
    return PublicBank(
        torch.stack([bank, bank]).float(),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(1, dtype=torch.int64),
        torch.eye(height)[None],
        torch.eye(width)[None],
    )
