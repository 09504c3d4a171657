"""CIEDE2000, the colour difference that a human eye reports, from pixel values read as sRGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

# IEC 61966-2-1 primaries to XYZ, divided by the D65 white point, so that white is (1, 1, 1).
_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_XYZ_WHITE = _XYZ / _XYZ.sum(axis=1, keepdims=True)


def srgb_to_lab(rgb: NDArray[Any]) -> _Floats:
    """Convert sRGB to CIE L*a*b* under D65.

    Args:
        rgb: values in [0, 1], (..., 3).

    Returns:
        L* in [0, 100], a*, b*; (..., 3).
    """
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ_WHITE.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(lab1: _Floats, lab2: _Floats) -> _Floats:
    """Colour difference ΔE00 with kL = kC = kH = 1.

    About 1 is a just noticeable difference between two large even patches side by side. Names
    follow G. Sharma, W. Wu and E. N. Dalal, "The CIEDE2000 Color-Difference Formula:
    Implementation Notes, Supplementary Test Data, and Mathematical Observations", Color Research
    and Application 30 (1), 2005.

    Args:
        lab1: L*, a*, b*, (..., 3).
        lab2: the same shape.

    Returns:
        ΔE00, (...).
    """
    l1, a1, b1 = lab1[..., 0], lab1[..., 1], lab1[..., 2]
    l2, a2, b2 = lab2[..., 0], lab2[..., 1], lab2[..., 2]
    c_bar7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(c_bar7 / (c_bar7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    # arctan2(0, 0) is 0, as the paper asks of a gray.
    h1, h2 = np.arctan2(b1, a1), np.arctan2(b2, a2)

    chroma = c1 * c2
    # The hue difference and the mean hue take the short way round the circle; with a gray on
    # either side the difference is 0 and the mean is the sum (equations 10 and 14).
    turn = h2 - h1
    dh = np.where(chroma == 0, 0, turn - 2 * np.pi * np.rint(turn / (2 * np.pi)))
    h1, h2 = h1 % (2 * np.pi), h2 % (2 * np.pi)
    far = np.abs(h1 - h2) > np.pi
    h_bar = (h1 + h2 + np.where(far, 2 * np.pi, 0)) / 2 % (2 * np.pi)
    h_bar = np.where(chroma == 0, h1 + h2, h_bar)

    d_l, d_c, d_h = l2 - l1, c2 - c1, 2 * np.sqrt(chroma) * np.sin(dh / 2)
    l_bar, c_bar = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(h_bar - np.pi / 6)
        + 0.24 * np.cos(2 * h_bar)
        + 0.32 * np.cos(3 * h_bar + np.pi / 30)
        - 0.20 * np.cos(4 * h_bar - np.deg2rad(63))
    )
    d_theta = np.deg2rad(30) * np.exp(-(((np.rad2deg(h_bar) - 275) / 25) ** 2))
    r_c = 2 * np.sqrt(c_bar**7 / (c_bar**7 + 25.0**7))
    s_l = 1 + 0.015 * (l_bar - 50) ** 2 / np.sqrt(20 + (l_bar - 50) ** 2)
    s_c = 1 + 0.045 * c_bar
    s_h = 1 + 0.015 * c_bar * t
    r_t = -np.sin(2 * d_theta) * r_c
    l_term, c_term, h_term = d_l / s_l, d_c / s_c, d_h / s_h
    square = l_term**2 + c_term**2 + h_term**2 + r_t * c_term * h_term
    return np.asarray(np.sqrt(np.maximum(square, 0)))
