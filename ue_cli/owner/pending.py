"""What an interrupted run leaves to go on from, before there is a collection: as secret as one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from ue_cli.owner.collection_info import new_id
from ue_cli.storage import explain_write, lock_folder, private_folder, write_whole

SEARCHES = "searches"
_ID_FILE = "id"
_STATE_FILE = "state"


class Pending:
    """One run's unfinished search, in a folder of the owner's; `pending` opens it.

    Attributes:
        id: of the collection that the run will make: the same one until it is made, because
            every draw comes from it.
        finished: set where nothing is left to go on with; the folder then goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.finished = False
        try:
            self.id = bytes.fromhex((folder / _ID_FILE).read_text("ascii")).hex()
        except (OSError, ValueError):
            self.id = new_id()

    @property
    def empty(self) -> bool:
        """Whether nothing was kept yet."""
        return not (self._folder / _STATE_FILE).exists()

    def read(self) -> bytes | None:
        """The state that was kept last; None where there is none."""
        try:
            return (self._folder / _STATE_FILE).read_bytes()
        except OSError:
            return None

    def keep(self, state: bytes | memoryview) -> None:
        """Put a state in the place of the last one, whole or not at all.

        Raises:
            UeError: ``disk-full`` or ``write-failed``.
        """
        if self.empty:
            self._write(_ID_FILE, self.id.encode("ascii"))
        self._write(_STATE_FILE, state)

    def _write(self, name: str, content: bytes | memoryview) -> None:
        with explain_write(self._folder / name):
            write_whole(self._folder / name, [bytes(content)])


@contextmanager
def pending(home: Path, target: Path) -> Iterator[Pending]:
    """Open what is pending for a target, one run at a time.

    Args:
        home: the app directory.
        target: what the run will write; the same path finds the same search again.

    Raises:
        UeError: ``state-locked``: another run works on this target.
    """
    name = sha256(os.fsencode(os.path.realpath(target))).hexdigest()[:32]
    private_folder(home)
    folder = private_folder(home / SEARCHES / name)
    lock = lock_folder(folder)
    try:
        search = Pending(folder)
        try:
            yield search
        finally:
            if search.finished or search.empty:
                shutil.rmtree(folder, ignore_errors=True)
                with suppress(OSError):  # others are pending
                    folder.parent.rmdir()
    finally:
        os.close(lock)
