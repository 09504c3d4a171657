"""What a website makes of an upload: scaled down, compressed anew, without metadata."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ue_cli.images.decode import decode, displayed
from ue_cli.images.opening import DEFAULT_MAX_PIXELS
from ue_cli.images.square import levels


@dataclass(frozen=True, slots=True)
class WebCopy:
    """How the copy is made.

    Attributes:
        long_edge: pixels; smaller images keep their size.
        quality: of the JPEG, with 4:2:0 chroma.
    """

    long_edge: int
    quality: int

    def of(self, data: bytes | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> bytes:
        """Make the copy: upright, RGB or gray in 8 bits, scaled with a Lanczos filter, no metadata.

        Alpha is dropped, as `read_square` drops it.

        Args:
            data: the file's bytes, or where it lies.
            max_pixels: larger images are refused.

        Returns:
            A JPEG.

        Raises:
            SkipFile: see `decode`.
        """
        decoded = decode(data, max_pixels=max_pixels)
        image = Image.fromarray(levels(displayed(decoded.pixels, decoded.orientation)))
        image.thumbnail((self.long_edge, self.long_edge), Image.Resampling.LANCZOS)
        out = io.BytesIO()
        image.save(out, "JPEG", quality=self.quality, subsampling="4:2:0")
        return out.getvalue()
