"""Which texture a collection gets: by its look, and by the size of its photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ue_cli.textures.texture import TextureCode, TextureRecipe
from ue_cli.types import Look

PHOTOS = TextureRecipe(low=10, high=16)
"""Measured with trainers that read 96 and 128 pixels (docs/looks.md)."""
SMALL = TextureRecipe(low=8, high=16)
TINY = TextureRecipe(low=7, high=13)
FILLING = TextureRecipe(waves=2, low=4, high=8, gain=4.6, colours="blue-yellow")
"""The whole ball, plainly visible, three quarters of it luma: what JPEG and gray leave most of."""

SMALL_SIDE, TINY_SIDE = 128, 48
"""Pixels of a typical photo's short side up to which images are small, and tiny."""


def choice_view(recipe: TextureRecipe) -> Callable[[TextureCode], TextureCode]:
    """What of codes is compared when they are chosen.

    Photographs have content in every hue, so that classes which differ in hue alone are learned
    late: five classes of flowers, one key, choosing by hue too, leave 36.8 (63.7) instead of 30.3
    (52.2). Small images, whose own JPEGs left little chroma, gain by it: 28.0 (50.0) instead of
    37.6 (52.4) (docs/looks.md).
    """
    if recipe != PHOTOS:
        return lambda code: code
    return lambda code: replace(code, colour=np.sign(code.colour))


def texture_recipe(look: Look, short_side: int | None) -> TextureRecipe:
    """The preset of a collection; the same for all collections of like photos.

    Args:
        look: the bound on what is seen.
        short_side: of a typical photo, in pixels; None where no photo says its size.
    """
    if look.jod is None:
        return FILLING
    if short_side is None or short_side > SMALL_SIDE:
        return PHOTOS
    return SMALL if short_side > TINY_SIDE else TINY
