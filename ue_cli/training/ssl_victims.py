"""Victims that learn without labels: an encoder on the files, read out by their labels."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ue_cli.training.contrastive import Contrast, build_contrast
from ue_cli.training.hooks import NOTHING, PLAIN, Hooks, Knowledge, prepared, treats_files_alone
from ue_cli.training.readout import knn_accuracy, linear_probe
from ue_cli.training.ssl import encoded, train_ssl
from ue_cli.training.ssl_recipes import SslRecipe


@dataclass(frozen=True, slots=True)
class Readout:
    """What an encoder's features are good for; accuracies in [0, 1], each image counted once.

    Attributes:
        probe: of a linear probe on the test images.
        fit: of the same probe on the files that it was fitted to.
        knn: of nearest neighbours, on the test images.
    """

    probe: float
    fit: float
    knn: float


@dataclass(frozen=True, slots=True)
class SslVictimResult:
    """What one training without labels gave.

    Attributes:
        readouts: of the encoder while it learned, the last one at the end.
        epochs: after which they were made.
        floor: of the same encoder before its first step. An encoder that is not well above it has
            learned little, and is no evidence of anything.
        losses: mean of each epoch.
        seconds: of everything.
        state: the encoder's and its heads' final weights.
    """

    readouts: tuple[Readout, ...]
    epochs: tuple[int, ...]
    floor: Readout
    losses: tuple[float, ...]
    seconds: float
    state: dict[str, Tensor] = field(repr=False, compare=False)

    @property
    def learned(self) -> Readout:
        """Of the trained encoder."""
        return self.readouts[-1]

    @property
    def accuracy(self) -> tuple[float, ...]:
        """Test accuracy of each linear probe."""
        return tuple(readout.probe for readout in self.readouts)

    @property
    def fit(self) -> float:
        """The linear probe's accuracy on its own files."""
        return self.learned.fit


def ssl_victim(
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    recipe: SslRecipe,
    *,
    seed: int,
    device: str = "cpu",
    readouts: int = 1,
    hooks: Hooks = PLAIN,
    knowledge: Knowledge = NOTHING,
    on_epoch: Callable[[int, float], None] | None = None,
) -> SslVictimResult:
    """Train an encoder on ``images`` without their labels; then read it out with them.

    Args:
        images: (n, 3, h, w) uint8.
        labels: (n,) int64, from 0; the encoder does not see them.
        test_images: (m, 3, h, w) uint8.
        test_labels: (m,) int64.
        recipe: of the encoder.
        seed: of its weights, the order, the views and the probe's held-out part.
        device: ``cpu``, ``cuda`` or ``mps``.
        readouts: how often it is read out, at least once: after the last epoch, and evenly over
            those before, at most once after each.
        hooks: the countermeasure that the trainer takes. It has to leave the steps alone.
        knowledge: what that needs beside the files.
        on_epoch: called with the epoch from 1 and its mean loss.

    Raises:
        ValueError: the countermeasure is one of steps on labelled files.
    """
    if not treats_files_alone(hooks):
        raise ValueError(f"{type(hooks).__name__} changes steps that an encoder does not take")
    began = time.perf_counter()
    labels, test_labels = labels.to(device), test_labels.to(device)
    images = prepared(hooks, images.to(device), labels, knowledge, seed=seed)
    asked = hooks.test(test_images.to(device))
    chosen = readout_epochs(recipe.epochs, readouts)
    readings: list[Readout] = []

    def look(epoch: int, net: Contrast) -> None:
        if epoch in chosen:
            readings.append(read_out(net, images, labels, asked, test_labels, seed=seed))

    net = build_contrast(recipe, seed=seed).to(device).to(memory_format=torch.channels_last)
    floor = read_out(net, images, labels, asked, test_labels, seed=seed)
    trained = train_ssl(images, recipe, seed=seed, device=device, on_epoch=on_epoch, look=look)
    seconds = time.perf_counter() - began
    return SslVictimResult(tuple(readings), chosen, floor, trained.losses, seconds, trained.state)


def readout_epochs(epochs: int, readouts: int) -> tuple[int, ...]:
    """After which of the epochs 1 to ``epochs`` an encoder is read out; the last is among them."""
    times = min(readouts, epochs)
    return tuple(epochs * (i + 1) // times for i in range(times))


def read_out(
    net: Contrast,
    images: Tensor,
    labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    *,
    seed: int = 0,
) -> Readout:
    """Probe and neighbours on an encoder's features of whole frames; all on its device."""
    features, test_features = encoded(net, images), encoded(net, test_images)
    probe = linear_probe(features, labels, test_features, test_labels, seed=seed)
    knn = knn_accuracy(features, labels, test_features, test_labels)
    return Readout(probe.accuracy, probe.fit, knn)
