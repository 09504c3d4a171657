"""The descent on CSD over a whole set at once (Ren et al., ICLR 2023); see `discriminant`."""

from __future__ import annotations

import torch
from torch import Tensor

from ue_cli.methods.discriminant import Gradient, Summary, blocks, equal, spread, too_few
from ue_cli.types import OnStep


def descend(
    delta: Tensor,
    *,
    radius: float,
    step: float,
    steps: int,
    gradient: Gradient = "paper",
    fixed: Summary | None = None,
    on_step: OnStep | None = None,
) -> None:
    """Signed-gradient steps on CSD over *all* samples at once, in place.

    Centroids are the whole set's, and exact: batches that start apart do not agree on theirs, and
    the effect vanishes. The gradient is the closed form (with u the unit vectors δ − c):
    n_k ∂CSD/∂δ_i = ∂CSD/∂σ_k (u_i − ū_k) + ∂CSD/∂c_k. Two passes over δ per step.

    Args:
        delta: (classes, per_class, d) in units of full scale; start it at random, as CSD has
            gradient 0 at δ = 0.
        radius: of the L∞ ball, same units.
        step: size of a step, same units.
        steps: how many.
        gradient: see `Gradient`.
        fixed: classes that are already there and do not move.
        on_step: called after each step with the CSD *before* it.

    Raises:
        UeError: fewer than two classes, the fixed ones included.
    """
    m, tiny = len(delta), torch.finfo(delta.dtype).tiny
    total = m + (0 if fixed is None else len(fixed.centroids))
    if total < 2:
        raise too_few(total)
    centroids = delta.mean(1)
    for done in range(steps):
        spreads, units, lengths = spread(delta, centroids, equal(delta))
        summary = Summary(centroids, spreads)
        every = summary if fixed is None else summary.joined(fixed)
        along, towards = every.pull(gradient)
        following = torch.zeros_like(centroids)
        if gradient == "paper":
            # The gradient times n_k |δ_i − c_k| / along_k > 0, which leaves its sign alone:
            # (δ_i − c_k) + |δ_i − c_k| · drift_k.
            drift = towards[:m] / along[:m, None] - units
            # A sample on its centroid has no direction of its own, but still drifts.
            lengths.clamp_min_(tiny)
            for a, p in blocks(delta):
                block = delta[a, p]
                away = block - centroids[a, None]
                away.addcmul_(lengths[a, p, None], drift[a, None]).sign_()
                block.sub_(away, alpha=step).clamp_(-radius, radius)
                following[a] += block.sum(1)
        else:
            move = step * towards[:m].sign()
            for a, p in blocks(delta):
                block = delta[a, p].sub_(move[a, None]).clamp_(-radius, radius)
                following[a] += block.sum(1)
        centroids = following / delta.shape[1]
        if on_step is not None:
            on_step(done + 1, steps, every.value(gradient))
