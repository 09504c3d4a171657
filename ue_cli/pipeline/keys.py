"""`ue key`: what the owner has here, its backup, and its removal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ue_cli.errors import UeError
from ue_cli.photos.owner.backup import export_state, import_state
from ue_cli.photos.owner.collection_info import find_collection, list_collections
from ue_cli.photos.owner.key import KEY_FILE, load_key
from ue_cli.photos.owner.purge import purge_collection
from ue_cli.photos.owner.state import Collection


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What a `ue key` command has to say.

    Attributes:
        facts: (name, value) in the order to show.
        collections: one line per collection.
        value: the envelope's result.
    """

    facts: tuple[tuple[str, str], ...]
    collections: tuple[str, ...]
    value: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The envelope's result."""
        return self.value


def show(home: Path) -> KeyReport:
    """The key's public fingerprint and the collections made under it.

    Raises:
        UeError: the key or a collection's state is damaged.
    """
    owner = load_key(home)
    lines, values = [], []
    for fingerprint in list_collections(home):
        info = find_collection(home, fingerprint)
        if info is None or owner is None:
            continue
        # Another key's may lie here after an import that replaced it.
        files = None
        if info.subkey(owner).fingerprint == fingerprint:
            with Collection.open(home, owner, fingerprint, readonly=True) as collection:
                files = len(collection)
        held = "of another key" if files is None else f"{files} files"
        lines.append(f"{fingerprint}  {held}  {info.created}  {info.source}")
        values.append(
            {
                "collection": fingerprint,
                "files": files,
                "created": info.created,
                "source": info.source,
                "method": info.method,
                "levels": info.levels,
            }
        )
    shown = owner.fingerprint if owner else "none yet; the first ue protect makes one"
    return KeyReport(
        facts=(("Key", shown), ("Kept in", str(home / KEY_FILE))),
        collections=tuple(lines),
        value={
            "key": owner.fingerprint if owner else None,
            "home": str(home),
            "collections": values,
        },
    )


def export(home: Path, file: Path) -> KeyReport:
    """Back the key and every collection's state up.

    Raises:
        UeError: there is no key, or the file exists or cannot be written.
    """
    backup = export_state(home, file, with_state=True)
    return KeyReport(
        facts=(
            ("Key", backup.fingerprint),
            ("Written", f"{file}, {len(backup.collections)} collections"),
            ("Note", "whoever has this file can undo the protection; keep it like a password"),
        ),
        collections=(),
        value={
            "key": backup.fingerprint,
            "file": str(file),
            "collections": list(backup.collections),
        },
    )


def import_(home: Path, file: Path, *, replace: bool) -> KeyReport:
    """Take a key and its collections over from a backup.

    Raises:
        UeError: the backup is damaged, or another key is here and ``replace`` is False.
    """
    taken = import_state(home, file, replace=replace)
    return KeyReport(
        facts=(
            ("Key", taken.fingerprint),
            ("Imported", f"{len(taken.taken)} collections"),
            ("Kept as here", f"{len(taken.kept)} collections that were here already"),
        ),
        collections=(),
        value={
            "key": taken.fingerprint,
            "taken": list(taken.taken),
            "kept": list(taken.kept),
        },
    )


def purge(home: Path, fingerprint: str, *, yes: bool) -> KeyReport:
    """Remove one collection's state for good.

    Raises:
        UeError: it is not here, or ``yes`` was not given.
    """
    if fingerprint in list_collections(home) and not yes:
        raise UeError(
            "purge-unconfirmed",
            f"Without the state of collection {fingerprint}, its photos can never be restored "
            "or added to.",
            f"If that is meant: ue key purge {fingerprint} --yes",
        )
    purge_collection(home, fingerprint)
    return KeyReport(
        facts=(("Removed", fingerprint),), collections=(), value={"removed": fingerprint}
    )
