"""What a viewer sees of a perturbation: a fast model of one look at a still picture.

The model is ColorVideoVDP's (Mantiuk et al., *ColorVideoVDP: a visual difference predictor for
image, video and display distortions*, SIGGRAPH 2024) cut down to a small copy of a still picture:
display and ambient light, opponent channels, contrast against the local background in octave
bands, contrast sensitivity (castleCSF, Ashraf et al., JoV 2024), masking by what the picture itself
has in the band, and pooling over places, bands and channels. Four of its numbers and the scale of
its answer were fitted to the metric itself (docs/lab-notes.md); ``scripts/visibility.py`` measures
how well it agrees on photos that it was not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SIDE = 128
"""Short side, in pixels, of the copy that is looked at: 3 per cycle of the finest wave of 40."""

LEVELS = 5
"""Octave bands, from the copy's finest to 2 cycles over its short side."""

NODES = 3
"""Places are told apart at the copy's size divided by 2 to this power."""

PIXELS_PER_DEGREE = 37.84
"""A 24-inch full-HD screen from 0.6 m: twice its height."""
SCREEN = (1080, 1920)
ENLARGED = 256
"""Pixels of the short side to which smaller pictures are enlarged before they are looked at."""

_PEAK, _BLACK, _REFLECTED = 200.0, 0.2, 250 * 0.005 / np.pi
"""cd/m²: of white, of black, and of an office's 250 lux on the screen."""

_OPPONENT = np.array(
    [[0.2331, 0.7289, 0.0890], [0.1276, -0.0871, -0.0368], [-0.2148, -0.6263, 0.8516]]
)
"""Linear sRGB to luminance, red-green and yellow-violet (DKL at D65, cone fundamentals of 2006)."""

_SENSITIVITY = np.array(
    [
        [1.8786, 0.5765, -0.9696, -0.3127, 0.3515, -0.0909, 0.2099, 0.1100],
        [1.8507, -0.1206, -0.6092, 0.1148, 0.5289, -0.0903, 0.0, 0.0],
        [1.2678, -0.1523, -0.6430, 0.1522, 0.4283, -0.0574, 0.0, 0.0],
    ]
)
"""log10 of the sensitivity of each channel, in 1, r, r², r³, l, l², r·l, r²·l with r = log10 of
cycles per degree and l = log10 cd/m²; within 0.15 (luminance) and 0.03 of castleCSF's table."""

_GAIN = np.array([0.778, 1.404, 1.005])
_EXPONENT = 2.25
"""Of the difference; the metric has 2.264, and this one needs no power function."""
_MASK_EXPONENT = np.array([1.3026, 2.8886, 3.6808])
_MASK_GAIN = 0.183
_MASKING = 2.0 ** np.array(
    [[-0.1895, -5.9622, -4.3183], [2.5656, 0.3441, -2.7196], [3.8118, -1.0052, -0.5193]]
)
"""Row: the channel that masks; column: the channel that is masked."""
_BAND = 0.3635
"""Cycles per pixel in the middle of the finest band."""
_STILL = 0.5779
_JOD_SCALE, _JOD_EXPONENT, _JOD_LINEAR = 0.04396, 0.9302, 0.1

_ENLARGED_ENERGY = 0.59
"""Of what small pictures would show if enlarging did not smooth them, fitted apart."""

SCALE = 3.4
"""By which the loss is multiplied, so that nine photos in ten lose no more than is predicted."""


def linear_light() -> Floats:
    """cd/m² of each of the 256 levels of one channel, as shares of white, (256,)."""
    v = np.arange(256) / 255
    light: Floats = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return light * (_PEAK - _BLACK)


_LIGHT = linear_light()


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture as an eye has it: what is needed to judge any perturbation of it.

    Attributes:
        levels: (h, w, 3) uint8, a small copy of the displayed picture.
        backgrounds: per band, (h', w') cd/m² around each place.
        masks: per band, (h', w', 3): the picture's own contrast in each channel there.
        local: per band, (h'', w'') cd/m² at the band's own pixels.
        densities: of the copy's pixels, per degree, in each of the ways to look at it.
        enlarged: the last of them enlarges the picture.
    """

    levels: NDArray[np.uint8]
    backgrounds: tuple[Floats, ...]
    masks: tuple[Floats, ...]
    local: tuple[Floats, ...]
    densities: tuple[float, ...]
    enlarged: bool


def scene(levels: NDArray[np.uint8], height: int, width: int) -> Scene:
    """Prepare a picture.

    Args:
        levels: (h, w, 3) uint8, a small copy of it as displayed.
        height: of the displayed picture itself, in pixels.
        width: likewise.
    """
    light = _LIGHT[levels]
    opponent = light @ _OPPONENT.T
    opponent[..., 0] += _BLACK + _REFLECTED
    backgrounds, masks, local = [], [], []
    coarse = opponent
    for _ in range(LEVELS):
        fine, coarse = coarse, _reduced(coarse)
        around = _expanded(coarse, fine.shape[:2])
        luminance = np.maximum(around[..., 0], 0.01)
        contrast = np.abs(fine - around) / luminance[..., None]
        masks.append(_pooled(contrast))
        backgrounds.append(_pooled(luminance[..., None])[..., 0])
        local.append(luminance)
    return Scene(
        levels,
        tuple(backgrounds),
        tuple(masks),
        tuple(local),
        _densities(levels, height, width),
        min(height, width) < ENLARGED,
    )


def energies(picture: Scene, change: Floats) -> Floats:
    """What each place contributes to what is seen, in every way to look at the picture.

    Args:
        picture: as it was.
        change: (h, w, 3) levels by which the copy's channels move; small, so that light follows
            its derivative.

    Returns:
        (ways, bands, channels, rows, columns) of `Scene.nodes`: squared differences, which grow
        with the amplitude to the power of `AMPLITUDE_EXPONENT`.
    """
    rows, columns = nodes(picture)
    slope = np.gradient(_LIGHT)
    moved = (slope[picture.levels] * change) @ _OPPONENT.T
    out = np.empty((len(picture.densities), LEVELS, 3, rows, columns))
    coarse = moved
    for band in range(LEVELS):
        fine, coarse = coarse, _reduced(coarse)
        contrast = np.abs(fine - _expanded(coarse, fine.shape[:2]))
        contrast /= picture.local[band][..., None]
        square = contrast * contrast
        power = _pooled(square * square * np.sqrt(contrast))
        background = np.log10(picture.backgrounds[band])
        for way, density in enumerate(picture.densities):
            sensitivity = _sensitivity(_BAND * density / 2**band, background)
            mask = (sensitivity * picture.masks[band] * _MASK_GAIN) ** _MASK_EXPONENT
            response = power * sensitivity ** (2 * _EXPONENT) / (1 + mask @ _MASKING) ** 2
            out[way, band] = _on_nodes(response, rows, columns).transpose(2, 0, 1)
    if picture.enlarged:
        out[-1] *= _ENLARGED_ENERGY
    return out


AMPLITUDE_EXPONENT = 2 * _EXPONENT


def nodes(picture: Scene) -> tuple[int, int]:
    """Rows and columns of the places that are told apart."""
    height, width = picture.levels.shape[:2]
    return max(1, height >> NODES), max(1, width >> NODES)


def quality(energy: Floats) -> float:
    """JOD of the worst way to look, from `energies` after any weighting of places."""
    bands = energy.mean(axis=(-2, -1))
    pooled = _STILL * ((bands**2).sum(axis=(-2, -1)).max()) ** 0.25
    return 10 - float(SCALE * _lost(pooled))


def _lost(pooled: float) -> float:
    """JOD lost for a pooled difference; linear where it is small."""
    if pooled <= _JOD_LINEAR:
        return float(_JOD_SCALE * _JOD_LINEAR ** (_JOD_EXPONENT - 1) * pooled)
    return float(_JOD_SCALE * pooled**_JOD_EXPONENT)


def _densities(levels: NDArray[np.uint8], height: int, width: int) -> tuple[float, ...]:
    """Pixels of the copy per degree: fitted to the screen, at 1:1, or enlarged."""
    copy = levels.shape[1] / width
    fitted = min(1.0, SCREEN[0] / height, SCREEN[1] / width)
    zooms = [fitted]
    if fitted < 1:
        zooms.append(1.0)
    if min(height, width) < ENLARGED:
        zooms.append(ENLARGED / min(height, width))
    return tuple(PIXELS_PER_DEGREE * copy / zoom for zoom in zooms)


def _sensitivity(frequency: float, background: Floats) -> Floats:
    """Of each channel, (h, w, 3), at a frequency in cycles per degree and log10 cd/m²."""
    r = float(np.log10(min(max(frequency, 0.3), 20.0)))
    constant = np.ones_like(background)
    terms = np.stack(
        [
            constant,
            constant * r,
            constant * r**2,
            constant * r**3,
            background,
            background**2,
            r * background,
            r**2 * background,
        ],
        axis=-1,
    )
    out: Floats = 10 ** (terms @ _SENSITIVITY.T) * _GAIN
    return out


def _reduced(image: Floats) -> Floats:
    """Half the size, (h, w, c) → (⌈h/2⌉, ⌈w/2⌉, c), after a binomial filter."""
    return _halved(_halved(image).swapaxes(0, 1)).swapaxes(0, 1)


def _halved(image: Floats) -> Floats:
    if len(image) == 1:
        return image
    padded = np.concatenate([image[2:0:-1] if len(image) > 2 else image[[1, 1]], image])
    tail = image[-2:-4:-1] if len(image) > 2 else image[[0, 0]]
    padded = np.concatenate([padded, tail])
    count = (len(image) + 1) // 2
    span = 2 * count - 1
    out: Floats = 6 * padded[2 : 2 + span : 2]
    out += 4 * (padded[1 : 1 + span : 2] + padded[3 : 3 + span : 2])
    out += padded[0:span:2] + padded[4 : 4 + span : 2]
    out /= 16
    return out


def _expanded(image: Floats, shape: tuple[int, int]) -> Floats:
    """Twice the size, to (h, w, c)."""
    return _doubled(_doubled(image, shape[0]).swapaxes(0, 1), shape[1]).swapaxes(0, 1)


def _doubled(image: Floats, length: int) -> Floats:
    if length == len(image):
        return image
    out = np.empty((length, *image.shape[1:]))
    before = np.concatenate([image[:1], image[:-1]])
    after = np.concatenate([image[1:], image[-1:]])
    out[0::2] = (before + 6 * image + after) / 8
    out[1::2] = ((image + after) / 2)[: length // 2]
    return out


def _pooled(image: Floats) -> Floats:
    return _reduced(_reduced(image))


def _on_nodes(image: Floats, rows: int, columns: int) -> Floats:
    """Means over, or copies of, places, (h, w, c) → (rows, columns, c)."""
    return image[_places(image.shape[0], rows)][:, _places(image.shape[1], columns)]


@lru_cache(maxsize=256)
def _places(have: int, want: int) -> NDArray[np.intp]:
    return np.minimum((np.arange(want) + 0.5) * have / want, have - 1).astype(np.intp)
