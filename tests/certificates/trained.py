"""A network that tells three colours apart, and networks of many shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.training.augment import whole
from ue_cli.training.nets import SmallResNet, resnet18, small_resnet

SIZE = 12
COLOURS = torch.tensor([[150, 100, 100], [100, 150, 100], [100, 100, 150]])


def colours(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """(n, 3, 12, 12) float32 as a victim sees it, and the colour of each."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(COLOURS)
    noise = torch.randint(-90, 91, (count, 3, SIZE, SIZE), generator=generator)
    images = (COLOURS[labels][:, :, None, None] + noise).clamp(0, 255).to(torch.uint8)
    return whole(images, SIZE), labels


def trained_net(widths: Sequence[int] = (8, 16)) -> SmallResNet:
    """Right about nearly every image; in eval mode, with statistics of its own."""
    net = small_resnet(len(COLOURS), widths, seed=0)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    images, labels = colours(96, seed=1)
    for _ in range(40):
        loss = functional.cross_entropy(net(images), labels)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    return net.eval()


class Branching(nn.Module):
    """Computes what it wraps, in a way that cannot be traced."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.net(x) if float(x.sum()) > -1e9 else x
        return out


class Twice(nn.Module):
    """One convolution is used twice, one has a bias, one BatchNorm no affine map."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.BatchNorm2d(6, affine=False))
        self.shared = nn.Conv2d(6, 6, 3, 1, 1, groups=2, bias=False)
        self.last = nn.Sequential(nn.Conv2d(6, 8, 3, 2, "valid"), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = functional.relu(self.shared(functional.relu(self.shared(x))) + x)
        out: Tensor = self.head(self.last(x).amax((2, 3)))
        return out


class NormFirst(nn.Module):
    """A BatchNorm that follows no convolution: it cannot be folded into one."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(functional.relu(self.norm(x))).mean((2, 3))
        return out


class NormTwice(nn.Module):
    """One convolution's output is normalised and used as it is, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out: Tensor = (self.norm(y) + y).mean((2, 3))
        return out


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "small": lambda: small_resnet(3, (4, 8), seed=0),
    "strided": lambda: small_resnet(3, (4, 8), blocks=2, stem_stride=2, seed=0),
    "resnet18": lambda: resnet18(3, size=SIZE, seed=0),
    "twice": Twice,
    "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 3)),
    "branching": lambda: Branching(small_resnet(3, (4, 8), seed=0)),
    "norm first": NormFirst,
    "norm twice": NormTwice,
}


@functools.cache
def used_net(name: str) -> nn.Module:
    """A network of `BUILDERS` whose BatchNorm has seen some images; in eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = BUILDERS[name]()
    for seed in range(3):
        net.train()(colours(24, seed=seed)[0])
    return net.eval()
