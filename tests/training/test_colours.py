"""The hue's derivative; what the operations do is compared with torchvision's elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import functional as vision

from ue_cli.training import colours


def coloured(*shape: int, seed: int = 0) -> Tensor:
    return 255 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_hues_derivative_is_that_of_torchvisions_operation() -> None:
    images = coloured(40, 3, 6, 6).requires_grad_()
    turns = torch.linspace(-0.5, 0.5, 40)
    weights = coloured(40, 3, 6, 6, seed=1)
    (found,) = torch.autograd.grad(colours.hue(images, turns), images, weights)
    turned = [
        vision.adjust_hue(image / 255, float(turn)) * 255
        for image, turn in zip(images, turns, strict=True)
    ]
    (expected,) = torch.autograd.grad(torch.stack(turned), images, weights)
    # At the corners, which a rounding error decides about, there is no derivative.
    apart = (found - expected).abs().amax(dim=1) > 0.05 + 0.01 * expected.abs().amax(dim=1)
    assert float(apart.float().mean()) < 0.005


def test_turning_the_hue_of_gray_keeps_gray_and_its_derivative_finite() -> None:
    images = coloured(2, 1, 4, 4).expand(-1, 3, -1, -1).clone().requires_grad_()
    turned = colours.hue(images, torch.tensor([0.3, -0.2]))
    torch.testing.assert_close(turned, images)
    (slope,) = torch.autograd.grad(turned.sum(), images)
    torch.testing.assert_close(slope.sum(dim=1), torch.full((2, 4, 4), 3.0))
