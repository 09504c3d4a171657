"""What a collection's classes carry: from (class, photo's seed, frame) to the photo's field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ue_cli.perturbation.layout import cell_field
from ue_cli.perturbation.texture import TextureCode, TextureField, phases_for
from ue_cli.types import Bank, Field


class Pattern(Protocol):
    """A collection's perturbation; small and picklable, so that every worker has it."""

    def field(self, label: str, seed: bytes, height: int, width: int) -> Field:
        """The field of one displayed image.

        Args:
            label: its class.
            seed: its own 32 bytes.
            height: of the displayed image, in pixels.
            width: likewise.
        """
        ...


@dataclass(frozen=True, slots=True)
class TexturePattern:
    """Class textures at keyed phases (CSD in texture space, and random codes).

    Attributes:
        codes: class name -> code.
    """

    codes: dict[str, TextureCode]

    def field(self, label: str, seed: bytes, height: int, width: int) -> Field:
        """See `Pattern.field`."""
        code = self.codes[label]
        return TextureField(code, phases_for(seed, len(code.frequencies)), min(height, width))


PLACES = "places"
"""In a bank's recipe: which photo has which of its class's patterns for its own."""


def place(seed: bytes) -> str:
    """A photo's name in ``PLACES``: of its seed, which says nothing about its path."""
    return seed[:8].hex()


@dataclass(frozen=True, slots=True)
class CellPattern:
    """A bank of cells stretched over the frame (CSD in pixel space, PUE, EM).

    Attributes:
        bank: one or more entries per class.
    """

    bank: Bank

    def field(self, label: str, seed: bytes, height: int, width: int) -> Field:
        """See `Pattern.field`; the seed chooses among a class's samples."""
        return cell_field(self.bank, label, self.variant(label, seed), height=height, width=width)

    def variant(self, label: str, seed: bytes) -> int:
        """Which of its class's patterns a photo carries: its own, or one by its seed."""
        own = self.bank.provenance.recipe.get(PLACES, {}).get(place(seed))
        drawn: int = int.from_bytes(seed[:8], "big") if own is None else own
        return drawn % len(self.bank.delta[0])
