"""The owner's key, and the per-collection subkeys from which everything random is derived.

One secret per owner; one subkey per collection, HKDF(owner, random id), so that a leaked pair of
original and protected photo burns one collection and not all. Every value that leaves a subkey is
an HMAC under its own label: the public fingerprint says nothing about the seeds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ue_cli.errors import UeError
from ue_cli.storage import (
    explain_write,
    open_regular,
    parse_json,
    private_folder,
    sync_folder,
    write_all,
)
from ue_cli.types import PixelArray

KEY_FILE = "owner.key"
KEY_BYTES = 32
ID_BYTES = 16
FINGERPRINT = re.compile(r"[0-9a-f]{32}")
_MAX_KEY_FILE = 4096


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """The one secret: 32 bytes. It is not shown by ``repr``.

    Attributes:
        secret: uniformly random.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"an owner key has {KEY_BYTES} bytes, got {len(self.secret)}")

    @property
    def fingerprint(self) -> str:
        """32 hex digits that name the key and betray nothing of it."""
        return _mac(self.secret, "owner fingerprint").hex()[:32]

    def to_bytes(self) -> bytes:
        """The text of a key file; the fingerprint in it is the checksum too."""
        value = {"ue_key": 1, "key": self.secret.hex(), "fingerprint": self.fingerprint}
        return json.dumps(value).encode() + b"\n"

    @classmethod
    def from_bytes(cls, text: bytes) -> OwnerKey:
        """Inverse of `to_bytes`, for a file that may be damaged or somebody else's.

        Raises:
            ValueError: it is not a whole key file.
        """
        value = parse_json(text)
        if not isinstance(value, dict) or value.get("ue_key") != 1:
            raise ValueError("it is not a ue key file of version 1")
        secret = value.get("key")
        if not isinstance(secret, str) or not re.fullmatch(r"[0-9a-f]{64}", secret):
            raise ValueError("the key is not 64 hex digits")
        key = cls(bytes.fromhex(secret))
        if value.get("fingerprint") != key.fingerprint:
            raise ValueError("key and fingerprint do not belong together")
        return key


@dataclass(frozen=True, slots=True)
class Subkey:
    """A collection's secret. Small and picklable, so that worker processes can have it.

    Attributes:
        secret: 32 bytes.
    """

    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The collection's public name, 32 hex digits: in the manifest, the report, the state."""
        return _mac(self.secret, "collection fingerprint").hex()[:32]

    def class_seed(self, name: str, version: int) -> bytes:
        """32 bytes from which a class's code is drawn; ``version`` is the code's recipe version."""
        return _mac(self.secret, "class", _encode(name), str(version).encode())

    def photo_seed(self, path: str) -> bytes:
        """32 bytes for one photo's own variation; ``path`` is its name in the collection."""
        return _mac(self.secret, "photo", _encode(path))

    def pixel_seed(self, pixels: PixelArray) -> bytes:
        """32 bytes for one photo's own variation, from what it decodes to."""
        shape = ",".join(map(str, pixels.shape)).encode()
        digest = hashlib.sha256(np.ascontiguousarray(pixels).data).digest()
        return _mac(self.secret, "pixels", shape, digest)

    def lot(self, purpose: str, *fields: str) -> bytes:
        """32 bytes for a draw that no photo decides."""
        return _mac(self.secret, f"lot {purpose}", *(_encode(name) for name in fields))

    @property
    def commitment(self) -> str:
        """64 hex digits that bind this secret before anything is published, and betray nothing.

        SHA-256 of the secret and of a nonce that follows from it: whoever is shown both later can
        check that codes and their assignment were fixed by then.
        """
        return hashlib.sha256(b"ue commitment v1" + self.secret + self.nonce).hexdigest()

    @property
    def nonce(self) -> bytes:
        """The 32 bytes that `commitment` hides the secret with."""
        return _mac(self.secret, "commitment nonce")

    def hmac_hash(self, sha256_hex: str) -> str:
        """64 hex digits that recognise an original by its SHA-256 without revealing that hash."""
        return _mac(self.secret, "original", bytes.fromhex(sha256_hex)).hex()


def hkdf_sha256(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    """HMAC-based key derivation (RFC 5869) with SHA-256.

    Args:
        secret: input keying material.
        salt: public; may be empty.
        info: what the result is for.
        length: bytes wanted, at most 255 × 32.
    """
    if not 0 < length <= 255 * 32:
        raise ValueError(f"HKDF-SHA256 gives 1 to 8160 bytes, asked for {length}")
    pseudorandom = hmac.digest(salt or bytes(32), secret, "sha256")
    block, out, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), "sha256")
        out += block
        counter += 1
    return out[:length]


def subkey(owner: OwnerKey, collection_id: bytes) -> Subkey:
    """Derive the secret of the collection with this random id (`ID_BYTES` long)."""
    if len(collection_id) != ID_BYTES:
        raise ValueError(f"a collection id has {ID_BYTES} bytes, got {len(collection_id)}")
    return Subkey(
        hkdf_sha256(owner.secret, salt=b"ue collection v1", info=collection_id, length=KEY_BYTES)
    )


def texture_secret(owner: OwnerKey, name: str) -> Subkey:
    """The secret of the class textures of all collections with this name, on every machine."""
    return Subkey(
        hkdf_sha256(owner.secret, salt=b"ue textures v2", info=_encode(name), length=KEY_BYTES)
    )


def load_key(home: Path) -> OwnerKey | None:
    """The owner's key, or None where there is none yet.

    Args:
        home: the app directory.

    Raises:
        UeError: the file is damaged, not a file, or readable by others.
    """
    path = home / KEY_FILE
    try:
        with open_regular(path, follow_links=True) as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(_MAX_KEY_FILE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UeError(
            "key-unreadable",
            f"Cannot read the owner's key at {path}: {error.strerror or error}.",
            "Make it readable for you, or put a copy of it in its place.",
        ) from error
    if mode & 0o077:
        raise UeError(
            "key-permissions",
            f"The owner's key at {path} is open to other users (mode {mode:04o}); "
            "whoever reads it can undo the protection.",
            f"Run: chmod 600 '{path}'",
        )
    try:
        return OwnerKey.from_bytes(text)
    except ValueError as error:
        raise UeError(
            "key-damaged",
            f"The owner's key at {path} is damaged: {error}.",
            "Put a copy of it in its place. Without one, move the file away; a new key is then "
            "made, and photos protected before stay protected but cannot be added to.",
        ) from None


def load_or_create_key(home: Path) -> OwnerKey:
    """The owner's key, made now if there is none. Processes that race get the same one.

    Args:
        home: the app directory; made 0700 where missing.

    Raises:
        UeError: as `load_key`, or the key cannot be written.
    """
    return load_key(home) or _create(home, OwnerKey(secrets.token_bytes(KEY_BYTES)))


def install_key(home: Path, key: OwnerKey) -> None:
    """Make a given key the owner's, as scripts with a fixed key do.

    Args:
        home: the app directory; made 0700 where missing.
        key: what will be there.

    Raises:
        UeError: ``key-exists``: another key is there.
    """
    present = _create(home, key)
    if present != key:
        raise UeError(
            "key-exists",
            f"{home / KEY_FILE} holds another key (fingerprint {present.fingerprint}).",
            "Give another --home.",
        )


def _create(home: Path, key: OwnerKey) -> OwnerKey:
    """Put ``key`` at its place unless one is there; return the one that is there then."""
    path = private_folder(home) / KEY_FILE
    with explain_write(path), _temporary_key(home, key) as temporary:
        # Several processes may be here with a key each; the link decides.
        with suppress(FileExistsError):
            os.link(temporary, path)
        sync_folder(home)
    present = load_key(home)
    if present is None:
        raise UeError("key-vanished", f"{path} was removed while it was being made.", "Try again.")
    return present


@contextmanager
def _temporary_key(home: Path, key: OwnerKey) -> Iterator[Path]:
    """A whole, synced key file under a name of its own, gone again afterwards."""
    temporary = home / f".ue-tmp-{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            write_all(descriptor, key.to_bytes())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _encode(name: str) -> bytes:
    # Total on str: names that are not UTF-8 on disk arrive with lone surrogates.
    return name.encode("utf-8", "surrogatepass")


def _mac(secret: bytes, label: str, *fields: bytes) -> bytes:
    """HMAC-SHA256 of a label and fields, each with its length: no two inputs read the same."""
    mac = hmac.new(secret, digestmod=hashlib.sha256)
    for part in (b"ue v1 " + label.encode(), *fields):
        mac.update(len(part).to_bytes(8, "big") + part)
    return mac.digest()
