"""CSD in texture space: which codes a set of classes gets, so that no two look alike.

The phases of a texture differ in every image, so CSD (Ren et al., ICLR 2023, eq. 2-4) of its pixels
says nothing. Here it is taken on what crops, shifts and mirrors leave of a texture: its power by
orientation, scale and colour, in units of what photographs have there. The features are computed
from the waves themselves, not from rendered pixels, so that choosing among thousands of codes takes
seconds and needs no torch.

A class's spread is what crops do to its texture plus a floor for what the photographs themselves
add. Without the floor CSD does not see how strong a signal is: it then prefers faint codes (mostly
luma) that are neat among themselves and that no victim notices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

OPPONENT = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3], [2], [6]])
"""Rows: luma, red-green, blue-yellow; orthonormal, so that the ball's power is not rescaled."""

LUMA_NOISE = 34 / 8
CHROMA_NOISE = np.array([6.2, 8.2]) / 8
"""Spread of photographs per octave at `NOISE_AT` cycles, in units of the ball (8 levels).

Measured on Tiny-ImageNet. Luma is the same in every octave (1/f² power in two dimensions); chroma
falls as f^-1.1, because cameras and JPEG smooth it.
"""
NOISE_AT = 8.5
CHROMA_SLOPE = 1.1

BANDS = np.linspace(1.0, np.log2(24), 8)
"""Centres of the scale bins, log2 cycles per short side."""
BAND_WIDTH = 0.6
ORIENTATIONS = np.arange(8) * np.pi / 8
ORIENTATION_FOCUS = 1.5
"""About an octave and 25°: what a small convolutional network tells apart early."""

FLOOR = 7.0
"""Spread that the photographs add to every class: the median distance of two random codes."""


POOL = 256
"""Most candidates per class. As drawn, codes leave a victim more than the best of 16 do; what 256
add to those is within what keys differ by (docs/lab-notes.md), and beyond CSD hardly falls."""

SEARCHED = 4096
"""Candidates of all classes together, with at least 16 each: it bounds the seconds."""


class Waves(Protocol):
    """A texture code: plane waves with a colour each."""

    @property
    def frequencies(self) -> Floats:
        """(K, 2) as (fy, fx), cycles per short side."""
        ...

    @property
    def colours(self) -> Floats:
        """(K, 3) RGB amplitudes."""
        ...


CodeT = TypeVar("CodeT", bound=Waves)


@dataclass(frozen=True, slots=True)
class CodeSelection(Generic[CodeT]):
    """What `optimise_codes` chose.

    Attributes:
        codes: class name → code, for the classes that were asked for.
        csd_before: CSD of the codes as first drawn, frozen ones included; None for one class.
        csd_after: CSD of the codes chosen.
        candidates: of each class.
    """

    codes: dict[str, CodeT]
    csd_before: float | None
    csd_after: float | None
    candidates: int


def crop_views(count: int = 8, min_scale: float = 0.35) -> Floats:
    """What RandomResizedCrop does to a frequency: factors for (fy, fx), (count, 2).

    A low-discrepancy set of areas in [min_scale, 1] and aspects in [3/4, 4/3].
    """
    index = np.arange(count) + 0.5
    area = min_scale + (1 - min_scale) * index / count
    aspect = np.exp((2 * (index * 0.618034 % 1) - 1) * np.log(4 / 3))
    scale: Floats = np.stack([np.sqrt(area / aspect), np.sqrt(area * aspect)], axis=1)
    return np.minimum(scale, 1)


def texture_features(codes: Sequence[Waves], views: Floats | None = None) -> NDArray[np.float32]:
    """What is left of each code when its phase, its place and its handedness are forgotten.

    Per view, scale bin and orientation bin: the second moments of the waves' colours, each colour
    in units of the photographs' own spread there and saturating where it drowns them; a wave and
    its mirror image are one; the square root makes a power an amplitude.

    Args:
        codes: n codes; they may differ in their number of waves.
        views: (v, 2) factors on (fy, fx); `crop_views` when left out.

    Returns:
        (n, v, 384) float32.
    """
    factors = crop_views() if views is None else views
    frequencies, whitened = _padded(codes)
    row, column = np.triu_indices(3)
    weight = np.where(row == column, 1, np.sqrt(2))
    moments = (whitened[..., row] * whitened[..., column] * weight).astype(np.float32)
    view_frequencies = frequencies[:, None] * factors[None, :, None, :]
    octave = np.log2(np.hypot(view_frequencies[..., 0], view_frequencies[..., 1]))[..., None]
    angle = np.arctan2(view_frequencies[..., 0], view_frequencies[..., 1])[..., None]
    in_band = np.exp(-0.5 * ((octave - BANDS) / BAND_WIDTH) ** 2)
    turned = np.stack([angle - ORIENTATIONS, -angle - ORIENTATIONS])
    in_turn = np.exp(ORIENTATION_FOCUS * (np.cos(2 * turned) - 1)).sum(axis=0)
    bins = (in_band[..., :, None] * in_turn[..., None, :]).astype(np.float32)
    bins = bins.reshape(*bins.shape[:3], -1)
    power: NDArray[np.float32] = bins.swapaxes(2, 3) @ moments[:, None]
    amplitude: NDArray[np.float32] = np.sign(power) * np.sqrt(np.abs(power))
    return amplitude.reshape(len(codes), len(factors), -1)


def texture_csd(codes: Sequence[Waves]) -> float | None:
    """CSD of ``codes``, as the module's head defines it; None for fewer than two.

    Each code's samples are its views, as a class's samples are its images in the paper.
    """
    if len(codes) < 2:
        return None
    centres, spreads = _statistics(codes)
    cost = _cost(centres, spreads, centres, spreads)
    np.fill_diagonal(cost, 0)
    return float(cost.sum() / (len(codes) * (len(codes) - 1)))


def optimise_codes(
    class_seeds: Mapping[str, bytes],
    draw: Callable[[bytes], CodeT],
    *,
    frozen: Mapping[str, CodeT] | None = None,
    pool: int | None = None,
    sweeps: int = 10,
    view: Callable[[CodeT], CodeT] = lambda code: code,
    on_step: Callable[[float], None] | None = None,
) -> CodeSelection[CodeT]:
    """Choose each class's code among its own keyed candidates so that CSD over all is low.

    Greedy in the order of the names, then one class at a time until nothing changes. Candidate 0
    is ``draw(seed)``, so that ``pool=1`` gives the random codes that this has to beat.

    Args:
        class_seeds: class name → secret bytes; the candidates depend on nothing else.
        draw: seed → code, `draw_code` with a recipe.
        frozen: codes of classes that exist already; they take part and do not change.
        pool: candidates per class; `pool_for` as many classes when left out.
        sweeps: most rounds over the classes.
        view: what of a code takes part in the choice.
        on_step: called with the share done, in [0, 1].

    Returns:
        The codes; independent of the mappings' order.
    """
    names = sorted(class_seeds)
    fixed = [view(frozen[name]) for name in sorted(frozen)] if frozen else []
    size = pool_for(len(names)) if pool is None else pool
    candidates = [[draw(_candidate(class_seeds[name], i)) for i in range(size)] for name in names]
    viewed = [[view(code) for code in codes] for codes in candidates]
    before = texture_csd([*fixed, *(codes[0] for codes in viewed)])
    if size == 1 or before is None:
        drawn = {name: codes[0] for name, codes in zip(names, candidates, strict=True)}
        return CodeSelection(drawn, before, before, 1)
    picks = _search(viewed, fixed, sweeps, on_step or (lambda share: None))
    chosen = [codes[pick] for codes, pick in zip(candidates, picks, strict=True)]
    after = texture_csd([*fixed, *(view(code) for code in chosen)])
    return CodeSelection(dict(zip(names, chosen, strict=True)), before, after, size)


def pool_for(classes: int) -> int:
    """Candidates for each of so many classes."""
    return max(16, min(POOL, SEARCHED // max(1, classes)))


def _search(
    candidates: Sequence[Sequence[Waves]],
    fixed: Sequence[Waves],
    sweeps: int,
    on_step: Callable[[float], None],
) -> list[int]:
    """Indices of the candidates chosen: greedy, then coordinate descent on the summed cost."""
    count = len(candidates)
    pools = []
    for done, codes in enumerate(candidates):
        pools.append(_statistics(codes))
        on_step(0.5 * (done + 1) / count)
    centres = np.zeros((len(fixed) + count, pools[0][0].shape[1]), np.float32)
    spreads = np.zeros(len(fixed) + count, np.float32)
    if fixed:
        centres[: len(fixed)], spreads[: len(fixed)] = _statistics(fixed)
    taken = np.arange(len(centres)) < len(fixed)
    picks = [-1] * count
    for sweep in range(1 + sweeps):
        before = list(picks)
        for index, (middle, spread) in enumerate(pools):
            place = len(fixed) + index
            taken[place] = False
            cost = _cost(middle, spread, centres[taken], spreads[taken]).sum(axis=1)
            picks[index] = int(np.argmin(cost))
            centres[place], spreads[place] = middle[picks[index]], spread[picks[index]]
            taken[place] = True
        on_step(0.5 + 0.5 * (sweep + 1) / (1 + sweeps))
        if picks == before:
            break
    on_step(1.0)
    return picks


def _candidate(seed: bytes, index: int) -> bytes:
    return seed if index == 0 else sha256(seed + index.to_bytes(4, "big")).digest()


def _padded(codes: Sequence[Waves]) -> tuple[Floats, Floats]:
    """Frequencies (n, K, 2) and colours in units of the photographs' spread (n, K, 3).

    The clip shares the amplitude of a code's colour among its waves about as their squares.
    """
    most = max(len(code.frequencies) for code in codes)
    frequencies = np.ones((len(codes), most, 2))
    share = np.zeros((len(codes), most, 3))
    for index, code in enumerate(codes):
        waves = len(code.frequencies)
        frequencies[index, :waves] = code.frequencies
        share[index, :waves] = code.colours / np.sqrt(waves)
    cycles = np.hypot(frequencies[..., 0], frequencies[..., 1])
    chroma = CHROMA_NOISE * (NOISE_AT / cycles[..., None]) ** CHROMA_SLOPE
    noise = np.concatenate([np.full_like(chroma[..., :1], LUMA_NOISE), chroma], axis=-1)
    ratio = share @ OPPONENT.T / noise
    return frequencies, ratio / np.sqrt(1 + (ratio**2).sum(axis=-1, keepdims=True) / 4)


def _statistics(codes: Sequence[Waves]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centroids (n, 384) and spreads (n,), the floor included; in slices, for memory's sake."""
    centres, spreads = [], []
    for start in range(0, len(codes), 256):
        features = texture_features(codes[start : start + 256])
        centre = features.mean(axis=1)
        centres.append(centre)
        distance = np.sqrt(((features - centre[:, None]) ** 2).sum(axis=2))
        spreads.append(FLOOR + distance.mean(axis=1))
    return np.concatenate(centres), np.concatenate(spreads)


def _cost(
    centres: NDArray[np.float32],
    spreads: NDArray[np.float32],
    others: NDArray[np.float32],
    other_spreads: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(σ_i + σ_j) / d_ij for every pair, (n, m)."""
    squares = (centres**2).sum(axis=1)[:, None] + (others**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squares - 2 * centres @ others.T, 1e-6))
    cost: NDArray[np.float32] = (spreads[:, None] + other_spreads) / distance
    return cost
