"""Undo packs: append-only files that hold, for each protected file, the bytes that undo it."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from ue_cli.photos.private import explain_write, sync_folder, write_all

PACK_BYTES = 1 << 30
_HEADER = struct.Struct("<4sIQ")  # magic, CRC-32 and length of the bytes that follow
_MAGIC = b"UEu1"


class Pointer(NamedTuple):
    """Where a file's undo bytes lie: pack number, offset of the entry, length and CRC-32."""

    pack: int
    offset: int
    length: int
    crc: int


class Packs:
    """The packs ``undo-00000.pack``, ``undo-00001.pack``, ... of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._fd = -1

    def path(self, number: int) -> Path:
        """Where a pack lies."""
        return self._folder / f"undo-{number:05d}.pack"

    def read(self, pointer: Pointer) -> bytes | None:
        """The bytes at ``pointer``, or None if they are not what was written there."""
        try:
            with self.path(pointer.pack).open("rb") as file:
                end = pointer.offset + _HEADER.size + pointer.length
                if end > os.fstat(file.fileno()).st_size:
                    return None  # before memory is taken for a length that nobody vouches for
                file.seek(pointer.offset)
                if file.read(_HEADER.size) != _HEADER.pack(_MAGIC, pointer.crc, pointer.length):
                    return None
                data = file.read(pointer.length)
        except OSError:
            return None
        return data if zlib.crc32(data) == pointer.crc else None

    def append(self, data: bytes) -> Pointer:
        """Write bytes at the end of the last pack, or of a new one where that is full.

        Raises:
            UeError: ``disk-full`` or ``write-failed``; nothing was appended.
        """
        self._open_writable()
        offset = os.fstat(self._fd).st_size
        crc = zlib.crc32(data)
        with explain_write(self.path(self._number)):
            try:
                write_all(self._fd, _HEADER.pack(_MAGIC, crc, len(data)))
                write_all(self._fd, data)
            except OSError:
                os.ftruncate(self._fd, offset)
                raise
        return Pointer(self._number, offset, len(data), crc)

    def sync(self) -> None:
        """Make what was appended survive a power loss; raises `OSError`."""
        if self._fd >= 0:
            os.fsync(self._fd)

    def sync_pack(self, number: int) -> None:
        """The same for a pack that an earlier process wrote."""
        descriptor = os.open(self.path(number), os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the open pack."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_writable(self) -> None:
        if self._fd >= 0:
            if os.fstat(self._fd).st_size < PACK_BYTES:
                return
            with explain_write(self.path(self._number)):
                self.sync()  # the journal's seal speaks for every pack before the open one
            self.close()
            self._number += 1
        else:
            present = (path.stem.removeprefix("undo-") for path in self._folder.glob("undo-*.pack"))
            self._number = max((int(n) for n in present if n.isdecimal()), default=0)
        with explain_write(self.path(self._number)):
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._fd = os.open(self.path(self._number), flags, 0o600)
            sync_folder(self._folder)
