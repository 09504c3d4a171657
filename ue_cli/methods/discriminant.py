"""CSD, the Classwise Separability Discriminant, and its slope (Ren et al., ICLR 2023).

    CSD = 1/M Σ_i 1/(M−1) Σ_{j≠i} (σ_i + σ_j) / d_ij          (eq. 2–4; lower: more separable)

c_k is the mean of class k's δ, σ_k the mean Euclidean distance to it, d_ij = ‖c_i − c_j‖₂.
It is 0 for *any* distinct class-wise constants, so a low CSD is no evidence of protection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.errors import UeError

Gradient = Literal["paper", "released"]
"""``released``: as the authors' code has it. The spreads are constants to the gradient, so that
centroids are only pushed apart, and 1e-5 is added to numerator and denominator."""

# The paper's quotient is 0/0 when every δ is 0. This is far below any spread or distance that
# float32 sums leave, and makes that value 1 with gradient 0, as the released code has it.
_OFFSET: dict[Gradient, float] = {"paper": 1e-12, "released": 1e-5}


def csd(delta: Tensor, labels: Tensor, *, gradient: Gradient = "paper") -> Tensor:
    """CSD of a batch, differentiable in δ.

    Args:
        delta: (n, d) perturbations in units of full scale.
        labels: (n,) integers. Classes with no sample are left out.
        gradient: see `Gradient`.

    Returns:
        A scalar.

    Raises:
        UeError: fewer than two classes have a sample.
    """
    present, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    if len(present) < 2:
        raise too_few(len(present))
    member = functional.one_hot(index, len(present)).to(delta.dtype)
    mean = (member / counts).T
    centroids = mean @ delta
    spreads = mean @ _norm(delta - member @ centroids)
    return _value(centroids, spreads.detach() if gradient == "released" else spreads, gradient)


def _value(centroids: Tensor, spreads: Tensor, gradient: Gradient) -> Tensor:
    """CSD of M centroids (M, d) and spreads (M,)."""
    offset = _OFFSET[gradient]
    i, j = _pairs(centroids)
    sums = spreads[i] + spreads[j]
    return ((sums + offset) / (torch.pdist(centroids) + offset)).mean()


def _pairs(centroids: Tensor) -> tuple[Tensor, Tensor]:
    """First and second of each pair, once, in the order of `torch.pdist`.

    That function and not a matrix product, as the cancellation in ‖a‖² + ‖b‖² − 2ab loses close
    centroids; `torch.cdist`, told so, is many times slower. Points that coincide get gradient 0.
    """
    m = len(centroids)
    i, j = torch.triu_indices(m, m, 1, device=centroids.device)
    return i, j


def _norm(rows: Tensor) -> Tensor:
    """Euclidean norm over the last axis, with gradient 0 (not NaN) at 0."""
    square = rows.square().sum(-1)
    nonzero = square > 0
    return torch.where(nonzero, torch.where(nonzero, square, 1).sqrt(), 0)


def too_few(count: int) -> UeError:
    """What is raised where CSD is undefined."""
    return UeError(
        "csd-classes",
        f"CSD compares classes: it needs samples of at least 2, got {count}.",
        "Add a second class, or protect in texture space (--space texture).",
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What CSD sees of a set of classes: centroids (M, d) and spreads (M,)."""

    centroids: Tensor
    spreads: Tensor

    def value(self, gradient: Gradient = "paper") -> float:
        """CSD. Raises UeError for fewer than two classes."""
        if len(self.centroids) < 2:
            raise too_few(len(self.centroids))
        return float(_value(self.centroids, self.spreads, gradient))

    def joined(self, other: Summary) -> Summary:
        """These classes, then the other's."""
        return Summary(
            torch.cat([self.centroids, other.centroids]), torch.cat([self.spreads, other.spreads])
        )

    def pull(self, gradient: Gradient) -> tuple[Tensor, Tensor]:
        """∂CSD/∂σ_k, (M,), and ∂CSD/∂c_k at fixed spreads, (M, d), in closed form.

        With a = 2/(M(M−1)) and w_ij = 1/d_ij: ∂/∂σ_i = a Σ_j w_ij and
        ∂/∂c_i = −a Σ_j (σ_i + σ_j) w_ij² (c_i − c_j)/d_ij.
        """
        offset, m = _OFFSET[gradient], len(self.centroids)
        i, j = _pairs(self.centroids)
        distances = self.centroids.new_zeros(m, m)
        distances[i, j] = distances[j, i] = torch.pdist(self.centroids)
        scale = 2 / (m * (m - 1))
        inverse = (1 / (distances + offset)).fill_diagonal_(0)
        unit = torch.where(distances > 0, inverse / distances.clamp_min(1e-30), 0)
        weight = scale * (self.spreads[:, None] + self.spreads + offset) * inverse * unit
        towards = weight @ self.centroids - weight.sum(1, keepdim=True) * self.centroids
        along = torch.zeros_like(self.spreads) if gradient == "released" else scale * inverse.sum(1)
        return along, towards


@dataclass(frozen=True, slots=True)
class Pull:
    """A whole set's CSD and its slope at any of its samples; see `pull_of_patterns`.

    Attributes:
        value: CSD.
        present: (M,) labels of the classes that have a sample, ascending.
        centroids: (M, d), in the set's own unit.
        along: ∂CSD/∂σ_k, (M,), per unit of full scale.
        drift: ∂CSD/∂c_k less what the spreads say of it, (M, d), the same.
    """

    value: float
    present: Tensor
    centroids: Tensor
    along: Tensor
    drift: Tensor

    def of(self, delta: Tensor, labels: Tensor) -> Tensor:
        """n_k ∂CSD/∂δ_i, with n_k the samples of its class in the whole set.

        Args:
            delta: (n, d), samples of the set, in its unit.
            labels: (n,), each of a class that has a sample.

        Returns:
            (n, d).
        """
        k = torch.searchsorted(self.present, labels)
        return self.along[k, None] * _unit(delta - self.centroids[k]) + self.drift[k]


def pull_of_patterns(
    delta: Tensor, weights: Tensor, gradient: Gradient = "paper", *, unit: float = 1.0
) -> Pull:
    """The slope in closed form: n_k ∂CSD/∂δ_i = ∂CSD/∂σ_k (u_i − ū_k) + ∂CSD/∂c_k.

    Here u_i is the unit vector from the centroid to δ_i, and ū_k their mean over the class. Two
    passes over δ, in blocks.

    Args:
        delta: (classes, per_class, d), patterns by class.
        weights: (classes, per_class), how many samples carry each; classes of none are left out.
        gradient: see `Gradient`.
        unit: of ``delta``, as a share of full scale.

    Raises:
        UeError: fewer than two classes have a sample.
    """
    counts = weights.sum(1)
    present = counts.nonzero()[:, 0]
    if len(present) < 2:
        raise too_few(len(present))
    if len(present) < len(delta):
        delta, weights, counts = delta[present], weights[present], counts[present]
    share = weights / counts[:, None]
    centroids = torch.bmm(share[:, None], delta)[:, 0]
    spreads, units, _ = spread(delta, centroids, share)
    summary = Summary(unit * centroids, unit * spreads)
    along, towards = summary.pull(gradient)
    drift = towards - along[:, None] * units
    return Pull(summary.value(gradient), present, centroids, along, drift)


def _unit(rows: Tensor) -> Tensor:
    """Rows (n, d) of length 1; those of length 0 stay so."""
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    return torch.where(length > 0, rows / length, 0)


BLOCK_VALUES = 1 << 19
"""Values handled at a time: bounds what is needed beside δ itself, and 2 MB stay near the core."""


def blocks(delta: Tensor) -> Iterator[tuple[slice, slice]]:
    """Views of a (classes, per_class, d) tensor: several classes at once, or a part of one."""
    m, per_class, d = delta.shape
    room = BLOCK_VALUES if delta.device.type == "cpu" else BLOCK_VALUES << 5
    classes = max(1, room // (per_class * d))
    samples = per_class if classes > 1 else max(1, min(per_class, room // d))
    for a in range(0, m, classes):
        for p in range(0, per_class, samples):
            yield slice(a, a + classes), slice(p, p + samples)


def summarise(delta: Tensor) -> Summary:
    """Exact centroids and spreads over all samples.

    Args:
        delta: (classes, per_class, d).
    """
    centroids = delta.mean(1)
    return Summary(centroids, spread(delta, centroids, equal(delta))[0])


def equal(delta: Tensor) -> Tensor:
    """Each sample's share in its class, (classes, per_class)."""
    return delta.new_full((1, 1), 1 / delta.shape[1]).expand(delta.shape[:2])


def spread(delta: Tensor, centroids: Tensor, share: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What CSD and its slope need of how samples lie around their centroids.

    Args:
        delta: (classes, per_class, d).
        centroids: (classes, d).
        share: (classes, per_class), of each sample in its class.

    Returns:
        σ, (classes,); the mean of a class's unit vectors away from its centroid, (classes, d); and
        every sample's distance to it, (classes, per_class).
    """
    lengths, units = torch.empty_like(delta[:, :, 0]), torch.zeros_like(centroids)
    for a, p in blocks(delta):
        away = delta[a, p] - centroids[a, None]
        length = lengths[a, p] = torch.linalg.vector_norm(away, dim=2)
        inverse = torch.where(length > 0, share[a, p] / length, 0)
        units[a] += torch.bmm(inverse[:, None], away)[:, 0]
    return (share * lengths).sum(1), units, lengths
