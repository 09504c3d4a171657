"""The owner's state of one collection: what it was made with, and what each file got.

``home/collections/<fingerprint>/`` holds ``collection.json`` (how, written before the first
image), the ledger (`ledger`), attachments such as an optimised bank, and a lock. All of it is as
secret as the key.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import UeError
from ue_cli.owner.collection_info import (
    COLLECTIONS,
    INFO_FILE,
    CollectionInfo,
    Json,
    collection_folder,
    find_collection,
    list_collections,
    read_info,
    write_info,
)
from ue_cli.owner.key import KEY_FILE, OwnerKey, Subkey
from ue_cli.owner.ledger import Ledger
from ue_cli.storage import explain_write, lock_folder, private_folder, write_whole
from ue_cli.types import FileRecord


class Collection:
    """One collection's state, open for writing (one process at a time) or for reading.

    Attributes:
        info: how it was made.
        subkey: its secret.
        fingerprint: its public name.
        folder: where it lies.
    """

    def __init__(
        self, folder: Path, info: CollectionInfo, secret: Subkey, *, readonly: bool
    ) -> None:
        """Use `create` or `open`."""
        self.info = info
        self.subkey = secret
        self.fingerprint = secret.fingerprint
        self.folder = folder
        self._lock = None if readonly else lock_folder(folder)
        try:
            self._ledger = Ledger(folder, writable=not readonly)
        except BaseException:
            self._unlock()
            raise

    @classmethod
    def create(
        cls,
        home: Path,
        owner: OwnerKey,
        info: CollectionInfo,
        attachments: Mapping[str, bytes] | None = None,
    ) -> Self:
        """Write a new collection's state, then open it for writing.

        Args:
            home: the app directory.
            owner: the owner's key.
            info: with an id from `new_id`.
            attachments: file name -> content, such as an optimised bank.

        Raises:
            UeError: ``disk-full`` or ``write-failed``.
        """
        secret = info.subkey(owner)
        folder = collection_folder(home, secret.fingerprint)
        private_folder(home)
        private_folder(folder)
        for name, content in (attachments or {}).items():
            with explain_write(folder / name):
                write_whole(folder / name, [content])
        write_info(folder, info)
        # Read again, so that what the caller sees is what a later run will see.
        return cls(folder, read_info(folder / INFO_FILE), secret, readonly=False)

    @classmethod
    def open(cls, home: Path, owner: OwnerKey, fingerprint: str, *, readonly: bool = False) -> Self:
        """Open the collection with this fingerprint.

        Args:
            home: the app directory.
            owner: the owner's key.
            fingerprint: as in the manifest; may be anything.
            readonly: take no lock and change nothing.

        Raises:
            UeError: no such state (``state-missing``), another owner's (``state-foreign``),
                damaged (``state-damaged``), or in use by another run (``state-locked``).
        """
        info = find_collection(home, fingerprint)
        if info is None:
            raise UeError(
                "state-missing",
                f"There is no state here for collection {fingerprint}.",
                f"If it was made on another machine, copy that one's {KEY_FILE} and {COLLECTIONS} "
                f"to {home}; ue key shows where they lie there.",
            )
        secret = info.subkey(owner)
        if secret.fingerprint != fingerprint:
            raise UeError(
                "state-foreign",
                f"The state of collection {fingerprint} was made with another owner's key.",
                f"Put that key in the place of {home / KEY_FILE}, or protect again into a new -o.",
            )
        return cls(collection_folder(home, fingerprint), info, secret, readonly=readonly)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._ledger)

    def append(self, record: FileRecord) -> None:
        """Note a finished file whose output is on disk (see `Ledger.append`)."""
        self._ledger.append(record)

    def close(self) -> None:
        """Close the ledger and unlock; closing twice is fine."""
        try:
            self._ledger.close()
        finally:
            self._unlock()

    def discard(self) -> None:
        """Remove the collection: nothing was protected under it.

        Raises:
            UeError: ``write-failed``: a file cannot be removed.
        """
        self._ledger.close()
        with explain_write(self.folder):
            shutil.rmtree(self.folder)

    def records(self) -> Iterator[FileRecord]:
        """Every file's newest record, streamed, in the order written."""
        return self._ledger.records()

    def finished(self, name: str) -> FileRecord | None:
        """The newest record of the original with this name, or None."""
        return self._ledger.get(name)

    def add_codes(self, codes: Json) -> None:
        """Freeze the codes of classes that join; repeating what is frozen is fine.

        Raises:
            ValueError: a code that is frozen would change.
            UeError: ``disk-full`` or ``write-failed``.
        """
        codes = json.loads(json.dumps(codes))  # tuples become the lists that are read back
        changed = [n for n, code in codes.items() if self.info.codes.get(n, code) != code]
        if changed:
            raise ValueError(f"frozen class codes never change: {changed}")
        if codes.keys() <= self.info.codes.keys():
            return
        info = dataclasses.replace(self.info, codes=self.info.codes | codes)
        write_info(self.folder, info)
        self.info = info

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class ProtectedHashes:
    """The SHA-256 of every output that differs from its original, for ``sha256_hex in hashes``.

    Nothing is read before the first question.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._sorted: NDArray[np.bytes_] | None = None

    def __contains__(self, sha256_hex: str) -> bool:
        """Whether this is the hash of one of our own outputs, in any collection."""
        digests = self.load()
        wanted = np.frombuffer(bytes.fromhex(sha256_hex), "S32")
        place = int(np.searchsorted(digests, wanted)[0])
        return place < len(digests) and bool(digests[place] == wanted[0])

    def load(self) -> NDArray[np.bytes_]:
        """Read the ledgers now; (n,) sorted digests."""
        if self._sorted is None:
            digests = b""
            for fingerprint in list_collections(self._home):
                folder = collection_folder(self._home, fingerprint)
                with closing(Ledger(folder, writable=False)) as ledger:
                    digests += ledger.digests()
            self._sorted = np.sort(np.frombuffer(digests, "S32"))
        return self._sorted
