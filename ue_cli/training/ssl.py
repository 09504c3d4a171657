"""One trainer without labels: uint8 in memory, batched augmentation, no DataLoader."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ue_cli.errors import ExitCode, UeError
from ue_cli.training.augment import whole
from ue_cli.training.contrastive import Contrast, build_contrast
from ue_cli.training.ssl_recipes import SslRecipe
from ue_cli.training.views import views

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class SslResult:
    """What one training gave.

    Attributes:
        state: final weights and statistics of a `Contrast`, on the CPU.
        losses: mean of each epoch.
        seconds: of training.
    """

    state: dict[str, Tensor] = field(repr=False, compare=False)
    losses: tuple[float, ...]
    seconds: float


def ssl_optimiser(net: Contrast, recipe: SslRecipe) -> torch.optim.Optimizer:
    """The recipe's, for the parameters that learn by a gradient."""
    learned = [weight for weight in net.parameters() if weight.requires_grad]
    if recipe.optimiser == "adam":
        return torch.optim.Adam(learned, lr=recipe.lr, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        learned, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )


def learn(net: Contrast, optimiser: torch.optim.Optimizer, first: Tensor, second: Tensor) -> Tensor:
    """One step on two views, with all that follows it.

    Args:
        net: in train mode.
        optimiser: `ssl_optimiser`.
        first: (n, 3, size, size) normalised.
        second: another view of the same images.

    Returns:
        The loss before the step, without gradient.
    """
    optimiser.zero_grad(set_to_none=True)
    loss, keys = net.compare(first, second)
    torch.autograd.backward(loss)
    optimiser.step()
    net.stepped(keys)
    return loss.detach()


def train_ssl(
    images: Tensor,
    recipe: SslRecipe,
    *,
    seed: int,
    device: str = "cpu",
    on_epoch: Callable[[int, float], None] | None = None,
    look: Callable[[int, Contrast], None] | None = None,
) -> SslResult:
    """Train an encoder on ``images`` without labels.

    Args:
        images: (n, 3, h, w) in 0..255, uint8 or floating point.
        recipe: the hyperparameters.
        seed: decides the weights, the order and the views; nothing global is seeded.
        device: ``cpu``, ``cuda`` or ``mps``.
        on_epoch: called with the epoch from 1 and its mean loss.
        look: called before that with the epoch and the network, which it may put into eval mode
            and must leave as it is otherwise.

    Returns:
        The weights and the losses.

    Raises:
        UeError: ``ssl-diverged``: the loss of an epoch is not finite.
    """
    began = time.perf_counter()
    images = images.to(device)
    net = build_contrast(recipe, seed=seed).to(device).to(memory_format=torch.channels_last)
    net.train()
    optimiser = ssl_optimiser(net, recipe)
    generator = torch.Generator().manual_seed(seed)
    batch = min(recipe.batch, len(images))
    per_epoch = len(images) // batch
    losses: list[float] = []
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(images), generator=generator).to(device)
        total = torch.zeros((), device=device)
        for step, chosen in enumerate(torch.split(order[: per_epoch * batch], batch)):
            share = (epoch - 1 + step / per_epoch) / recipe.epochs
            for group in optimiser.param_groups:
                group["lr"] = recipe.lr * _decay(share, recipe)
            total += learn(net, optimiser, *views(images[chosen], recipe, generator))
        losses.append(float(total) / per_epoch)
        if not math.isfinite(losses[-1]):
            # What nothing was learned from would pass for protected.
            raise UeError(
                "ssl-diverged",
                f"A training without labels ({recipe.ssl}, seed {seed}) should have a finite loss, "
                f"but has {losses[-1]} in epoch {epoch}.",
                "Take another seed or another learner.",
                exit_code=ExitCode.BUG,
            )
        if look is not None:
            look(epoch, net)
            net.train()
        if on_epoch is not None:
            on_epoch(epoch, losses[-1])
    state = {name: value.detach().cpu() for name, value in net.state_dict().items()}
    return SslResult(state, tuple(losses), time.perf_counter() - began)


@torch.inference_mode()
def encoded(net: Contrast, images: Tensor) -> Tensor:
    """Features of the whole frames of (n, 3, h, w) images, (n, width) on their device.

    The network is left in eval mode.
    """
    net.eval()
    size = net.recipe.size
    return torch.cat([net.encode(whole(chunk, size)) for chunk in torch.split(images, _CHUNK)])


def _decay(share: float, recipe: SslRecipe) -> float:
    """What is left of the learning rate when ``share`` of the steps are done."""
    return 1.0 if recipe.schedule == "constant" else 0.5 + 0.5 * math.cos(math.pi * share)
