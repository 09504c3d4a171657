"""Readouts against scipy and against a vote counted by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from torch import Tensor

from ue_cli.training.readout import DECAYS, knn_accuracy, linear_probe

Floats = npt.NDArray[np.float64]


def clouds(
    count: int, *, width: int = 8, apart: float = 1.5, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Three overlapping Gaussian classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = apart * torch.eye(3, width)
    return centres[labels] + torch.randn(count, width, generator=generator), labels


def test_the_probe_is_the_minimum_that_scipy_finds() -> None:
    scales = torch.logspace(-2, 2, 8)
    features, labels = clouds(150)
    asked, truth = clouds(200, seed=1)
    features, asked = features * scales + 5, asked * scales + 5
    found = linear_probe(features, labels, asked, truth)
    mean, spread = features.mean(dim=0), features.std(dim=0)
    x, y = ((features - mean) / spread).double().numpy(), labels.numpy()

    def objective(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(3, 9)
        logits = x @ weights[:, :-1].T + weights[:, -1]
        fit = (logsumexp(logits, axis=1) - logits[np.arange(len(y)), y]).mean()
        value = fit + found.decay / 2 * np.square(weights[:, :-1]).sum()
        wrong = (softmax(logits, axis=1) - np.eye(3)[y]) / len(y)
        slope = np.hstack([wrong.T @ x + found.decay * weights[:, :-1], wrong.sum(axis=0)[:, None]])
        return float(value), slope.ravel()

    flat = minimize(objective, np.zeros(27), jac=True, tol=1e-9).x
    weights = torch.from_numpy(flat.reshape(3, 9)).float()
    for accuracy, some, classes in ((found.fit, features, labels), (found.accuracy, asked, truth)):
        logits = (some - mean) / spread @ weights[:, :-1].T + weights[:, -1]
        assert accuracy == pytest.approx(float((logits.argmax(1) == classes).float().mean()))


def test_the_probe_takes_more_decay_where_features_are_many_and_images_few() -> None:
    asked, truth = clouds(300, width=120, apart=3, seed=1)
    few = linear_probe(*clouds(60, width=120, apart=3), asked, truth)
    many = linear_probe(*clouds(2000, width=4, apart=3), *clouds(300, width=4, apart=3, seed=1))
    assert few.decay > many.decay
    assert {few.decay, many.decay} <= set(DECAYS)
    assert few.fit == 1 and 0.6 < few.accuracy < 0.95


def test_the_probe_depends_on_its_arguments_alone() -> None:
    data = (*clouds(90), *clouds(90, seed=1))
    state = torch.get_rng_state()
    assert linear_probe(*data, seed=3) == linear_probe(*data, seed=3)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    features, labels = clouds(90, apart=8)
    features[:, 3] = 7.0
    assert linear_probe(features, labels, features, labels).accuracy > 0.95


def test_a_class_without_training_images_is_never_right() -> None:
    features, labels = clouds(90, apart=9)
    asked, truth = clouds(90, apart=9, seed=1)
    keep = labels < 2
    assert 0.6 < linear_probe(features[keep], labels[keep], asked, truth).accuracy <= 2 / 3
    assert 0.6 < knn_accuracy(features[keep], labels[keep], asked, truth, k=5) <= 2 / 3


@pytest.mark.parametrize("k", [1, 7, 1000])
def test_neighbours_vote_by_their_cosine(k: int) -> None:
    features, labels = clouds(40)
    asked, truth = clouds(30, seed=1)
    right = 0
    for query, own in zip(asked, truth.tolist(), strict=True):
        cosines = [float(query @ row / query.norm() / row.norm()) for row in features]
        nearest = sorted(range(40), key=lambda i: -cosines[i])[:k]
        votes = [0.0, 0.0, 0.0]
        for i in nearest:
            votes[int(labels[i])] += math.exp(cosines[i] / 0.1)
        right += votes.index(max(votes)) == own
    assert knn_accuracy(features, labels, asked, truth, k=k) == pytest.approx(right / 30)
