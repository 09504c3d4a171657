"""16-bit colour PNG, which Pillow writes at 8 bits only: the exchange of an 8-bit file's pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_BAND = 1 << 24  # bytes filtered and compressed at a time


def png16(shell: bytes, samples: NDArray[np.uint16], level: int) -> bytes:
    """Put 16-bit colour into a PNG.

    Args:
        shell: an 8-bit PNG with the wanted metadata chunks; its size and pixels are replaced.
        samples: (H, W, 3 or 4).
        level: of zlib.
    """
    height, width, channels = samples.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    out, at, written = [shell[:8]], 8, False
    while at < len(shell):
        size, kind = int.from_bytes(shell[at : at + 4], "big"), shell[at + 4 : at + 8]
        if kind == b"IHDR":
            out.append(_chunk(kind, header))
        elif kind != b"IDAT":
            out.append(shell[at : at + 12 + size])
        elif not written:
            out.append(_chunk(kind, _idat(samples, level)))
            written = True
        at += 12 + size
    return b"".join(out)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def _idat(samples: NDArray[np.uint16], level: int) -> bytes:
    """The zlib stream with filter 4 (Paeth) on every row, computed for a band of rows at once."""
    height, width, channels = samples.shape
    stride = 2 * channels
    rows_per_band = max(1, _BAND // (width * stride))
    stream = zlib.compressobj(level)
    out = []
    above = np.zeros((1, width * stride), np.uint8)
    for start in range(0, height, rows_per_band):
        band = np.ascontiguousarray(samples[start : start + rows_per_band], dtype=">u2")
        here = band.view(np.uint8).reshape(len(band), width * stride)
        up = np.concatenate([above, here[:-1]])
        left, corner = (np.pad(v[:, :-stride], ((0, 0), (stride, 0))) for v in (here, up))
        filtered = np.empty((len(band), 1 + width * stride), np.uint8)
        filtered[:, 0] = 4
        filtered[:, 1:] = here - _paeth(left, up, corner)
        out.append(stream.compress(filtered.tobytes()))
        above = here[-1:]
    return b"".join([*out, stream.flush()])


def _paeth(
    left: NDArray[np.uint8], up: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The neighbour nearest to left + up − corner (PNG specification, 9.4)."""
    to_left = np.abs(up.astype(np.int16) - corner)
    to_up = np.abs(left.astype(np.int16) - corner)
    to_corner = np.abs(left.astype(np.int16) + up - 2 * corner.astype(np.int16))
    best = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, best)
