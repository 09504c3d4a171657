"""Residual networks whose last layers pool globally, as every current classifier does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    """Two 3×3 convolutions with a shortcut (He et al., CVPR 2016, post-activation)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(n, width_in, h, w) → (n, width_out, h/stride, w/stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return functional.relu(y + self.shortcut(x))


class SmallResNet(nn.Module):
    """A stem, then one stage per width, each after the first at half the resolution before.

    Args:
        classes: outputs.
        widths: channels of each stage.
        blocks: blocks per stage.
        stem_stride: 2 halves the resolution at once, as networks for photographs do: four times
            less work per channel.
    """

    def __init__(
        self,
        classes: int,
        widths: Sequence[int] = (16, 32, 64),
        blocks: int = 1,
        stem_stride: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, widths[0], 3, stem_stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(widths[0])
        stages: list[nn.Module] = []
        for index, (before, width) in enumerate(pairwise([widths[0], *widths])):
            stages.append(Block(before, width, 1 if index == 0 else 2))
            stages.extend(Block(width, width, 1) for _ in range(blocks - 1))
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) normalised pixels → (n, classes) logits."""
        y = self.stages(functional.relu(self.norm(self.stem(x))))
        logits: Tensor = self.head(y.mean(dim=(2, 3)))
        return logits


def small_resnet(
    classes: int,
    widths: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    stem_stride: int = 1,
    *,
    seed: int,
) -> SmallResNet:
    """A `SmallResNet` whose first weights depend on ``seed`` alone; nothing global is seeded."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SmallResNet(classes, widths, blocks, stem_stride)


def resnet18(classes: int, *, size: int, seed: int) -> nn.Module:
    """ResNet-18 (He et al., CVPR 2016) as torchvision has it; nothing global is seeded.

    Args:
        classes: outputs.
        size: side of the input. Up to 64 pixels the stem is the one that is usual for CIFAR: a
            3×3 convolution of stride 1 and no pooling.
        seed: of the first weights.
    """
    from torchvision.models import resnet18 as whole_resnet18

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = whole_resnet18(num_classes=classes)
        if size <= 64:
            net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            net.maxpool = nn.Identity()
    return net
