"""EXIF, edited in place: no thumbnail, no preview, on request no position; all else stays put.

Nothing ever moves, because MakerNotes hold absolute offsets: entries are taken out of their
directory, and what they pointed to is overwritten with zeros.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ue_cli.metadata.embedded import MetadataPolicy, Removed, find_picture, picture_end
from ue_cli.metadata.photoshop import filter_iptc, filter_photoshop
from ue_cli.metadata.tiff import Entry, Span, Tiff
from ue_cli.metadata.xmp import filter_xmp

_ORIENTATION, _MAKER_NOTE = 0x0112, 0x927C
_EXIF_IFD, _GPS_IFD, _INTEROP_IFD, _SUB_IFDS = 0x8769, 0x8825, 0xA005, 0x014A
_XMP, _PHOTOSHOP, _IPTC = 0x02BC, 0x8649, 0x83BB
# Offsets and byte counts of pictures: strips, tiles, and the JPEG of an EXIF thumbnail.
_PICTURES = ((0x0111, 0x0117), (0x0144, 0x0145), (0x0201, 0x0202))
_PICTURE_TAGS = {tag for pair in _PICTURES for tag in pair}
_THUMBNAIL_DATA = 0x501B  # GDI+ stores a JPEG as the value itself
# GeoTIFF: pixel scale, tie points, transformation, keys.
_GEO = {0x830E, 0x8480, 0x8482, 0x85D8, 0x87AF, 0x87B0, 0x87B1}
_MAX_DIRECTORIES = 64

_Mask = NDArray[np.bool_]


def orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none, or none that makes sense."""
    tiff = Tiff(_split(exif)[1])
    for entry in tiff.entries(tiff.first) if tiff.valid else ():
        values = tiff.integers(entry) if entry.tag == _ORIENTATION else []
        if values and 1 <= values[0] <= 8:
            return values[0]
    return 1


def filter_exif(exif: bytes, policy: MetadataPolicy) -> tuple[bytes | None, list[Removed]]:
    r"""Take embedded pictures, and what ``policy`` names, out of an EXIF block.

    Args:
        exif: a TIFF structure, with or without ``Exif\0\0`` before it, however broken.
        policy: under ``strip_all`` an orientation other than 1 is all that remains.

    Returns:
        The block, never longer and with no kept value moved, or None where nothing is left; and
        what was removed. What cannot be parsed is kept, with any picture in it overwritten;
        under ``strip_gps`` it is dropped, because nobody can say what it holds.
    """
    prefix, body = _split(exif)
    turn = orientation(exif)
    if policy.strip_all:
        return _minimal(prefix, turn), [Removed.of("EXIF", exif)]
    tiff = Tiff(body)
    if tiff.valid:
        removed = _edit(tiff, policy)
    elif policy.strip_gps:
        return None, [Removed.of("unreadable EXIF", exif)]
    else:
        removed = _overwrite_pictures(tiff.data, [])
    result = prefix + bytes(tiff.data)
    if orientation(result) != turn:
        # Only where, in a damaged file, a picture lies across the directory itself.
        return _minimal(prefix, turn), [*removed, Removed.of("damaged EXIF", exif)]
    return result, removed


def _edit(tiff: Tiff, policy: MetadataPolicy) -> list[Removed]:
    tables = _tables(tiff, policy)
    doomed = {ifd: _doomed(tiff, ifd, policy) for ifd in tables}
    values = [
        (entry.start, entry.end)
        for ifd in tables
        for entry in tiff.entries(ifd)
        if entry.tag not in doomed[ifd] and entry.end > entry.start
    ]
    spans = [(0, 8), *(tiff.table(ifd) for ifd in tables)]
    structure = _mask(len(tiff.data), spans)
    used = structure | _mask(len(tiff.data), values)

    # Every span is read before the first one is overwritten. A damaged file may point anywhere:
    # a picture's bytes spare only the directories, all else spares what is still in use.
    directories, pictures = _chain(tiff, [tiff.next_ifd(tiff.first)], tables)
    for ifd in tables:
        pictures += _picture_spans(tiff, ifd)
    plan: list[tuple[str, list[Span]]] = []
    for ifd in tables:
        for entry in tiff.entries(ifd):
            if entry.tag in doomed[ifd] and entry.tag not in _PICTURE_TAGS:
                inner, more = [(entry.start, entry.end)], list[Span]()
                if entry.tag in (_SUB_IFDS, _GPS_IFD):
                    inner, more = _chain(tiff, tiff.integers(entry), tables)
                plan.append((doomed[ifd][entry.tag], inner))
                pictures += more
    what = "EXIF thumbnail" if pictures else "second EXIF directory"
    thumbnail = _wipe(tiff, pictures, structure) + _wipe(tiff, directories, used)
    # Canon leaves the tail of an earlier, larger thumbnail behind the one that it describes.
    _wipe(tiff, [(end, _next_used(used, end)) for _, end in pictures], used)
    removed = [Removed.of(what, thumbnail)] if thumbnail else []
    for what, spans_of_value in plan:
        if value := _wipe(tiff, spans_of_value, used):
            removed.append(Removed.of(what, value))

    tiff.end_chain(tiff.first)
    for ifd in tables:
        if doomed[ifd]:
            tiff.delete(ifd, doomed[ifd])
    removed += _overwrite_pictures(tiff.data, spans + values)
    if removed:
        # The thumbnail is mostly the last thing in its block: give its bytes back.
        last = int(np.flatnonzero(used)[-1]) + 1
        del tiff.data[max(last, len(tiff.data.rstrip(b"\0"))) :]
    return removed


def _mask(size: int, spans: Iterable[Span]) -> _Mask:
    mask = np.zeros(size, dtype=bool)
    for begin, end in spans:
        mask[begin:end] = True
    return mask


def _next_used(used: _Mask, at: int) -> int:
    behind = np.flatnonzero(used[at:])
    return at + int(behind[0]) if len(behind) else len(used)


def _wipe(tiff: Tiff, spans: list[Span], spared: _Mask) -> bytes:
    """Overwrite spans with zeros except where spared; what they held before."""
    data = b"".join(bytes(tiff.data[begin:end]) for begin, end in spans)
    for begin, end in spans:
        chunk = np.frombuffer(bytes(tiff.data[begin:end]), np.uint8)
        tiff.data[begin:end] = np.where(spared[begin:end], chunk, np.uint8(0)).tobytes()
    return data


def _tables(tiff: Tiff, policy: MetadataPolicy) -> list[int]:
    wanted = {_EXIF_IFD, _INTEROP_IFD} | (set() if policy.strip_gps else {_GPS_IFD})
    tables = [tiff.first]
    for ifd in tables:  # grows on the way
        for entry in tiff.entries(ifd):
            if entry.tag in wanted and len(tables) < _MAX_DIRECTORIES:
                inner = tiff.integers(entry)[:1]
                tables += [at for at in inner if tiff.count(at) >= 0 and at not in tables]
    return tables


def _doomed(tiff: Tiff, ifd: int, policy: MetadataPolicy) -> dict[int, str]:
    """Tags to delete from a directory, each with its name for the report."""
    named = ((entry.tag, _verdict(tiff, entry, policy)) for entry in tiff.entries(ifd))
    return {tag: what for tag, what in named if what}


def _verdict(tiff: Tiff, entry: Entry, policy: MetadataPolicy) -> str:
    tag = entry.tag
    if tag in _PICTURE_TAGS or tag in (_SUB_IFDS, _THUMBNAIL_DATA):
        return "EXIF thumbnail"
    if policy.strip_gps and (tag == _GPS_IFD or tag in _GEO):
        return "GPS position"
    if policy.strip_gps and tag == _MAKER_NOTE:
        return "MakerNote (may hold a position)"
    if tag == _XMP and filter_xmp(tiff.value(entry), policy)[1]:
        return "XMP inside EXIF"
    if tag == _PHOTOSHOP and filter_photoshop(tiff.value(entry), policy)[1]:
        return "Photoshop data inside EXIF"
    if tag == _IPTC and filter_iptc(tiff.value(entry))[1]:
        return "IPTC preview inside EXIF"
    return ""


def _picture_spans(tiff: Tiff, ifd: int) -> list[Span]:
    """Where the pictures that a directory describes lie."""
    entries = {entry.tag: entry for entry in tiff.entries(ifd)}
    spans = []
    for offsets, counts in _PICTURES:
        if offsets in entries and counts in entries:
            starts, sizes = tiff.integers(entries[offsets]), tiff.integers(entries[counts])
            spans += [(a, min(a + n, len(tiff.data))) for a, n in zip(starts, sizes, strict=False)]
    return [(begin, end) for begin, end in spans if begin < end]


def _chain(tiff: Tiff, queue: list[int], tables: list[int]) -> tuple[list[Span], list[Span]]:
    """The spans of the directories from ``queue`` on, values included, and of their pictures."""
    directories: list[Span] = []
    pictures: list[Span] = []
    offsets = set(tables)
    queue = queue[:_MAX_DIRECTORIES]
    while queue and len(offsets) < len(tables) + _MAX_DIRECTORIES:
        ifd = queue.pop(0)
        if ifd in offsets or tiff.count(ifd) < 0:
            continue
        offsets.add(ifd)
        directories.append(tiff.table(ifd))
        pictures += _picture_spans(tiff, ifd)
        for entry in tiff.entries(ifd):
            if entry.end > entry.start:
                directories.append((entry.start, entry.end))
            if entry.tag in (_SUB_IFDS, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD):
                queue += tiff.integers(entry)[:_MAX_DIRECTORIES]
        queue.append(tiff.next_ifd(ifd))
    return directories, pictures


def _overwrite_pictures(data: bytearray, spans: list[Span]) -> list[Removed]:
    """Overwrite whatever still begins like a picture: MakerNote previews above all."""
    removed = []
    at = find_picture(data)
    while at is not None:
        # A picture does not run out of the value that holds it, nor from a gap into a value.
        limits = [end if start <= at else start for start, end in spans if end > at]
        end = picture_end(data, at, min(limits, default=len(data)))
        end = min(max(end, at + 4), len(data))
        removed.append(Removed.of("preview in EXIF or MakerNote", bytes(data[at:end])))
        data[at:end] = bytes(end - at)
        at = find_picture(data, end)
    return removed


def _split(exif: bytes) -> tuple[bytes, bytes]:
    prefixed = exif[:5] == b"Exif\0" and len(exif) >= 6
    return (exif[:6], exif[6:]) if prefixed else (b"", exif)


def _minimal(prefix: bytes, turn: int) -> bytes | None:
    """An EXIF block with the orientation alone: without it the picture lies on its side."""
    if turn == 1:
        return None
    entry = _ORIENTATION.to_bytes(2, "big") + b"\0\3\0\0\0\1" + turn.to_bytes(2, "big") + b"\0\0"
    return prefix + b"MM\0*\0\0\0\x08\0\1" + entry + bytes(4)
