"""The one decoder: it reads originals and protected files, and L∞ is between its two outputs.

What each kind of file becomes (never rotated, never colour-converted):

- 8-bit grayscale and RGB, with or without alpha: as stored. Colours under alpha 0 stay.
- 16-bit grayscale: uint16. 16-bit RGB and RGBA in PNG and TIFF: uint16, although Pillow itself
  reads only their upper bytes. Other 16-bit colour is skipped rather than silently cut to 8 bits.
- Palettes become true colour, bilevel becomes grayscale 0/255, a PNG colour key becomes alpha:
  changed pixels would not fit the palette, or would no longer match the key.
- JPEG YCbCr becomes RGB by the decoder itself. An MPO is the JPEG it begins with.
- Animations, multi-page files, CMYK, LAB, HSV, 32-bit and vector formats are skipped, and so is
  all that is truncated, damaged or no image.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, features
from PIL import __version__ as _pillow

from ue_cli.errors import SkipFile
from ue_cli.images.opening import DEFAULT_MAX_PIXELS, damaged, open_still, pillow, read_file
from ue_cli.metadata import containers
from ue_cli.metadata.info import Info, read_info, read_tiff_info
from ue_cli.types import PixelArray

_jpeg = features.version("libjpeg_turbo")
DECODER = (
    f"Pillow {_pillow}, {f'libjpeg-turbo {_jpeg}' if _jpeg else 'libjpeg'}, "
    "accurate DCT, fancy upsampling"
)

_LOSSY = {"JPEG", "AVIF", "HEIF", "JPEG2000"}
_LOW_BYTES = {  # the unpacker that reads the bytes which this one drops
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if np.little_endian else "RGB;16L",
    "RGBA;16B": "RGBA;16L",
    "RGBA;16L": "RGBA;16B",
    "RGBA;16N": "RGBA;16B" if np.little_endian else "RGBA;16L",
}
_TRANSPOSED = {5, 6, 7, 8}


@dataclass(frozen=True, slots=True)
class Decoded:
    """One still image.

    Attributes:
        pixels: (H, W, C), uint8 or uint16, C 1 or 3, contiguous, in *stored* orientation.
        alpha: (H, W) of the same dtype, or None.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``TIFF``, ``BMP``, ... as Pillow names it.
        orientation: EXIF, 1 to 8; 1 where there is none or it is invalid.
        lossless: whether the file's own codec keeps pixels exactly.
        info: metadata.
        notes: what the owner should read about how this file was decoded.
    """

    pixels: PixelArray
    alpha: PixelArray | None
    format: str
    orientation: int
    lossless: bool
    info: Info = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Of the displayed image."""
        return int(self.pixels.shape[1 if self.orientation in _TRANSPOSED else 0])

    @property
    def width(self) -> int:
        """Of the displayed image."""
        return int(self.pixels.shape[0 if self.orientation in _TRANSPOSED else 1])


def decode(
    data: bytes | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, draft: int | None = None
) -> Decoded:
    """Decode one still image completely.

    Args:
        data: the file's bytes, or where it lies.
        max_pixels: more than this is refused before any pixel is decoded.
        draft: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as its shorter side
            keeps so many pixels; None: whole.

    Raises:
        SkipFile: ``unreadable-file``, ``too-large``, ``empty``, ``not-an-image``, ``heif-missing``,
            ``too-many-pixels``, ``animated``, ``colour-mode``, ``16-bit-colour``, ``truncated``
            or ``corrupt``.
    """
    raw = read_file(data, max_pixels) if isinstance(data, Path) else data
    with pillow(max_pixels), open_still(raw, max_pixels) as image:
        # Pillow meets damaged files with a dozen exception types; none may end the run.
        try:
            if draft is not None:
                image.draft(None, (draft, draft))
            return _decode(image, raw)
        except SkipFile:
            raise
        except MemoryError:
            raise SkipFile("too-many-pixels", "There is not enough memory to decode it.") from None
        except Exception as error:
            raise damaged(raw, error) from None


def _decode(image: ImageFile.ImageFile, raw: bytes) -> Decoded:
    name = {"MPO": "JPEG", "DIB": "BMP"}.get(image.format or "", image.format or "")
    info, orientation, undo = read_tiff_info(image) if name == "TIFF" else (None, 1, 1)
    lossless = (
        name not in _LOSSY
        and (name != "WEBP" or containers.is_lossless_webp(raw))
        and (info is None or info.compression not in ("jpeg", "tiff_jpeg", "webp"))
    )
    deep = _deep_rawmode(image, name, raw)
    image.load()
    pixels, notes = _array(image)
    if deep:
        pixels = _with_low_bytes(pixels, raw, deep)
    if undo != 1:
        pixels = _undo_transpose(pixels, undo)
    if info is None:
        info = read_info(image, name, raw)
        orientation = containers.exif_orientation(info.exif)
    colours = 3 if pixels.shape[2] > 2 else 1
    alpha = _contiguous(pixels[..., colours]) if pixels.shape[2] > colours else None
    return Decoded(
        pixels=_contiguous(pixels[..., :colours]),
        alpha=alpha,
        format=name,
        orientation=orientation,
        lossless=lossless,
        info=info,
        notes=notes,
    )


def _contiguous(array: PixelArray) -> PixelArray:
    """The same values in C order, without a copy where they are."""
    return np.ascontiguousarray(array)  # type: ignore[return-value]  # keeps the dtype


def _array(image: Image.Image) -> tuple[PixelArray, tuple[str, ...]]:
    """(H, W, channels) of a loaded image, alpha last."""
    mode = image.mode
    keyed = "transparency" in image.info
    notes: tuple[str, ...] = ()
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if keyed or image.has_transparency_data else "RGB")
        notes = ("The palette was expanded to true colour.",)
    elif mode == "1":
        image = image.convert("L")
        notes = ("Bilevel pixels became grayscale.",)
    elif keyed and mode in ("L", "RGB"):
        image = image.convert("LA" if mode == "L" else "RGBA")
        notes = ("The transparent colour became an alpha channel.",)
    elif mode == "RGBX":
        image = image.convert("RGB")
        notes = ("A fourth channel of no stated meaning was dropped.",)
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        array: NDArray[Any] = np.asarray(image)
    elif image.mode.startswith("I;16"):
        if keyed:
            raise SkipFile("16-bit-colour", "16-bit grayscale with transparency cannot be written.")
        array = np.asarray(image).astype(np.uint16, copy=False)
    elif mode == "I" and image.format == "PPM":  # what Pillow makes of a 16-bit PGM
        array = np.asarray(image).astype(np.uint16)
    else:
        raise SkipFile(
            "colour-mode",
            f"{_MODE_NAMES.get(mode, mode)} cannot be protected; grayscale and RGB can.",
        )
    return (array[..., None] if array.ndim == 2 else array), notes


_MODE_NAMES = {
    "CMYK": "A CMYK image",
    "LAB": "A L*a*b* image",
    "HSV": "An HSV image",
    "YCbCr": "A YCbCr image",
    "I": "A 32-bit integer image",
    "F": "A floating-point image",
}


def _deep_rawmode(image: ImageFile.ImageFile, name: str, raw: bytes) -> str:
    """The raw mode of a 16-bit colour image's lower bytes; empty where there are none.

    Raises:
        SkipFile: 16-bit colour of which Pillow would read 8 bits, with no way to the others.
    """
    args = image.tile[0].args if image.tile else None
    rawmode = args[0] if isinstance(args, tuple) else args
    deep = isinstance(rawmode, str) and ";16" in rawmode and not image.mode.startswith("I")
    if deep and name in ("PNG", "TIFF") and rawmode in _LOW_BYTES and len(image.tile) >= 1:
        if "transparency" not in image.info:
            return _LOW_BYTES[str(rawmode)]
    if deep or (name == "PPM" and containers.ppm_is_deep_colour(raw)):
        raise SkipFile(
            "16-bit-colour",
            f"This kind of 16-bit colour {name} cannot be written back at 16 bits; "
            "save it as a plain 16-bit RGB PNG or TIFF.",
        )
    return ""


def _with_low_bytes(high: PixelArray, raw: bytes, rawmode: str) -> PixelArray:
    """16-bit colour from two passes: Pillow's, and one that unpacks the bytes it drops."""
    with Image.open(io.BytesIO(raw), formats=["PNG", "TIFF"]) as image:
        image.tile = [
            tile._replace(
                args=(rawmode, *tile.args[1:]) if isinstance(tile.args, tuple) else rawmode
            )
            for tile in image.tile
        ]
        image.load()
        deep: NDArray[np.uint16] = high.astype(np.uint16) << 8 | np.asarray(image)
        return deep


def displayed(pixels: PixelArray, orientation: int) -> PixelArray:
    """From stored to displayed orientation; (h, w) or (h, w, c), a view."""
    return _undo_transpose(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def _undo_transpose(pixels: PixelArray, orientation: int) -> PixelArray:
    """Back to stored orientation: of all formats, Pillow turns TIFFs upright on load."""
    if orientation in (2, 3):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4):
        pixels = pixels[::-1]
    if orientation == 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation == 6:
        pixels = np.rot90(pixels)
    if orientation == 7:
        pixels = np.rot90(pixels, 2).swapaxes(0, 1)
    if orientation == 8:
        pixels = np.rot90(pixels, -1)
    return pixels
