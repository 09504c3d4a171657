"""`ue key`: the owner's key, and the collections made under it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ue_cli.owner.collection_info import find_collection, list_collections
from ue_cli.owner.key import KEY_FILE, load_key
from ue_cli.owner.state import Collection


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """One collection with state here.

    Attributes:
        collection: its fingerprint.
        files: how many were protected; None where it was made under another key.
        created, source, method, levels: as in `CollectionInfo`.
    """

    collection: str
    files: int | None
    created: str
    source: str
    method: str
    levels: int


@dataclass(frozen=True, slots=True)
class KeyResult:
    """What `ue key` found.

    Attributes:
        fingerprint: of the key; None where there is none yet.
        file: where it lies, or will.
        collections: those with state here; none without a key.
    """

    fingerprint: str | None
    file: Path
    collections: tuple[CollectionSummary, ...]

    def to_json(self) -> dict[str, Any]:
        """The envelope's result."""
        return {
            "key": self.fingerprint,
            "file": str(self.file),
            "collections": [asdict(summary) for summary in self.collections],
        }


def describe_key(home: Path) -> KeyResult:
    """Read the key's public fingerprint, and list the collections.

    Raises:
        UeError: the key or a collection's state is damaged.
    """
    owner = load_key(home)
    if owner is None:
        return KeyResult(None, home / KEY_FILE, ())
    summaries = []
    for fingerprint in list_collections(home):
        info = find_collection(home, fingerprint)
        if info is None:
            continue
        files = None
        if info.subkey(owner).fingerprint == fingerprint:
            with Collection.open(home, owner, fingerprint, readonly=True) as collection:
                files = len(collection)
        summaries.append(
            CollectionSummary(
                fingerprint, files, info.created, info.source, info.method, info.levels
            )
        )
    return KeyResult(owner.fingerprint, home / KEY_FILE, tuple(summaries))
