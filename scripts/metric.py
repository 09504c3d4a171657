"""ColorVideoVDP as the look is defined: the least quality of all ways to look at a picture."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pycvvdp
import torch
from numpy.typing import NDArray
from PIL import Image

from ue_cli.textures.vision import ENLARGED, SCREEN

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@cache
def _metric() -> Any:
    return pycvvdp.cvvdp(display_name="standard_fhd", quiet=True, device=torch.device("cpu"))


def jod(after: Pixels, before: Pixels) -> float:
    """Quality of one picture beside another, (h, w, 3) each, as a screen shows them."""
    with torch.inference_mode():
        quality, _ = _metric().predict(
            np.ascontiguousarray(after), np.ascontiguousarray(before), dim_order="HWC"
        )
    return float(quality)


def ways(pixels: Pixels) -> list[Pixels]:
    """A picture fitted to the screen, a crop at 1:1 where it is larger, enlarged where small."""
    height, width = pixels.shape[:2]
    image = Image.fromarray(pixels)
    fitted = min(1.0, SCREEN[0] / height, SCREEN[1] / width)
    out = [pixels]
    if fitted < 1:
        size = round(width * fitted), round(height * fitted)
        top, left = max(0, (height - SCREEN[0]) // 2), max(0, (width - SCREEN[1]) // 2)
        out = [
            np.asarray(image.resize(size, Image.Resampling.LANCZOS)),
            pixels[top : top + SCREEN[0], left : left + SCREEN[1]],
        ]
    if min(height, width) < ENLARGED:
        zoom = ENLARGED / min(height, width)
        size = round(width * zoom), round(height * zoom)
        out.append(np.asarray(image.resize(size, Image.Resampling.BICUBIC)))
    return out


def least_jod(after: Pixels, before: Pixels) -> float:
    """The least `jod` of all `ways` to look."""
    return min(jod(a, b) for a, b in zip(ways(after), ways(before), strict=True))
