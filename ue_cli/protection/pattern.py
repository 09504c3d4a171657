"""What a collection's classes carry: from (class, photo's seed, photo) to the photo's field."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

import numpy as np

from ue_cli.banks.layout import cell_field
from ue_cli.images.decode import Decoded
from ue_cli.owner.key import Subkey
from ue_cli.textures.phases import keyed_phasors, local_phasors
from ue_cli.textures.texture import TextureCode, TextureField
from ue_cli.textures.visibility import turned
from ue_cli.types import Bank, Field, PixelArray


class Pattern(Protocol):
    """A collection's perturbation; small and picklable, so that every worker has it."""

    def field(self, label: str, seed: bytes, photo: Decoded, small: PixelArray) -> Field:
        """The field of one displayed image, at full amplitude.

        Args:
            label: its class.
            seed: 32 bytes that belong to its name.
            photo: the image itself, as it was before.
            small: (h, w, 3) uint8, a small copy of it as displayed.
        """
        ...


@dataclass(frozen=True, slots=True)
class TexturePattern:
    """Class textures (CSD in texture space, and random codes).

    What varies from photo to photo follows from the photo's pixels, so that a photo that is
    renamed, moved or published twice carries the same perturbation each time, and no two versions
    of it can be averaged.

    Attributes:
        codes: class name -> code.
        bandwidth: of the phases that each photo gives its waves (`phases.local_phasors`); with 0
            they are the key's alone.
        secret: of the textures.
    """

    codes: dict[str, TextureCode]
    bandwidth: float
    secret: Subkey

    def field(self, label: str, seed: bytes, photo: Decoded, small: PixelArray) -> Field:
        """See `Pattern.field`; a photo's name does not matter here."""
        code = self.codes[label]
        pixel_seed = self.secret.pixel_seed(turned(photo.pixels, photo.orientation))
        if self.bandwidth > 0:
            phasors = local_phasors(pixel_seed, code, small.astype(np.float64), self.bandwidth)
        else:
            phasors = keyed_phasors(pixel_seed, code)
        return TextureField(code, phasors, photo.height, photo.width)


PLACES = "places"
"""In a bank's recipe: which photo has which of its class's patterns for its own."""


def place(seed: bytes) -> str:
    """A photo's name in ``PLACES``: of its seed, which says nothing about its path."""
    return seed[:8].hex()


SAMPLES = "samples"
"""The same in the recipe of a bank that was saved for reuse."""


def sample_key(label: str, name: str) -> str:
    """A photo's name in ``SAMPLES``: of its class and its name in the folder."""
    text = f"{label}\0{name}".encode("utf-8", "surrogatepass")
    return sha256(text).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class CellPattern:
    """A bank of cells stretched over the frame (CSD in pixel space, PUE, EM).

    Attributes:
        bank: one or more entries per class.
    """

    bank: Bank

    def field(self, label: str, seed: bytes, photo: Decoded, small: PixelArray) -> Field:
        """See `Pattern.field`; the seed chooses among a class's samples."""
        variant = self.variant(label, seed)
        return cell_field(self.bank, label, variant, height=photo.height, width=photo.width)

    def variant(self, label: str, seed: bytes) -> int:
        """Which of its class's patterns a photo carries: its own, or one by its seed."""
        variant = self.bank.provenance.recipe.get(PLACES, {}).get(place(seed))
        drawn: int = int.from_bytes(seed[:8], "big") if variant is None else variant
        return drawn % len(self.bank.delta[0])
