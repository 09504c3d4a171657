"""Pseudo-classes for photos without labels: k-means on the look of small thumbnails.

Features, rule and centroids are one value, so that an image that joins later takes the nearest
centroid and no other image changes its class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import SkipFile, UeError
from ue_cli.images.opening import DEFAULT_MAX_PIXELS, open_still, pillow, read_file
from ue_cli.types import FloatArray

FEATURE_VERSION = "thumbnail-1"

_SIDE = 32
_DRAFT = 64
_COLOURS = 4  # bins per RGB channel
_ANGLES = 8
_CELLS = 2  # orientation histograms on a 2 × 2 grid
_WIDTH = _COLOURS**3 + _CELLS**2 * _ANGLES
_FIT_AT_MOST = 20_000
_BLOCK = 4_096


@dataclass(frozen=True, slots=True)
class Clusters:
    """What assigns an image to a pseudo-class.

    Attributes:
        centroids: (k, features), the fit's.
        feature_version: of `thumbnail_features`; other features cannot be compared.
    """

    centroids: FloatArray
    feature_version: str = FEATURE_VERSION

    @property
    def names(self) -> tuple[str, ...]:
        """``cluster-00``, ``cluster-01``, ... in the order of the centroids."""
        return tuple(f"cluster-{i:02d}" for i in range(len(self.centroids)))

    def assign(self, features: FloatArray) -> NDArray[np.intp]:
        """The nearest centroid of each row, the first of equals. (n, features) → (n,)."""
        return np.asarray(_distances(features, self.centroids).argmin(axis=1))

    def to_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back to the same bits."""
        return {
            "feature_version": self.feature_version,
            "centroids": self.centroids.astype(float).tolist(),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Clusters:
        """Inverse of `to_json`.

        Raises:
            UeError: ``clusters-version`` if another version's features were kept.
        """
        version = value.get("feature_version")
        if version != FEATURE_VERSION:
            raise UeError(
                "clusters-version",
                f"The collection's pseudo-classes were made with features {version!r}, "
                f"this version of ue computes {FEATURE_VERSION!r}.",
                "Use the version of ue that made the collection, or give labels.",
            )
        return cls(np.asarray(value["centroids"], np.float32).reshape(-1, _WIDTH))


def cluster_count(images: int) -> int:
    """The rule: 1 below four images, else √(n/2) rounded, from 2 to 10."""
    return 1 if images < 4 else int(min(max(round((images / 2) ** 0.5), 2), 10))


def thumbnail_features(path: Path) -> FloatArray | None:
    """Colour and edge-direction histograms of a small version of an image.

    A pure function of one file, fit for ``Pool.imap``. JPEGs are decoded at a fraction of their
    size.

    Returns:
        (features,), colours and edges each of length √½ (so the whole is of length 1); None where
        the file is no image.
    """
    try:
        raw = read_file(path, DEFAULT_MAX_PIXELS)
        with pillow(DEFAULT_MAX_PIXELS), open_still(raw) as image:
            image.draft("RGB", (_DRAFT, _DRAFT))
            small = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), resample=4))
    except SkipFile:
        return None
    except Exception:  # damaged beyond its header: decoding it later gives the reason
        return None
    bins = (small.astype(np.intp) * _COLOURS) >> 8
    index = (bins[..., 0] * _COLOURS + bins[..., 1]) * _COLOURS + bins[..., 2]
    colours = np.bincount(index.ravel(), minlength=_COLOURS**3).astype(np.float64)
    grey = small.astype(np.float64).mean(axis=2)
    dy, dx = np.gradient(grey)
    angle = np.floor((np.arctan2(dy, dx) / np.pi % 1.0) * _ANGLES).astype(np.intp) % _ANGLES
    cell = np.arange(_SIDE) * _CELLS // _SIDE
    place = (cell[:, None] * _CELLS + cell[None, :]) * _ANGLES + angle
    edges = np.bincount(place.ravel(), np.hypot(dy, dx).ravel(), _CELLS**2 * _ANGLES)
    return np.concatenate([_unit(np.sqrt(colours)), _unit(np.sqrt(edges))]).astype(np.float32)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector * (0.5**0.5 / length) if length else vector


def fit(rows: Iterable[FloatArray | None]) -> Clusters:
    """k-means with k-means++ starts (Arthur & Vassilvitskii 2007) on features of many images.

    Args:
        rows: one per image, None where there is none; read once. Beyond 20,000 images an even
            random sample of them is used.
    """
    rng = np.random.default_rng(0)
    sample: list[FloatArray] = []
    images = 0
    for row in rows:
        if row is None:
            continue
        images += 1
        if len(sample) < _FIT_AT_MOST:
            sample.append(row)
        elif (slot := int(rng.integers(images))) < _FIT_AT_MOST:
            sample[slot] = row
    k = cluster_count(images)
    if not sample:
        return Clusters(np.zeros((1, _WIDTH), np.float32))
    data = np.stack(sample)
    centroids = _starts(data, k, rng)
    for _ in range(50):
        nearest = _distances(data, centroids).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=k)
        sums = np.zeros_like(centroids)
        np.add.at(sums, nearest, data)
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centroids)
        moved = moved.astype(np.float32)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return Clusters(centroids)


def _starts(data: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    chosen = [int(rng.integers(len(data)))]
    nearest = _distances(data, data[chosen])[:, 0]
    while len(chosen) < k:
        total = float(nearest.sum())
        odds = nearest / total if total > 0 else None  # all images alike: any will do
        chosen.append(int(rng.choice(len(data), p=odds)))
        nearest = np.minimum(nearest, _distances(data, data[chosen[-1:]])[:, 0])
    return data[chosen]


def _distances(data: FloatArray, centroids: FloatArray) -> NDArray[np.float64]:
    """Squared distances, (n, k)."""
    wide, centres = data.astype(np.float64), centroids.astype(np.float64)
    square = (wide**2).sum(axis=1)[:, None] - 2 * wide @ centres.T + (centres**2).sum(axis=1)
    return np.asarray(np.maximum(square, 0))


def assign_stream(clusters: Clusters, rows: Iterable[FloatArray | None]) -> Iterator[str]:
    """A class name per image in order, in bounded memory; ``cluster-00`` where there is no row."""
    names, rows = clusters.names, iter(rows)
    while block := list(islice(rows, _BLOCK)):
        filled = np.stack([np.zeros(_WIDTH, np.float32) if r is None else r for r in block])
        nearest = clusters.assign(filled)
        yield from (
            names[0] if row is None else names[i] for row, i in zip(block, nearest, strict=True)
        )
