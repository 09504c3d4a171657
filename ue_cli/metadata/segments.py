"""JPEG files as marker segments: the original's metadata, filtered, around a freshly coded picture.

Whoever writes new coefficients writes a whole new stream; of it only the tables, frame and scans
are used. Every APPn and COM segment comes from the original, byte for byte and in order, except
what would hand out an unprotected copy of the picture.
"""

from __future__ import annotations

from ue_cli.errors import SkipFile
from ue_cli.metadata.embedded import (
    EOI,
    JPEG_START,
    M_EOI,
    SOI,
    MetadataPolicy,
    Removed,
    jpeg_end,
    walk_jpeg,
)
from ue_cli.metadata.headers import (
    APP0,
    APP2,
    APP15,
    COM,
    ICC,
    Segment,
    add_notice,
    filter_header,
)

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _take_apart(data: bytes) -> tuple[list[Segment], list[memoryview], int, tuple[int, int]]:
    """Header, pieces of the frame (views: photos are large), the trailer's start, the size."""
    header: list[Segment] = []
    frame: list[memoryview] = []
    size: tuple[int, int] | None = None
    view = memoryview(data)
    end, ended = len(data), False
    for piece in walk_jpeg(data):
        end, ended = piece.end, piece.marker == M_EOI
        if _is_metadata(piece.marker):
            header.append((piece.marker, data[piece.payload : piece.end]))
            continue
        frame.append(view[piece.start : piece.end])
        if piece.marker in _SOF and size is None:
            at = piece.payload + 1
            size = (
                int.from_bytes(view[at : at + 2], "big"),
                int.from_bytes(view[at + 2 : at + 4], "big"),
            )
    if size is None:
        raise SkipFile("damaged-jpeg", "The JPEG has no frame header.")
    if not ended:
        frame.append(memoryview(EOI))
    return header, frame, end, size


def _is_metadata(marker: int) -> bool:
    return APP0 <= marker <= APP15 or marker == COM


def finish_jpeg(
    original: bytes, written: bytes, policy: MetadataPolicy, size: tuple[int, int]
) -> tuple[bytes, tuple[Removed, ...]]:
    """Put the original's metadata around a newly written picture.

    Args:
        original: the file that the picture came from.
        written: a JPEG with the new picture; its own APPn and COM segments are ignored.
        policy: what else to remove or add.
        size: (height, width) that ``written`` must have, as stored.

    Returns:
        The file, and what was removed from it. No JPEG starts anywhere inside it but at its start.

    Raises:
        SkipFile: either stream is damaged, or ``written`` has another size.
    """
    header, _, trailer_at, _ = _take_apart(original)
    _, frame, _, (rows, columns) = _take_apart(written)
    if (rows, columns) != size:
        raise SkipFile(
            "damaged-jpeg",
            f"The JPEG writer made {columns}×{rows} pixels of {size[1]}×{size[0]}.",
        )
    header, removed = filter_header(header, policy)
    if trailer := original[trailer_at:]:
        removed.append(Removed.of(_describe_trailer(trailer), trailer))
    if policy.opt_out:
        header, more = add_notice(header)
        removed += more
    clean = [segment for segment in header if not _hides_jpeg(*segment)]
    removed += [
        Removed.of(f"segment {marker:02X} with a picture in it", payload)
        for marker, payload in header
        if _hides_jpeg(marker, payload)
    ]
    return b"".join([SOI, _join(clean), *frame]), tuple(removed)


def _hides_jpeg(marker: int, payload: bytes) -> bool:
    if marker == APP2 and payload.startswith(ICC):
        return any(jpeg_end(payload, at) is not None for at in _starts(payload))
    return JPEG_START in payload


def _starts(data: bytes) -> list[int]:
    offsets = []
    at = data.find(JPEG_START)
    while at >= 0:
        offsets.append(at)
        at = data.find(JPEG_START, at + 1)
    return offsets


def _describe_trailer(trailer: bytes) -> str:
    if b"ftyp" in trailer:
        return "motion-photo film behind the picture"
    if JPEG_START in trailer:
        return "further pictures behind the picture"
    return "data behind the picture" if trailer.strip(b"\0") else "padding behind the picture"


def _join(header: list[Segment]) -> bytes:
    return b"".join(
        bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload
        for marker, payload in header
    )
