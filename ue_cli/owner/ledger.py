"""What was done to each file of a collection: a row per finished file, in an SQLite database.

Every row is committed by itself, into a write-ahead log: a killed process loses at most the row
that it was writing. A power loss may take the last rows as well. Their files are simply protected
again: everything random is keyed, so the bytes are equal.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ue_cli.errors import UeError
from ue_cli.storage import explain_write
from ue_cli.types import FileRecord

LEDGER_FILE = "ledger.sqlite3"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY,
    name BLOB NOT NULL,  -- as bytes: a name need not be Unicode
    sha256 BLOB,         -- of the output; NULL where that may be the original's very bytes
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS files_by_name ON files (name);
"""
_DAMAGED = ("SQLITE_ERROR", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_IOERR_SHORT_READ")
# SQLite has a code of its own for a disk without room, and these for a quota or a limit.
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE"}


class Ledger:
    """The database of one collection's folder; the newest row of a name counts."""

    def __init__(self, folder: Path, *, writable: bool) -> None:
        """Open the database, and make it where there is none.

        Args:
            folder: exists; where ``writable``, the caller holds its lock.
            writable: False changes no row, and leaves no file.

        Raises:
            UeError: ``disk-full``, ``write-failed`` or ``state-damaged``.
        """
        self._path = folder / LEDGER_FILE
        self._writable = writable
        with self._explained():
            if writable:
                self._path.touch(mode=0o600)
            uri = "file::memory:"
            if self._path.exists():
                # Even a reader makes files beside a database in use, where it can.
                access = "mode=rw" if os.access(folder, os.W_OK) else "immutable=1"
                uri = f"{self._path.absolute().as_uri()}?{access}"
            self._rows = sqlite3.connect(uri, uri=True, isolation_level=None)
            try:
                self._rows.executescript(_SCHEMA)
                if writable:
                    self._rows.execute("PRAGMA journal_mode = WAL")
                    self._rows.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                self._rows.close()
                raise

    def __len__(self) -> int:
        with self._explained():
            (count,) = self._rows.execute("SELECT count(DISTINCT name) FROM files").fetchone()
            return int(count)

    def get(self, name: str) -> FileRecord | None:
        """The newest record of a file, or None."""
        newest = "SELECT record FROM files WHERE name = ? ORDER BY id DESC LIMIT 1"
        with self._explained():
            row = self._rows.execute(newest, (_encode(name),)).fetchone()
        return None if row is None else self._record(row[0])

    def records(self) -> Iterator[FileRecord]:
        """Every file's newest record, in the order written; one in memory at a time."""
        newest = "SELECT max(id) FROM files GROUP BY name"
        with self._explained():
            for (text,) in self._rows.execute(
                f"SELECT record FROM files WHERE id IN ({newest}) ORDER BY id"
            ):
                yield self._record(text)

    def digests(self) -> bytes:
        """The SHA-256 of every output that was ever written and differs from its original."""
        with self._explained():
            rows = self._rows.execute("SELECT sha256 FROM files WHERE sha256 IS NOT NULL")
            return b"".join(digest for (digest,) in rows)

    def append(self, record: FileRecord) -> None:
        """Note that a file is finished; its output must be on disk already.

        Raises:
            UeError: ``disk-full`` or ``write-failed``; the ledger is as it was before.
        """
        if not self._writable:
            raise ValueError("the ledger was opened for reading")
        digest = bytes.fromhex(record.sha256) if record.linf else None
        # JSON in ASCII: a name that is not UTF-8 on disk survives as \udcXX.
        row = _encode(record.name), digest, json.dumps(asdict(record))
        with self._explained():
            self._rows.execute("INSERT INTO files (name, sha256, record) VALUES (?, ?, ?)", row)

    def close(self) -> None:
        """Let go of the database; closing twice is fine."""
        with self._explained():
            self._rows.close()

    def _record(self, text: str) -> FileRecord:
        try:
            value = json.loads(text)
            tuples = {name: tuple(value[name]) for name in ("removed", "notes")}
            return FileRecord(**value | tuples)
        except (ValueError, TypeError, KeyError) as error:
            raise self._damaged(f"a record cannot be read: {error}") from None

    def _damaged(self, reason: str) -> UeError:
        return UeError(
            "state-damaged",
            f"The owner's state at {self._path} is damaged: {reason}.",
            "Put a copy of it in its place, or move it away and run the same command again: what "
            "it lists is then protected anew, to the same bytes.",
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn an error of SQLite's into a sentence."""
        try:
            with explain_write(self._path):
                yield
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", "SQLITE_CORRUPT")
            if name.startswith(_DAMAGED):
                raise self._damaged(str(error)) from error
            number = errno.ENOSPC if name in _FULL else errno.EIO
            with explain_write(self._path):
                raise OSError(number, str(error)) from error


def _encode(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
