"""The budget, measured: how far a decoded protected image is from its decoded original.

``types.Budget.clip`` enforces the L∞ ball; this file is the one place that measures it, on what a
reader of the published file gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from statistics import fmean, median

import numpy as np

from ue_cli.errors import UeError
from ue_cli.types import Budget, BudgetCertificate, Difference, FileRecord, PixelArray

HISTOGRAM_BINS = 32
FAINT = 3.5
"""Levels of amplitude along the class's perturbation below which a file does not count as
protected: measured by how little a training on such files loses (docs/looks.md)."""
NAMED = 50
"""At most this many names are kept per list: a collection may hold 10⁵ files."""

_SAMPLED = 1_000_000
"""Values up to which the means are over all of them."""
_CHUNK = 1 << 17
"""Values per step: its scratch arrays stay in the L2 cache."""


def measure(original: PixelArray, protected: PixelArray, limit: int | None = None) -> Difference:
    """Compare two decoded images in one pass with constant extra memory.

    Args:
        original: uint8 or uint16, any shape; the colour channels as they were decoded.
        protected: the same shape and dtype.
        limit: in steps of the dtype; values farther apart are counted in ``over``.

    Returns:
        L∞ over all values, in steps of the dtype; the means in 8-bit levels, over all values up
        to a third of a megapixel and over every fifth row beyond.

    Raises:
        UeError: the two differ in shape or depth, or have another dtype.
    """
    _check(original, protected)
    if original.size == 0:
        return Difference(0, 0.0, 0.0, 0)
    dtype = original.dtype
    row = max(1, original.size // original.shape[0])
    rows = max(1, _CHUNK // row)
    low = np.empty(rows * row, dtype)
    gap = np.empty(rows * row, dtype)
    # Large images: the means come from every fifth row, which no grid of 8 or 16 favours.
    every = 5 if original.size > _SAMPLED else 1
    linf, over, total, squares, count = 0, 0, 0.0, 0.0, 0
    for start in range(0, original.shape[0], rows):
        a = original[start : start + rows].reshape(-1)
        b = protected[start : start + rows].reshape(-1)
        d = gap[: a.size]
        # Unsigned subtraction of the smaller never wraps and stays in the narrow type.
        np.subtract(np.maximum(a, b, out=d), np.minimum(a, b, out=low[: a.size]), out=d)
        largest = int(d.max())
        linf = max(linf, largest)
        if limit is not None and largest > limit:
            over += int(np.count_nonzero(d > limit))
        f = d.reshape(-1, row)[-start % every :: every].astype(np.float32).reshape(-1)
        total += float(f.sum(dtype=np.float64))
        squares += float(np.dot(f, f))
        count += f.size
    step = 1 if dtype == np.uint8 else 257
    return Difference(linf, total / count / step, squares / count / step**2, over)


def certify(records: Iterable[FileRecord], budget: Budget) -> BudgetCertificate:
    """Sum up what was measured on every file.

    A re-encoded JPEG is certified on its difference before the encoding, which alone ``ue``
    controls; the difference after decoding is kept beside it.

    Args:
        records: read once; one per written file.
        budget: the promise.

    Returns:
        The certificate; ``passed`` where no file exceeds its limit.
    """
    linf, linf_reencoded, reencoded = 0.0, 0.0, 0
    over_count, over = 0, list[str]()
    means: list[float] = []
    weak: list[tuple[float, str]] = []
    qualities: list[tuple[float, str]] = []
    for record in records:
        certified = record.linf if record.linf_encoding is None else record.linf_encoding
        scale = budget.levels / record.linf_limit
        linf = max(linf, certified * scale)
        if record.linf_encoding is not None:
            reencoded += 1
            linf_reencoded = max(linf_reencoded, record.linf * scale)
        if certified > record.linf_limit:
            over_count += 1
            if len(over) < NAMED:
                over.append(record.name)
        means.append(record.mean_abs)
        if is_faint(record, budget):
            weak.append((record.strength, record.name))
        qualities.append((record.jod, record.name))
    least = min(qualities, default=(10.0, ""))
    return BudgetCertificate(
        files=len(means),
        limit=budget.levels,
        linf=linf,
        over_count=over_count,
        over=tuple(over),
        mean_abs=fmean(means) if means else 0.0,
        median_abs=median(means) if means else 0.0,
        lowest_abs=min(means, default=0.0),
        histogram=_histogram(means, budget.levels),
        faint_count=len(weak),
        faint=tuple(name for _, name in nsmallest(NAMED, weak)),
        reencoded=reencoded,
        linf_reencoded=linf_reencoded,
        jod_median=median(quality for quality, _ in qualities) if qualities else 10.0,
        jod_least=least[0],
        jod_least_file=least[1],
    )


def is_faint(record: FileRecord, budget: Budget) -> bool:
    """Whether a file carries too little of its class's perturbation to count as protected."""
    return record.strength * budget.levels < FAINT


def _histogram(values: list[float], top: int) -> tuple[int, ...]:
    """Counts in ``HISTOGRAM_BINS`` equal bins from 0 to ``top``; what lies above joins the last."""
    counts, _ = np.histogram(np.minimum(values, top), bins=HISTOGRAM_BINS, range=(0, top))
    return tuple(int(count) for count in counts)


def _check(original: PixelArray, protected: PixelArray) -> None:
    """Refuse a pair that cannot be compared value by value."""
    for image in (original, protected):
        if image.dtype not in (np.uint8, np.uint16):
            raise UeError(
                "pixels-dtype",
                f"Pixels must be 8-bit or 16-bit whole numbers, got {image.dtype}.",
                "Compare the arrays as the decoder returned them.",
            )
    if original.dtype != protected.dtype or original.shape != protected.shape:
        raise UeError(
            "pixels-mismatch",
            f"The protected image is {_describe(protected)}, but the original is "
            f"{_describe(original)}; they must have the same size, channels and depth.",
            "Protect the original again: this file is not its protected version.",
        )


def _describe(image: PixelArray) -> str:
    """Say an array's size and depth, such as ``640×480×3, 8-bit``."""
    return f"{'×'.join(map(str, image.shape))}, {8 * image.dtype.itemsize}-bit"
