"""Removal of the owner's key and state.

Bytes are unlinked, not overwritten: today's disks keep copies wherever they like, so overwriting
would promise what nobody can hold.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ue_cli.errors import UeError
from ue_cli.photos.owner.collection_info import COLLECTIONS, collection_folder, list_collections
from ue_cli.photos.owner.key import KEY_FILE
from ue_cli.photos.owner.pending import SEARCHES
from ue_cli.photos.private import explain_write, lock_folder


def purge_collection(home: Path, fingerprint: str) -> None:
    """Remove a collection's state for good: it can no longer be restored or added to.

    Raises:
        UeError: no such state, or it is in use.
    """
    if fingerprint not in list_collections(home):
        raise UeError(
            "state-missing",
            f"There is no state here for collection {fingerprint}.",
            "ue key show lists the collections.",
        )
    folder = collection_folder(home, fingerprint)
    lock = lock_folder(folder)
    try:
        with explain_write(folder):
            shutil.rmtree(folder)
            for old in folder.parent.glob(f"{fingerprint}.*.old"):
                shutil.rmtree(old)
    finally:
        os.close(lock)


def purge_all(home: Path) -> tuple[str, ...]:
    """Remove the key and every collection's state for good; returns the collections removed.

    Raises:
        UeError: a collection is in use, or a file cannot be removed.
    """
    collections = list_collections(home)
    for fingerprint in collections:
        purge_collection(home, fingerprint)
    with explain_write(home):
        for folder in (home / COLLECTIONS, home / SEARCHES):
            if folder.exists():
                shutil.rmtree(folder)
        for path in home.glob(f"{KEY_FILE}*"):
            path.unlink()
    return collections
