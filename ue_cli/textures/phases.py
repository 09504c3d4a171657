"""Where a texture's waves stand in one photo: in step with what the photo has of them itself.

A wave of a class is added to a picture that has some of that wave already, as every natural image
has some of everything. In step with it, place by place, the two add up; at a phase of its own, the
picture is noise to the wave. So each wave's local phase is the photo's own in a band around the
wave's frequency (Gabor's analytic signal; Daugman, JOSA A 1985), coarsely sampled. Where the photo
has nothing, the phase is the key's. Phases differ from photo to photo, so that class means vanish.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ue_cli.textures.texture import TextureCode, phases_for
from ue_cli.types import FloatArray

PhasorArray = NDArray[np.complex128]

FAINT = 0.5
"""Levels: amplitude below which the key's phase decides and not the photo's."""


LONGEST = 16
"""Aspect ratio beyond which a photo has the key's phases: its grid would grow without end."""


def keyed_phasors(seed: bytes, code: TextureCode) -> PhasorArray:
    """One phase per wave for the whole photo, from its seed alone, (K, 1, 1)."""
    turns = np.exp(1j * phases_for(seed, len(code.frequencies)))
    phasors: PhasorArray = turns[:, None, None].astype(np.complex128)
    return phasors


def local_phasors(
    seed: bytes, code: TextureCode, picture: FloatArray, bandwidth: float
) -> PhasorArray:
    """Where each wave stands, and how strong, at the nodes of a grid over the frame.

    Of a class's waves, those that the photo has most of at a place are given most there.

    Args:
        seed: of the photo.
        code: of its class.
        picture: (h, w, 3) RGB in levels, as displayed; a small copy will do.
        bandwidth: standard deviation of the band around a wave, as a share of its frequency.

    Returns:
        (K, rows, columns), of norm √K over the waves. Nodes are evenly spaced from edge to edge,
        at most one standard deviation of the finest wave's window apart; (K, 1, 1) for photos
        longer than `LONGEST`.
    """
    height, width = picture.shape[:2]
    short = min(height, width)
    if max(height, width) > LONGEST * short:
        return keyed_phasors(seed, code)
    cycles = np.hypot(code.frequencies[:, 0], code.frequencies[:, 1])
    windows = 1 / (2 * math.pi * bandwidth * cycles)
    level = picture @ code.colour
    level -= level.mean()
    left = _demodulation(height, short, code.frequencies[:, 0], windows)
    right = _demodulation(width, short, code.frequencies[:, 1], windows)
    amplitudes = left @ level.astype(np.complex128) @ right.swapaxes(1, 2)
    amplitudes += FAINT * keyed_phasors(seed, code)
    strength = np.sqrt((np.abs(amplitudes) ** 2).mean(axis=0))
    phasors: PhasorArray = amplitudes / np.maximum(strength, 1e-12)
    return phasors


def _demodulation(
    length: int, short: int, frequencies: FloatArray, windows: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Weights that take the local amplitude of each wave along one axis, (K, nodes, length)."""
    at = (np.arange(length) + 0.5) / short
    extent = length / short
    nodes = np.linspace(0, extent, 1 + math.ceil(extent / windows.min()))
    distance = (nodes[None, :, None] - at) / windows[:, None, None]
    weights = np.exp(-0.5 * distance**2)
    weights /= weights.sum(axis=2, keepdims=True)
    carrier = np.exp(-2j * math.pi * frequencies[:, None, None] * at)
    out: NDArray[np.complex128] = (weights * carrier).astype(np.complex128)
    return out
