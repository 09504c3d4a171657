"""What an adversary does to every image in the same way, training files and test images alike.

None of these draws anything, so that whoever trains on filtered files can also show the finished
network filtered images: then nothing changes between training and use.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import gaussian_blur

from ue_cli.training.colours import luma
from ue_cli.training.hooks import Knowledge, Plain

_CHUNK = 1000
"""Images at a time: what is floating point in between takes sixteen times the bytes."""


class Filter(Plain):
    """One operation on the files before training, and on the test images."""

    @abstractmethod
    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → the same shape, uint8."""

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        """Every training file, filtered."""
        return self.test(images)

    def test(self, images: Tensor) -> Tensor:
        """Every image, filtered."""
        return torch.cat([self.apply(chunk) for chunk in torch.split(images, _CHUNK)])


class Grayscale(Filter):
    """Luma of ITU-R BT.601 in all three channels (Liu et al., ICML 2023)."""

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → three equal channels."""
        return to_bytes(luma(images.float())).repeat(1, 3, 1, 1)


class BitDepth(Filter):
    """Round to the nearest of 2^bits evenly spaced values, 0 and 255 among them.

    Args:
        bits: per channel. Liu et al. (ICML 2023) use 2.
    """

    def __init__(self, *, bits: int) -> None:
        self._top = 2**bits - 1

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → at most 2^bits values."""
        return to_bytes((images.float() * (self._top / 255)).round() * (255 / self._top))


class Blur(Filter):
    """A Gaussian low-pass, cut off at three standard deviations.

    Args:
        sigma: standard deviation in pixels of the training files.
    """

    def __init__(self, *, sigma: float) -> None:
        self._sigma = sigma

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → blurred; beyond the border the image is mirrored."""
        # Mirroring reaches less than one image far.
        reach = min(math.ceil(3 * self._sigma), min(images.shape[2:]) - 1)
        blurred: Tensor = gaussian_blur(images, 2 * reach + 1, self._sigma)
        return blurred


class Resize(Filter):
    """Shrink with an antialiasing filter and enlarge again, both bicubic.

    Args:
        factor: of the side.
    """

    def __init__(self, *, factor: float) -> None:
        self._factor = factor

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → of the same size, with the details of the smaller one."""
        size = list(images.shape[2:])
        small = [max(1, round(side * self._factor)) for side in size]
        shrunk = functional.interpolate(images.float(), small, mode="bicubic", antialias=True)
        stored = to_bytes(shrunk).float()
        return to_bytes(functional.interpolate(stored, size, mode="bicubic", antialias=True))


class HighPass(Filter):
    """Subtract the local mean: the adaptive answer to coarse patterns.

    Args:
        share: side of the window as a share of the image's shorter side, 3 pixels at least.
    """

    def __init__(self, *, share: float) -> None:
        self._share = share

    def apply(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) uint8 → what is left of the local mean, around 128."""
        return to_bytes(high_passed(images.float(), self._share) + 128)


def high_passed(images: Tensor, share: float) -> Tensor:
    """Images less their local means.

    Args:
        images: (n, 3, h, w) floating point.
        share: side of the square window, as a share of the shorter side.
    """
    half = max(1, round(min(images.shape[2:]) * share / 2))
    means = functional.avg_pool2d(images, 2 * half + 1, 1, half, count_include_pad=False)
    return images - means


def to_bytes(images: Tensor) -> Tensor:
    """Rounded to the nearest of the values that a pixel can have."""
    return images.round().clamp(0, 255).to(torch.uint8)
