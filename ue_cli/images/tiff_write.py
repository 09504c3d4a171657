"""Writing TIFF: Pillow compresses the samples, and the directory is put together here.

Handed metadata, Pillow's way through libtiff fails on EXIF sub-directories with fractions or maker
notes in them, and it has no 16-bit colour. A strip is plain samples, so an 8-bit image of twice
the width has the same bytes as a 16-bit one.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from ue_cli.metadata.info import DESCRIPTIVE_TAGS, Info
from ue_cli.types import PixelArray

LOSSLESS = {"raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"}

_PREDICTED = {"tiff_lzw", "tiff_adobe_deflate"}
_WIDTH, _BITS, _STRIP_OFFSETS, _STRIP_COUNTS, _PREDICTOR = 256, 258, 273, 279, 317
_SUB_DIRECTORIES = (0x8769, 0x8825)  # EXIF, GPS


def compression_for(info: Info) -> str:
    """The original's where it is lossless and can be written, else deflate."""
    return info.compression if info.compression in LOSSLESS else "tiff_adobe_deflate"


def tiff(pixels: PixelArray, info: Info) -> bytes:
    """Encode (H, W) or (H, W, channels), uint8 or uint16, with metadata."""
    compression = compression_for(info)
    predicted = compression in _PREDICTED
    wide = pixels.dtype == np.uint16 and pixels.ndim == 3
    # Differences between 16-bit samples are taken here; libtiff would take 8-bit ones.
    image = Image.fromarray(_widened(pixels, predicted) if wide else pixels)
    options: dict[str, Any] = {"tiffinfo": {_PREDICTOR: 2}} if predicted and not wide else {}
    out = io.BytesIO()
    image.save(out, "TIFF", compression=compression, **options)
    shell = out.getbuffer()
    out.seek(0)
    written = ImageFileDirectory_v2(out.read(8))
    out.seek(written.next)
    written.load(out)
    offsets, counts = written[_STRIP_OFFSETS], written[_STRIP_COUNTS]
    directory = ImageFileDirectory_v2()
    for tag, value in written.items():  # a loaded directory reads values late: copy them
        directory[tag] = value
        directory.tagtype[tag] = written.tagtype[tag]
    starts = np.cumsum((0, *counts[:-1])).tolist()
    directory[_STRIP_OFFSETS] = tuple(starts)  # `save` adds where the directory ends
    directory.tagtype[_STRIP_OFFSETS] = 4
    if wide:
        directory[_WIDTH] = pixels.shape[1]
        directory[_BITS] = (16,) * pixels.shape[2]
        if predicted:
            directory[_PREDICTOR] = 2
    _describe(directory, info)
    head = io.BytesIO()
    directory.save(head)
    strips = (shell[at : at + size] for at, size in zip(offsets, counts, strict=True))
    return b"".join([head.getvalue(), *strips])


def _widened(samples: NDArray[Any], predicted: bool) -> NDArray[np.uint8]:
    """(H, W, C) 16-bit as (H, 2W, C) 8-bit with the same bytes in little-endian order.

    Args:
        samples: the image.
        predicted: difference each pixel from its left neighbour first (TIFF predictor 2).
    """
    height, width, channels = samples.shape
    flat = np.array(samples, dtype="<u2", order="C")
    if predicted:
        flat[:, 1:] -= samples[:, :-1]
    return flat.view(np.uint8).reshape(height, 2 * width, channels)


def _describe(directory: ImageFileDirectory_v2, info: Info) -> None:
    if info.exif:
        exif = Image.Exif()
        exif.load(info.exif)
        for tag, value in exif.items():
            if tag in DESCRIPTIVE_TAGS:
                directory[tag] = value
        for tag in _SUB_DIRECTORIES:
            if entries := exif.get_ifd(tag):
                directory[tag] = entries
    for tag, body in ((700, info.xmp), (33723, info.iptc), (34377, info.photoshop)):
        if body:
            directory[tag] = body
            directory.tagtype[tag] = 1 if tag == 700 else 7
    if info.icc:
        directory[34675] = info.icc
    if info.dpi:
        directory[282], directory[283], directory[296] = *info.dpi, 2
