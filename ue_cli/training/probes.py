"""Linear probes: can protected files be told from originals, and classes by their perturbation?

Ridge classifiers (least squares on one-hot targets, Hastie et al., *The Elements of Statistical
Learning*, 4.2) in dual form: there are more features than photos.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ue_cli.errors import UeError
from ue_cli.training.augment import whole
from ue_cli.types.detectability import Detectability, Separability

SIDE = 64
"""Largest side, in pixels, at which photos are looked at."""

PHOTOS = 1_000
"""So many are looked at, at most: memory grows with them, and time with their cube."""

FEWEST = 16
"""Photos below which nothing is fitted."""

RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Penalties to choose from, in units of the mean squared norm of a photo's features."""

_WINDOW = 5
_PART = 100
_STREAM = 1 << 41


def measure_detectability(
    protected: Tensor, clean: Tensor, labels: Tensor, *, seed: int, device: str = "cpu"
) -> Detectability:
    """Fit linear classifiers on half of the photos and ask them about the other half.

    A photo's two versions are on the same side of the split, which is even in every class. Of a
    held-out photo one version, drawn by lot, is judged protected or not.

    Args:
        protected: (n, 3, h, w) uint8.
        clean: the originals in the same order.
        labels: (n,) int64, from 0.
        seed: of the choice of photos, the halves and the lots; nothing global is seeded.
        device: ``cpu`` or ``cuda``; systems of equations are solved on the CPU.

    Raises:
        UeError: ``probe-few-photos``: there are fewer than `FEWEST`.
    """
    if len(protected) < FEWEST:
        raise UeError(
            "probe-few-photos",
            f"A linear probe needs at least {FEWEST} photos, got {len(protected)}.",
            "Add photos.",
        )
    draw = torch.Generator().manual_seed(seed + _STREAM)
    fitted, held = _halves(labels.cpu(), draw)
    chosen = torch.cat([fitted, held])
    side = min(SIDE, *protected.shape[2:])
    versions = torch.stack([_reduced(x, chosen, side, device) for x in (clean, protected)], 1)
    classes = labels[chosen.to(labels.device)].cpu()
    residual = _high_pass(versions)
    spectrum = _power_spectrum(residual)
    delta = versions[:, 1] - versions[:, 0]
    count = len(fitted)
    lots = torch.randint(0, 2, (len(held),), generator=draw)
    return Detectability(
        photos=len(chosen),
        side=side,
        detected=_detect(_blocks(count, versions, residual, spectrum), count, lots),
        perturbation=_classify(_blocks(count, delta), classes, count),
        perturbation_spectrum=_classify(_blocks(count, _power_spectrum(delta)), classes, count),
        published=_classify(_blocks(count, residual[:, 1], spectrum[:, 1]), classes, count),
        original=_classify(_blocks(count, residual[:, 0], spectrum[:, 0]), classes, count),
    )


def _halves(labels: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """At most `PHOTOS` photos, as even over classes as they come, every second one held out."""
    order = torch.randperm(len(labels), generator=draw)
    order = order[labels[order].argsort(stable=True)]
    starts = functional.pad(torch.bincount(labels).cumsum(0), (1, 0))
    rank = torch.arange(len(labels)) - starts[labels[order]]
    first = rank.argsort(stable=True)[:PHOTOS]
    order, odd = order[first], rank[first] % 2 == 1
    return order[~odd], order[odd]


def _reduced(images: Tensor, chosen: Tensor, side: int, device: str) -> Tensor:
    parts = torch.split(chosen.to(images.device), _PART)
    return torch.cat([whole(images[part].to(device), side) for part in parts])


def _high_pass(images: Tensor) -> Tensor:
    """(…, 3, s, s) less the mean of each pixel's neighbourhood."""
    flat = images.flatten(0, -4)
    reach = _WINDOW // 2
    around = functional.pad(flat, (reach,) * 4, mode="replicate")
    return (flat - functional.avg_pool2d(around, _WINDOW, 1)).view(images.shape)


def _power_spectrum(images: Tensor) -> Tensor:
    """(…, 3, s, s) → (…, 3, s, s/2 + 1): log power, in units of one pixel's rounding noise."""
    levels = torch.fft.rfft2(images * 64, norm="ortho")
    return torch.log1p(levels.abs().square() * 12)


def _blocks(fitted: int, *features: Tensor) -> Tensor:
    """Features side by side, centred, each kind with the same mean squared norm.

    Args:
        fitted: photos, the first ones, whose means and norms count.
        features: (photos, …, 3, h, w) each; a ``…`` stands for a photo's versions.

    Returns:
        (photos, …, features).
    """
    blocks = []
    for feature in features:
        flat = feature.flatten(-3)
        flat = flat - flat[:fitted].flatten(0, -2).mean(0)
        size = flat[:fitted].square().sum(-1).mean().sqrt().clamp(min=1e-12)
        blocks.append(flat / size)
    return torch.cat(blocks, -1)


def _detect(features: Tensor, fitted: int, lots: Tensor) -> Separability:
    """Original or protected, from (photos, 2, d)."""
    fit_features = features[:fitted]
    answers = torch.tensor([0, 1]).repeat(fitted)
    ridge = _choose_ridge(fit_features, answers.view(fitted, 2))
    asked = features[fitted:][torch.arange(len(lots)), lots]
    guesses = _predict(fit_features.flatten(0, 1), answers, asked, (ridge,))[0]
    return Separability(int((guesses == lots).sum()), len(lots), 0.5)


def _classify(features: Tensor, classes: Tensor, fitted: int) -> Separability:
    """Which class, from (photos, d)."""
    fit_features, answers = features[:fitted], classes[:fitted]
    ridge = _choose_ridge(fit_features[:, None], answers[:, None])
    guesses = _predict(fit_features, answers, features[fitted:], (ridge,))[0]
    truth = classes[fitted:]
    share = float(torch.bincount(truth).max()) / len(truth)
    return Separability(int((guesses == truth).sum()), len(truth), share)


def _choose_ridge(features: Tensor, answers: Tensor) -> float:
    """The penalty that serves a quarter of the photos best; of equal ones the largest.

    Args:
        features: (photos, versions, d).
        answers: (photos, versions).
    """
    asked = torch.arange(len(features)) % 4 == 3
    guesses = _predict(
        features[~asked].flatten(0, 1),
        answers[~asked].flatten(),
        features[asked].flatten(0, 1),
        RIDGES,
    )
    right = [int((guess == answers[asked].flatten()).sum()) for guess in guesses]
    return max(zip(right, RIDGES, strict=True))[1]


def _predict(
    features: Tensor, answers: Tensor, asked: Tensor, ridges: tuple[float, ...]
) -> list[Tensor]:
    """What ridge classifiers fitted on (n, d) say about (m, d): (m,) per penalty, on the CPU."""
    centre = features.mean(0)
    features, asked = features - centre, asked - centre
    gram, cross = (features @ features.T).cpu().double(), (asked @ features.T).cpu().double()
    targets = functional.one_hot(answers).double()
    mean = targets.mean(0)
    eye = torch.eye(len(gram), dtype=torch.float64)
    unit = gram.diagonal().mean().clamp(min=1e-12)
    guesses = []
    for ridge in ridges:
        factor = torch.linalg.cholesky(gram + ridge * unit * eye)
        scores = mean + cross @ torch.cholesky_solve(targets - mean, factor)
        guesses.append(scores.argmax(1))
    return guesses
