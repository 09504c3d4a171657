"""Training under weight noise: what makes a surrogate flat around its weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ue_cli.training.scales import weight_scales
from ue_cli.types import Scaling

CLIP = 5.0
"""Largest norm of a gradient that was summed over noisy weights (Wang et al., NDSS 2025)."""

FITTED = 0.5
"""Accuracy on the training files from which on weight noise helps instead of drowning them."""


class WeightNoise:
    """Gaussian noise on every named parameter of one network, from a generator of its own.

    Args:
        net: on its device; changed only inside `applied`.
        scaling: in units of 1, or of the weights as they are at each draw (`weight_scales`).
        seed: of the draws.

    Attributes:
        generator: of the draws.
    """

    def __init__(self, net: nn.Module, scaling: Scaling, *, seed: int) -> None:
        self._net = net
        self._scaling = scaling
        self._weights: list[Tensor] = list(net.parameters())
        device = self._weights[0].device
        self.generator = torch.Generator(device).manual_seed(seed)

    @contextmanager
    def applied(self, level: float) -> Iterator[None]:
        """Inside, the weights are θ + level·D·N(0, I); afterwards they are exactly θ again.

        The clean weights are copied back: subtracting what was added would leave rounding errors.
        Gradients that are taken inside stay. Level 0 draws nothing.
        """
        if level == 0:
            yield
            return
        with torch.no_grad():
            clean = [weight.clone() for weight in self._weights]
            sizes = [weight.numel() for weight in self._weights]
            flat = torch.randn(
                sum(sizes), generator=self.generator, device=self.generator.device
            ).mul_(level)
            noise = [
                z.view(w.shape)
                for z, w in zip(torch.split(flat, sizes), self._weights, strict=True)
            ]
            if self._scaling != "absolute":
                torch._foreach_mul_(noise, list(weight_scales(self._net, self._scaling).values()))
            torch._foreach_add_(self._weights, noise)
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, clean)


def sum_over_noise(
    loss: Callable[[], Tensor],
    backward: Callable[[Tensor], None],
    noise: WeightNoise,
    level: float,
    draws: int,
) -> None:
    """Call ``backward`` on the loss under each of ``draws`` noisy copies of the weights.

    Without noise all draws are the same one, which then counts ``draws`` times.

    Args:
        loss: of the network as it stands.
        backward: accumulates the gradient of what it is given.
        noise: of that network.
        level: standard deviation, in the noise's units.
        draws: how many.
    """
    passes, weight = (1, draws) if level == 0 else (draws, 1)
    for _ in range(passes):
        with noise.applied(level):
            backward(loss() * weight)


def robust_step(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Callable[[], Tensor],
    noise: WeightNoise,
    levels: Sequence[float],
    draws: int,
) -> None:
    """PUE's training step on one batch: one step of the clean weights per noise level in turn.

    At each level the gradients over ``draws`` noisy copies are summed, each loss scaled by
    1/(levels·draws), and the sum is clipped at ``CLIP`` (Wang et al., NDSS 2025).

    Args:
        net: in train mode.
        optimiser: of its parameters.
        loss: of the network as it stands, on the batch.
        noise: of the network.
        levels: standard deviations, in order; 0 among them as a rule.
        draws: noisy copies per level.
    """
    share = 1 / (len(levels) * draws)
    for level in levels:
        optimiser.zero_grad(set_to_none=True)
        sum_over_noise(loss, lambda value: _backward(value * share), noise, level, draws)
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimiser.step()


class Curriculum:
    """Weight noise for an ordinary training: one draw per step, at a level that grows.

    PUE's robust phase at the price of a plain one. Nothing is added until the network gets more
    than half of its batches right; from then on the largest level rises linearly to ``peak``
    over a quarter of the training, and each step draws its own level below it.

    Args:
        net: on its device.
        peak: the largest standard deviation, in the units of ``scaling``.
        scaling: see `WeightNoise`.
        steps: of the whole training.
        seed: of the levels and the noise.
    """

    def __init__(
        self, net: nn.Module, peak: float, scaling: Scaling, *, steps: int, seed: int
    ) -> None:
        self._net = net
        self._noise = WeightNoise(net, scaling, seed=seed)
        self._draw = torch.Generator().manual_seed(seed)
        self._peak = peak
        self._rise = peak / max(1, steps // 4)
        self._reach = 0.0
        self._fit = 0.0

    @contextmanager
    def step(self) -> Iterator[None]:
        """Inside, the weights are noisy: for one forward and backward pass.

        Afterwards the gradient is clipped, as in PUE's robust step.
        """
        share = float(torch.rand((), generator=self._draw))
        with self._noise.applied(share * self._reach):
            yield
        torch.nn.utils.clip_grad_norm_(self._net.parameters(), CLIP)

    def saw(self, accuracy: float) -> None:
        """Take in the share of a batch that the network got right."""
        self._fit += 0.05 * (accuracy - self._fit)
        if self._reach or self._fit > FITTED:
            self._reach = min(self._peak, self._reach + self._rise)


def _backward(value: Tensor) -> None:
    torch.autograd.backward(value)
