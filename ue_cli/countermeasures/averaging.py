"""Averaging: is the pattern of a class recoverable from the published files alone?"""

from __future__ import annotations

import torch
from torch import Tensor

from ue_cli.countermeasures.filters import high_passed, to_bytes
from ue_cli.training.hooks import Knowledge, Plain

_CHUNK = 1000


class Averaging(Plain):
    """Subtract from each file its class's mean, as far as a perturbation can reach.

    Content averages out over a class's files and a class-wise pattern does not. What all classes
    have in common is no pattern, and what lies outside the ball cannot be one: the former is taken
    off the means, and then they are clipped. Test images carry no pattern and stay as they are.

    Args:
        levels: radius of the ball that the adversary assumes.
        share: window of a high-pass that the means are taken behind, as a share of the shorter
            side; it removes most of the content, which is smooth, and all coarse patterns. None
            takes the means of the files as they are.
    """

    def __init__(self, *, levels: float, share: float | None = None) -> None:
        self._levels = levels
        self._share = share

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """The files less their classes' patterns."""
        patterns = self.estimate(images, labels)
        parts = zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True)
        return torch.cat([to_bytes(chunk.float() - patterns[classes]) for chunk, classes in parts])

    def estimate(self, images: Tensor, labels: Tensor) -> Tensor:
        """The pattern of each class, (classes, 3, h, w) in levels; zero for one without files."""
        counts = labels.bincount()
        means = torch.zeros(len(counts), *images.shape[1:], device=images.device)
        parts = zip(torch.split(images, _CHUNK), torch.split(labels, _CHUNK), strict=True)
        for chunk, classes in parts:
            pixels = chunk.float()
            means.index_add_(
                0, classes, pixels if self._share is None else high_passed(pixels, self._share)
            )
        means /= counts.clamp(min=1)[:, None, None, None]
        present = counts > 0
        means[present] -= means[present].mean(dim=0)
        return means.clamp(-self._levels, self._levels)
