"""Fidelity: how much a protected photo looks like its original. It is hard to see, never invisible.

PSNR, SSIM and CIEDE2000 judge pixels, not people: none of them knows how far away the viewer is.
The numbers on flat areas (sky, skin) are given apart, because coarse colour shows there first.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt, log10
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ue_cli.certificates.budget import measure
from ue_cli.certificates.colour import ciede2000, srgb_to_lab
from ue_cli.errors import UeError
from ue_cli.types import Fidelity, FidelitySummary, FloatArray, PixelArray, without_alpha

COLOUR_SAMPLES = 32_768
"""Pixels per photo on which ΔE00 is computed, once over all pixels and once over flat ones."""
BLOCK = 16
FLAT_STD = 3.0
"""A block of 16×16 pixels is flat where its luma varies by at most this many levels (std), and is
neither deep black nor pure white."""
_SPOT = 8  # blocks on a side of the window in which the flattest spot is looked for: 128 pixels

_K1, _K2, _WINDOW, _SIGMA = 0.01, 0.03, 11, 1.5
_STRIP = 32


def fidelity(
    original: PixelArray, protected: PixelArray, *, max_pixels: int = 1_000_000, seed: int = 0
) -> Fidelity:
    """Measure one photo at its native pixels, on a centre crop where it is larger.

    Pixel values are read as sRGB whatever the file's profile says. Alpha is left out; gray counts
    as R = G = B.

    Args:
        original: uint8 or uint16, (h, w) or (h, w, 1..4).
        protected: the same shape and dtype.
        max_pixels: size of the crop.
        seed: of the pixel sample for ΔE00.

    Returns:
        All numbers on the 8-bit scale (peak 255).

    Raises:
        UeError: the two cannot be compared, or are no images.
    """
    if original.ndim not in (2, 3) or (original.ndim == 3 and original.shape[2] > 4):
        raise UeError(
            "pixels-shape",
            f"An image must have the shape (h, w) or (h, w, 1 to 4), got {original.shape}.",
        )
    top, left, height, width = _centre(original.shape[0], original.shape[1], max_pixels)
    window = (slice(top, top + height), slice(left, left + width))
    before, after = without_alpha(original[window]), without_alpha(protected[window])
    mse = measure(before, after).mse
    luma_before, luma_after = _luma(before), _luma(after)
    spread, mean = _block_stats(luma_before)
    row, column = _flattest(spread, mean, luma_before.shape)
    flat = (spread <= FLAT_STD) & _mid(mean)
    rng = np.random.default_rng(seed)
    everywhere = _delta_e(before, after, *_any_pixels(rng, height, width))
    median_all, p95_all = np.percentile(everywhere, (50, 95))
    median_flat, p95_flat = None, None
    if flat.any():
        flat_delta = _delta_e(before, after, *_flat_pixels(rng, flat, luma_before.shape))
        median_flat, p95_flat = (float(value) for value in np.percentile(flat_delta, (50, 95)))
    return Fidelity(
        psnr=None if mse == 0 else 10 * log10(255**2 / mse),
        ssim=ssim(luma_before, luma_after),
        delta_e_median=float(median_all),
        delta_e_p95=float(p95_all),
        flat_delta_e_median=median_flat,
        flat_delta_e_p95=p95_flat,
        flat_fraction=float(flat.mean()),
        flattest=(top + row, left + column),
    )


def summarise(photos: Sequence[Fidelity], total: int) -> FidelitySummary:
    """Median and worst of every number over the photos that were measured.

    Args:
        photos: at least one.
        total: how many photos the sample stands for.
    """
    if not photos:
        raise UeError("fidelity-empty", "No photo was measured, so there is nothing to summarise.")
    psnrs = [p.psnr for p in photos if p.psnr is not None]
    medians = [p.flat_delta_e_median for p in photos if p.flat_delta_e_median is not None]
    p95s = [p.flat_delta_e_p95 for p in photos if p.flat_delta_e_p95 is not None]
    middle = Fidelity(
        psnr=median(psnrs) if psnrs else None,
        ssim=median(p.ssim for p in photos),
        delta_e_median=median(p.delta_e_median for p in photos),
        delta_e_p95=median(p.delta_e_p95 for p in photos),
        flat_delta_e_median=median(medians) if medians else None,
        flat_delta_e_p95=median(p95s) if p95s else None,
        flat_fraction=median(p.flat_fraction for p in photos),
        flattest=photos[0].flattest,
    )
    worst = Fidelity(
        psnr=min(psnrs, default=None),
        ssim=min(p.ssim for p in photos),
        delta_e_median=max(p.delta_e_median for p in photos),
        delta_e_p95=max(p.delta_e_p95 for p in photos),
        flat_delta_e_median=max(medians, default=None),
        flat_delta_e_p95=max(p95s, default=None),
        flat_fraction=max(p.flat_fraction for p in photos),
        flattest=photos[0].flattest,
    )
    return FidelitySummary(len(photos), total, middle, worst)


def ssim(luma_before: FloatArray, luma_after: FloatArray) -> float:
    """Mean structural similarity over every full window of two luma planes.

    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image Quality Assessment: From Error
    Visibility to Structural Similarity", IEEE Transactions on Image Processing 13 (4), 2004: an
    11×11 Gaussian window of σ 1.5, K1 = 0.01, K2 = 0.03, dynamic range 255, native resolution.
    Planes smaller than the window are extended at their edges.

    Args:
        luma_before: 8-bit scale, (h, w).
        luma_after: the same shape.
    """
    pad = [(0, max(0, _WINDOW - n)) for n in luma_before.shape]
    x = np.pad(luma_before, pad, mode="edge")
    y = np.pad(luma_after, pad, mode="edge")
    taps = _gaussian()
    rows = x.shape[0] - _WINDOW + 1
    # A strip's vertical pass is one product with a banded matrix: BLAS, and in cache.
    band = np.zeros((_STRIP, _STRIP + _WINDOW - 1), np.float32)
    for offset, tap in enumerate(taps):
        band[np.arange(_STRIP), np.arange(_STRIP) + offset] = tap
    total = 0.0
    for start in range(0, rows, _STRIP):
        count = min(_STRIP, rows - start)
        a = x[start : start + count + _WINDOW - 1]
        # Variances do not depend on a common offset, but E[x²] − E[x]² loses its float32 digits
        # far from zero.
        offset = a.mean()
        a, b = a - offset, y[start : start + count + _WINDOW - 1] - offset
        moments = np.stack([a, b, a * a + b * b, a * b])
        vertical = band[:count, : count + _WINDOW - 1] @ moments
        total += float(_similarity(_horizontal(vertical, taps), offset).sum(dtype=np.float64))
    return float(total / (rows * (x.shape[1] - _WINDOW + 1)))


def _gaussian() -> FloatArray:
    """The window's one-dimensional factor, (11,), summing to 1."""
    at = np.arange(_WINDOW) - _WINDOW // 2
    taps = np.exp(-(at**2) / (2 * _SIGMA**2))
    return np.asarray(taps / taps.sum(), dtype=np.float32)


def _horizontal(planes: FloatArray, taps: FloatArray) -> FloatArray:
    """Correlate the last axis with a symmetric window, full windows only."""
    size = planes.shape[-1] - _WINDOW + 1
    half = _WINDOW // 2
    out: FloatArray = planes[..., half : half + size] * taps[half]
    pair = np.empty_like(out)
    for k in range(half):
        mirror = _WINDOW - 1 - k
        np.add(planes[..., k : k + size], planes[..., mirror : mirror + size], out=pair)
        pair *= taps[k]
        out += pair
    return out


def _similarity(moments: FloatArray, offset: np.float32) -> FloatArray:
    """SSIM per window from E[x], E[y], E[x² + y²], E[xy] of values less ``offset``; (4, h, w)."""
    mean_x, mean_y, squares, product = moments
    c1, c2 = np.float32((_K1 * 255) ** 2), np.float32((_K2 * 255) ** 2)
    variances = squares - mean_x * mean_x - mean_y * mean_y
    covariance = product - mean_x * mean_y
    bright_x, bright_y = mean_x + offset, mean_y + offset
    luminance = 2 * bright_x * bright_y + c1
    luminance /= bright_x * bright_x + bright_y * bright_y + c1
    out: FloatArray = (2 * covariance + c2) / (variances + c2) * luminance
    return out


def _centre(height: int, width: int, max_pixels: int) -> tuple[int, int, int, int]:
    """Top, left, height, width of the largest centred crop of at most ``max_pixels``, squarest."""
    side = max(1, isqrt(max_pixels))
    rows = min(height, max(side, max_pixels // max(1, min(width, side))))
    columns = min(width, max(1, max_pixels // rows))
    return (height - rows) // 2, (width - columns) // 2, rows, columns


def _luma(image: PixelArray) -> FloatArray:
    """Rec. 601 luma on the 8-bit scale, (h, w)."""
    scale = np.float32(1 if image.dtype == np.uint8 else 1 / 257)
    if image.ndim == 2:
        return image.astype(np.float32) * scale
    out = image[..., 0] * (scale * np.float32(0.299))
    out += image[..., 1] * (scale * np.float32(0.587))
    out += image[..., 2] * (scale * np.float32(0.114))
    return out


def _block_stats(luma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Standard deviation and mean of every whole block, (rows, columns) each."""
    size_y, size_x = min(BLOCK, luma.shape[0]), min(BLOCK, luma.shape[1])
    rows, columns = luma.shape[0] // size_y, luma.shape[1] // size_x
    blocks = luma[: rows * size_y, : columns * size_x].reshape(rows, size_y, columns, size_x)
    mean = blocks.mean(axis=(1, 3))
    centred = blocks - mean[:, None, :, None]
    return np.sqrt((centred * centred).mean(axis=(1, 3))), mean


def _mid(mean: FloatArray) -> NDArray[np.bool_]:
    """Neither deep black nor pure white: clipping halves a perturbation there and flatters it."""
    return (mean >= 16) & (mean <= 239)


def _flattest(spread: FloatArray, mean: FloatArray, shape: tuple[int, ...]) -> tuple[int, int]:
    """Centre of the window of blocks with the least variation, not in deep black or pure white."""
    # A busy block is no worse than another busy block: what counts is how much of the window is
    # flat.
    cost = np.minimum(spread, 30) + np.where(_mid(mean), np.float32(0), np.float32(10))
    size = (min(_SPOT, cost.shape[0]), min(_SPOT, cost.shape[1]))
    sums = np.lib.stride_tricks.sliding_window_view(cost, size).mean(axis=(2, 3))
    row, column = np.unravel_index(int(sums.argmin()), sums.shape)
    step_y, step_x = min(BLOCK, shape[0]), min(BLOCK, shape[1])
    return (int(row) * step_y + size[0] * step_y // 2, int(column) * step_x + size[1] * step_x // 2)


def _any_pixels(
    rng: np.random.Generator, height: int, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a uniform sample; every pixel where there are few."""
    count = height * width
    at = np.arange(count) if count <= COLOUR_SAMPLES else rng.integers(count, size=COLOUR_SAMPLES)
    return at // width, at % width


def _flat_pixels(
    rng: np.random.Generator, flat: NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The same over the flat blocks; at least one block must be flat."""
    size_y, size_x = min(BLOCK, shape[0]), min(BLOCK, shape[1])
    rows, columns = np.nonzero(flat)
    count = rows.size * size_y * size_x
    at = np.arange(count) if count <= COLOUR_SAMPLES else rng.integers(count, size=COLOUR_SAMPLES)
    block, inside = at // (size_y * size_x), at % (size_y * size_x)
    return rows[block] * size_y + inside // size_x, columns[block] * size_x + inside % size_x


def _delta_e(
    before: PixelArray, after: PixelArray, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float64]:
    """ΔE00 at the given pixels, (n,)."""
    lab = []
    for image in (before, after):
        values = image[rows, columns] / np.iinfo(image.dtype).max
        lab.append(srgb_to_lab(values if values.ndim == 2 else np.repeat(values[:, None], 3, 1)))
    return ciede2000(lab[0], lab[1])
