"""What frozen features know of the classes: a linear probe and nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

DECAYS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
"""Weight decays that a probe chooses from, on standardised features."""

HELD_OUT = 0.2
"""Share of the training features that the choice is made on."""

_STEPS = 100
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Probe:
    """A linear classifier on features.

    Attributes:
        accuracy: on the test features, in [0, 1].
        fit: on the features that it was fitted to.
        decay: that was chosen.
    """

    accuracy: float
    fit: float
    decay: float


@dataclass(frozen=True, slots=True)
class LinearReadout:
    """A linear classifier of features, differentiable in them.

    Attributes:
        mean, spread: (d,) of the features that it was fitted to.
        weights: (classes, d + 1), the last column the bias.
    """

    mean: Tensor
    spread: Tensor
    weights: Tensor

    def of(self, features: Tensor) -> Tensor:
        """(n, d) → (n, classes) logits."""
        return _logits(self.weights, (features - self.mean) / self.spread)


def linear_readout(
    features: Tensor, labels: Tensor, classes: int, *, decay: float
) -> LinearReadout:
    """Fit one by multinomial logistic regression, as `linear_probe` does at one weight decay.

    Args:
        features: (n, d), n at least 2.
        labels: (n,) int64, from 0.
        classes: how many there are.
        decay: of the weights, on standardised features.
    """
    mean, spread = _standard(features)
    start = features.new_zeros(classes, features.shape[1] + 1)
    weights = _fit((features - mean) / spread, labels, decay, start)
    return LinearReadout(mean, spread, weights)


def linear_probe(
    features: Tensor, labels: Tensor, test_features: Tensor, test_labels: Tensor, *, seed: int = 0
) -> Probe:
    """Multinomial logistic regression: convex, so that the features alone decide, not a schedule.

    L-BFGS on standardised features, the mean cross-entropy and half the weight decay times the
    squared norm of the weights. The decay that serves a held-out fifth best (of equal ones the
    largest) is taken for a fit to all.

    Args:
        features: (n, d), n at least 2.
        labels: (n,) int64, from 0.
        test_features: (m, d).
        test_labels: (m,) int64.
        seed: of the choice of what is held out; nothing else is drawn.
    """
    mean, spread = _standard(features)
    features, test_features = ((x - mean) / spread for x in (features, test_features))
    classes = int(max(labels.max(), test_labels.max())) + 1
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    held, rest = order.to(features.device).tensor_split([max(1, round(HELD_OUT * len(order)))])
    weights = features.new_zeros(classes, features.shape[1] + 1)
    tried: list[tuple[float, float]] = []
    for decay in DECAYS:
        # Each fit begins where the one before ended, under a stronger decay.
        weights = _fit(features[rest], labels[rest], decay, weights)
        tried.append((_share_right(weights, features[held], labels[held]), decay))
    decay = max(tried)[1]
    weights = _fit(features, labels, decay, torch.zeros_like(weights))
    return Probe(
        accuracy=_share_right(weights, test_features, test_labels),
        fit=_share_right(weights, features, labels),
        decay=decay,
    )


def knn_accuracy(
    features: Tensor,
    labels: Tensor,
    test_features: Tensor,
    test_labels: Tensor,
    *,
    k: int = 200,
    temperature: float = 0.1,
) -> float:
    """The share that a vote of the nearest training features gets right.

    Neighbours by cosine c vote with weight exp(c / temperature) (Wu et al., CVPR 2018, 3.4).

    Args:
        features: (n, d).
        labels: (n,) int64, from 0.
        test_features: (m, d).
        test_labels: (m,) int64.
        k: neighbours; all, where there are fewer.
        temperature: of the votes.
    """
    bank = functional.normalize(features)
    classes = int(max(labels.max(), test_labels.max())) + 1
    right = 0
    parts = zip(torch.split(test_features, _CHUNK), torch.split(test_labels, _CHUNK), strict=True)
    for asked, truth in parts:
        cosines = functional.normalize(asked) @ bank.T
        nearest, which = cosines.topk(min(k, len(bank)))
        votes = nearest.new_zeros(len(asked), classes)
        votes.scatter_add_(1, labels[which], (nearest / temperature).exp())
        right += int((votes.argmax(1) == truth).sum())
    return right / len(test_features)


def _standard(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of every feature, (d,) each."""
    return features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)


def _fit(features: Tensor, labels: Tensor, decay: float, start: Tensor) -> Tensor:
    """Weights (classes, d + 1), the last column the bias, which does not decay."""
    weights = start.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([weights], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(_logits(weights, features), labels)
        value = value + decay / 2 * weights[:, :-1].square().sum()
        torch.autograd.backward(value)
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()


def _share_right(weights: Tensor, features: Tensor, labels: Tensor) -> float:
    return int((_logits(weights, features).argmax(1) == labels).sum()) / len(labels)


def _logits(weights: Tensor, features: Tensor) -> Tensor:
    return functional.linear(features, weights[:, :-1], weights[:, -1])
