"""The victims' networks, with first weights from a seed alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.errors import UeError
from ue_cli.training.architectures import VictimName, patch_side

CIFAR_SIZE = 64
"""Largest side, in pixels, at which networks for photographs get the stem of those for CIFAR."""


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
    """ResNet-18 (He et al., CVPR 2016); arguments as in `NETS`."""
    return _resnet("resnet18", classes, size, seed)


def resnet50(classes: int, *, size: int, seed: int) -> nn.Module:
    """ResNet-50 (He et al., CVPR 2016; stride in the 3×3 convolution); arguments as in `NETS`."""
    return _resnet("resnet50", classes, size, seed)


def densenet121(classes: int, *, size: int, seed: int) -> nn.Module:
    """DenseNet-121 (Huang et al., CVPR 2017); arguments as in `NETS`."""
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = models.densenet121(num_classes=classes)
        if size <= CIFAR_SIZE:
            features = net.get_submodule("features")
            features.conv0 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            features.pool0 = nn.Identity()
    return net


def vit_tiny(classes: int, *, size: int, seed: int) -> nn.Module:
    """ViT-Tiny: 12 layers of 192 channels and 3 heads (DeiT-Ti, Touvron et al., ICML 2021).

    It reads out a class token instead of pooling, and takes images of exactly ``size``; arguments
    as in `NETS`. Patches: `architectures.patch_side`.

    Raises:
        UeError: ``victim-size``: ``size`` is no multiple of the patch.
    """
    from torchvision import models

    patch = patch_side(size)
    if size < patch or size % patch:
        raise UeError(
            "victim-size",
            f"ViT-Tiny cuts images of {size} pixels into patches of {patch}: the side must be a "
            "multiple of that.",
            f"Use {max(patch, patch * (size // patch))} or {patch * (size // patch + 1)} pixels.",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.VisionTransformer(  # type: ignore[no-any-return]
            image_size=size,
            patch_size=patch,
            num_layers=12,
            num_heads=3,
            hidden_dim=192,
            mlp_dim=768,
            num_classes=classes,
        )


NETS: dict[VictimName, Callable[..., nn.Module]] = {
    "resnet18": resnet18,
    "resnet50": resnet50,
    "densenet121": densenet121,
    "vit-tiny": vit_tiny,
}
"""torchvision's networks: ``(classes, *, size, seed)``, for images of ``size`` × ``size`` pixels.

First weights depend on ``seed`` alone and nothing global is seeded. Up to 64 pixels convolutional
ones get the stem that is usual for CIFAR: a 3×3 convolution of stride 1 and no pooling."""


def _resnet(name: str, classes: int, size: int, seed: int) -> nn.Module:
    from torchvision import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: nn.Module = models.get_model(name, weights=None, num_classes=classes)
        if size <= CIFAR_SIZE:
            net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
            net.maxpool = nn.Identity()
    return net
