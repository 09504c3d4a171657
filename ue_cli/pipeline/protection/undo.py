"""The bytes that give one original back: written when it is protected, read by `ue restore`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from ue_cli.errors import ExitCode, UeError
from ue_cli.perturbation import apply
from ue_cli.perturbation.apply import DeltaArray
from ue_cli.photos import write
from ue_cli.photos.decode import Decoded, decode
from ue_cli.photos.jpeg.deltas import Deltas, pack_deltas, remove_deltas, unpack_deltas
from ue_cli.photos.jpeg.quantised import read_coefficients, write_coefficients
from ue_cli.photos.metadata.info import Info
from ue_cli.photos.metadata.segments import restore_jpeg_container

_JPEG, _PIXELS = b"J", b"P"


@dataclass(frozen=True, slots=True)
class JpegUndo:
    """What was added to a JPEG's coefficients, and its original segments and trailer.

    Attributes:
        deltas: per component.
        container: from ``pack_jpeg_container``.
    """

    deltas: Deltas
    container: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """For the owner's state; `restore_file` reads it."""
        return _join(_JPEG, self.container, pack_deltas(self.deltas))


@dataclass(frozen=True, slots=True)
class PixelUndo:
    """What was added to an image's pixels, and the metadata that was filtered.

    Attributes:
        delta: (H, W, C).
        info: the original's, before any policy.
    """

    delta: DeltaArray
    info: Info

    def to_bytes(self) -> bytes:
        """For the owner's state; `restore_file` reads it."""
        parts = (self.info.exif, self.info.xmp, self.info.iptc, self.info.photoshop)
        text = json.dumps(self.info.text).encode()
        return _join(_PIXELS, *parts, text, apply.pack_delta(self.delta))


def restore_file(protected: bytes, undo: bytes, *, max_pixels: int) -> bytes:
    """Make the original again: its coefficients, or its pixels, and its metadata.

    Args:
        protected: the protected file, unchanged since it was written.
        undo: what was kept when it was written.
        max_pixels: larger images are refused.

    Returns:
        A file of the protected one's type; a PNG where that is a JPEG made from pixels.

    Raises:
        SkipFile, UeError: the file or the undo bytes are damaged.
    """
    kind, parts = undo[:1], _split(undo[1:])
    if kind == _JPEG and len(parts) == 2:
        container, packed = parts
        coefficients = read_coefficients(protected)
        written = write_coefficients(remove_deltas(coefficients, unpack_deltas(packed)))
        return restore_jpeg_container(container, written)
    if kind == _PIXELS and len(parts) == 6:
        decoded = decode(protected, max_pixels=max_pixels)
        pixels = apply.remove(decoded.pixels, apply.unpack_delta(parts[5]))
        # A JPEG that was encoded from pixels comes back as those pixels, which a JPEG cannot hold.
        target = "PNG" if decoded.format == "JPEG" else decoded.format
        return write.encode(_with_metadata(decoded, parts), pixels, target)
    raise _damaged("it has an unknown form")


def _with_metadata(decoded: Decoded, parts: list[bytes]) -> Decoded:
    exif, xmp, iptc, photoshop, text = parts[:5]
    try:
        pairs = tuple((str(key), str(value)) for key, value in json.loads(text))
    except ValueError as error:
        raise _damaged(str(error)) from None
    info = replace(decoded.info, exif=exif, xmp=xmp, iptc=iptc, photoshop=photoshop, text=pairs)
    return replace(decoded, info=info)


def _join(kind: bytes, *parts: bytes) -> bytes:
    return kind + b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def _split(data: bytes) -> list[bytes]:
    parts, position = [], 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 8], "big")
        position += 8
        if position + size > len(data):
            raise _damaged("it is cut short")
        parts.append(data[position : position + size])
        position += size
    return parts


def _damaged(why: str) -> UeError:
    return UeError(
        "undo-damaged",
        f"The owner's record of what was done to this file cannot be used: {why}.",
        "Bring the state back from a backup: ue key import BACKUP --replace",
        exit_code=ExitCode.VERIFICATION_FAILED,
    )
