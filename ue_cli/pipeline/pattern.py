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


@dataclass(frozen=True, slots=True)
class CellPattern:
    """A bank of cells stretched over the frame (CSD in pixel space).

    Attributes:
        bank: one entry per class.
    """

    bank: Bank

    def field(self, label: str, seed: bytes, height: int, width: int) -> Field:
        """See `Pattern.field`; the seed chooses among a class's samples."""
        variant = int.from_bytes(seed[:8], "big")
        return cell_field(self.bank, label, variant, height=height, width=width)
