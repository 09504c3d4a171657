"""How a collection was made (``collection.json``), and which collections there are."""

from __future__ import annotations

import dataclasses
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ue_cli.errors import UeError
from ue_cli.owner.key import (
    FINGERPRINT,
    ID_BYTES,
    OwnerKey,
    Subkey,
    subkey,
    texture_secret,
)
from ue_cli.storage import explain_write, parse_json, write_whole

COLLECTIONS = "collections"
INFO_FILE = "collection.json"
_VERSION = 1
_MAX_INFO = 256 << 20

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """How a collection was made: everything besides the key and the originals that sets its bytes.

    Attributes:
        id: random, 32 hex digits; with the owner's key it gives the subkey.
        created: ISO 8601, UTC.
        source: SRC as it was given.
        name: of the collection; with the owner's key it gives the secret of its textures.
        method: registry name.
        levels: the budget in 8-bit levels.
        label_rule: as `PhotoSet.label_rule`.
        recipe: the method's parameters.
        options: whatever else changes output bytes (format, metadata policy, ...).
        clusters: features, rule and centroids of pseudo-classes; None where labels came otherwise.
        codes: class name -> its frozen code.
    """

    id: str
    created: str
    source: str
    name: str
    method: str
    levels: int
    label_rule: str
    recipe: Json = field(default_factory=dict)
    options: Json = field(default_factory=dict)
    clusters: Json | None = None
    codes: Json = field(default_factory=dict)

    def subkey(self, owner: OwnerKey) -> Subkey:
        """The collection's secret under this owner's key."""
        return subkey(owner, bytes.fromhex(self.id))

    def texture_secret(self, owner: OwnerKey) -> Subkey:
        """The secret of its class textures, which all collections of this name share."""
        return texture_secret(owner, self.name)


def new_id() -> str:
    """A random id for a new collection, to draw codes with before `Collection.create`."""
    return secrets.token_hex(ID_BYTES)


def now() -> str:
    """The time as `CollectionInfo.created` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def collection_folder(home: Path, fingerprint: str) -> Path:
    """Where a collection's state lies."""
    return home / COLLECTIONS / fingerprint


def list_collections(home: Path) -> tuple[str, ...]:
    """The fingerprints of all collections with state here, sorted."""
    base = home / COLLECTIONS
    if not base.is_dir():
        return ()
    return tuple(
        sorted(
            path.name
            for path in base.iterdir()
            if FINGERPRINT.fullmatch(path.name) and (path / INFO_FILE).exists()
        )
    )


def find_collection(home: Path, fingerprint: str) -> CollectionInfo | None:
    """How the collection with this fingerprint was made, or None where it is not known here.

    Args:
        home: the app directory.
        fingerprint: untrusted; anything but 32 hex digits is unknown.

    Raises:
        UeError: ``state-damaged``.
    """
    if not FINGERPRINT.fullmatch(fingerprint):
        return None
    path = collection_folder(home, fingerprint) / INFO_FILE
    return read_info(path) if path.exists() else None


def read_info(path: Path) -> CollectionInfo:
    """Read and check a ``collection.json``.

    Raises:
        UeError: ``state-damaged``.
    """
    try:
        with path.open("rb") as file:
            value = parse_json(file.read(_MAX_INFO))
        return _info(value)
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error
    except (ValueError, TypeError, KeyError) as error:
        raise damaged(path, str(error)) from None


def write_info(folder: Path, info: CollectionInfo) -> None:
    """Replace a collection's ``collection.json``, whole or not at all.

    Raises:
        UeError: ``disk-full`` or ``write-failed``.
    """
    text = json.dumps({"ue_collection": _VERSION} | dataclasses.asdict(info), allow_nan=False)
    with explain_write(folder / INFO_FILE):
        write_whole(folder / INFO_FILE, [text.encode("ascii"), b"\n"])


def _info(value: Any) -> CollectionInfo:
    if not isinstance(value, dict) or value.get("ue_collection") != _VERSION:
        raise ValueError(f"expected a collection of version {_VERSION}")
    kinds: dict[str, type | tuple[type, ...]] = {
        "str": str,
        "int": int,
        "Json": dict,
        "Json | None": (dict, type(None)),
    }
    for f in dataclasses.fields(CollectionInfo):
        item = value[f.name]
        if not isinstance(item, kinds[str(f.type)]) or isinstance(item, bool):
            raise ValueError(f"{f.name} has the wrong type")
    if not re.fullmatch(rf"[0-9a-f]{{{2 * ID_BYTES}}}", value["id"]):
        raise ValueError("id is not a random id")
    return CollectionInfo(**{f.name: value[f.name] for f in dataclasses.fields(CollectionInfo)})


def damaged(path: Path, reason: str) -> UeError:
    """The error for state that cannot be read, with its remedy."""
    return UeError(
        "state-damaged",
        f"The owner's state at {path} is damaged: {reason}.",
        "Bring it back from a copy of that folder, or protect again into a new -o.",
    )
