"""``ue-manifest.jsonl``: the public list of protected files in OUT, and how to read a hostile one.

The first line names the version, the collection's fingerprint and the decoder that was measured
with; every other line is a path below OUT and the SHA-256 of the protected file. Nothing of the
originals is in it. While a run goes on the header says ``"complete": false`` and lines are
appended; at the end the file is sorted and replaced.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ue_cli.errors import ExitCode, UeError
from ue_cli.owner.key import FINGERPRINT
from ue_cli.storage import explain_write, open_regular, parse_json, write_all, write_whole

MANIFEST_FILE = "ue-manifest.jsonl"
_VERSION = 1
_MAX_FILE = 1 << 30
_MAX_LINE = 1 << 16
_MAX_PATH = 4096
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read and checked.

    Attributes:
        collection: fingerprint, 32 hex digits.
        decoder: the decoder that the budget was measured with.
        complete: False where the run that wrote it has not ended.
        commitment: to the secret of its textures, 64 hex digits; None where it has none.
        entries: path below OUT -> SHA-256 of the protected file, hex.
    """

    collection: str
    decoder: str
    complete: bool
    commitment: str | None
    entries: dict[str, str]

    @property
    def sha256(self) -> str:
        """Of all entries in order of their paths: the same published files, the same hash."""
        lines = (_entry(path, self.entries[path]) for path in sorted(self.entries))
        return sha256(b"".join(lines)).hexdigest()


class ManifestWriter:
    """Keeps OUT's manifest during a run.

    Attributes:
        entries: path below OUT -> SHA-256; what `finish` writes. Delete from it what has left OUT.
    """

    def __init__(
        self, root: Path, *, collection: str, decoder: str, commitment: str | None = None
    ) -> None:
        """Begin, or go on with the manifest that OUT has; OUT is ours from here on.

        Args:
            root: OUT; exists.
            collection: fingerprint.
            decoder: its name and version.
            commitment: to the secret that codes and their assignment follow from, 64 hex digits.

        Raises:
            UeError: OUT's manifest is damaged or another collection's (``manifest-foreign``),
                or it cannot be written.
        """
        self._path = root / MANIFEST_FILE
        self._collection = collection
        self._decoder = decoder
        self._commitment = commitment
        self.entries: dict[str, str] = {}
        if os.path.lexists(self._path):
            present = read_manifest(root)
            if present.collection != collection:
                raise UeError(
                    "manifest-foreign",
                    f"{self._path} belongs to collection {present.collection}, not to "
                    f"{collection}.",
                    "Choose another output folder with -o.",
                )
            self.entries = present.entries
        self._write(complete=False)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND)

    def add(self, path: str, sha256: str) -> None:
        """Note a protected file that is on disk; noting it again costs nothing.

        Raises:
            ValueError: a path that `read_manifest` would refuse.
            UeError: ``disk-full`` or ``write-failed``; the file ends before this line.
        """
        if self.entries.get(path) != sha256:
            if problem := path_problem(path):
                raise ValueError(f"a manifest cannot hold {path!r}: {problem}")
            end = os.fstat(self._fd).st_size
            with explain_write(self._path):
                try:
                    write_all(self._fd, _entry(path, sha256))
                except OSError:
                    os.ftruncate(self._fd, end)  # no line may follow a torn one
                    raise
            self.entries[path] = sha256

    def finish(self) -> None:
        """Replace the file by the sorted, complete one.

        Raises:
            UeError: ``disk-full`` or ``write-failed``; the incomplete one stays.
        """
        self._write(complete=True)
        self.close()

    def discard(self) -> None:
        """Remove the file: nothing was protected, and OUT is nobody's again."""
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; without `finish` it stays incomplete, and readable."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, *, complete: bool) -> None:
        def lines() -> Iterator[bytes]:
            yield _dump(
                {
                    "ue_manifest": _VERSION,
                    "collection": self._collection,
                    "decoder": self._decoder,
                    "complete": complete,
                }
                | ({} if self._commitment is None else {"commitment": self._commitment})
            )
            for path in sorted(self.entries):
                yield _entry(path, self.entries[path])

        with explain_write(self._path):
            write_whole(self._path, lines(), mode=0o666)


def read_manifest(root: Path) -> Manifest:
    """Read OUT's manifest as what it is: a file that anybody may have written.

    In an incomplete manifest a torn last line is ignored and a path's last line counts.

    Args:
        root: OUT.

    Raises:
        UeError: ``manifest-missing``; or ``manifest-invalid`` with the line number: not a regular
            file, too large, wrong version, wrong types, a path that is absolute, leaves the tree
            or comes twice, a hash that is none.
    """
    path = root / MANIFEST_FILE
    try:
        with open_regular(path, follow_links=False) as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_FILE:
                raise _invalid(path, f"it has {size:,} bytes; the limit is {_MAX_FILE:,}")
            lines = iter(lambda: file.readline(_MAX_LINE), b"")
            return _parse(path, lines)
    except (FileNotFoundError, NotADirectoryError):
        raise UeError(
            "manifest-missing",
            f"Expected {path}; it is not there.",
            "Give the folder that ue protect wrote (it holds ue-manifest.jsonl).",
        ) from None
    except OSError as error:
        raise _invalid(path, f"cannot be read as a plain file: {error.strerror or error}") from None


def safe_join(root: Path, path: str) -> Path:
    """Where an entry of a manifest lies, if that is below ``root`` without any link on the way.

    Nothing has to exist there yet. Call it at the time of use.

    Args:
        root: the folder; may itself be reached through links.
        path: POSIX path from a manifest or from state.

    Raises:
        UeError: ``path-unsafe``, or ``path-is-link``.
    """
    if problem := path_problem(path):
        raise _broken("path-unsafe", f"Refused the path {path!r} below {root}: {problem}.")
    place = root
    for part in path.split("/"):
        place = place / part
        if place.is_symlink():
            raise _broken("path-is-link", f"Refused the path {path!r}: {place} is a link.")
    return place


def _parse(path: Path, lines: Iterator[bytes]) -> Manifest:
    header = _object(path, 1, next(lines, b""))
    if header.get("ue_manifest") != _VERSION or isinstance(header["ue_manifest"], bool):
        raise _invalid(path, f"expected a manifest of version {_VERSION}", 1)
    collection, decoder = header.get("collection"), header.get("decoder")
    complete = header.get("complete")
    if not isinstance(collection, str) or not FINGERPRINT.fullmatch(collection):
        raise _invalid(path, "collection is not a fingerprint of 32 hex digits", 1)
    if not isinstance(decoder, str) or len(decoder) > 200:
        raise _invalid(path, "decoder is not a short text", 1)
    if not isinstance(complete, bool):
        raise _invalid(path, "complete is neither true nor false", 1)
    commitment = header.get("commitment")
    if commitment is not None and not (
        isinstance(commitment, str) and _SHA256.fullmatch(commitment)
    ):
        raise _invalid(path, "commitment is not 64 hex digits", 1)
    entries: dict[str, str] = {}
    for number, line in enumerate(lines, 2):
        if not complete and not line.endswith(b"\n") and len(line) < _MAX_LINE:
            break  # torn by a kill
        value = _object(path, number, line)
        name, digest = value.get("path"), value.get("sha256")
        if value.keys() != {"path", "sha256"} or not isinstance(name, str):
            raise _invalid(path, "expected a path and a sha256", number)
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _invalid(path, "sha256 is not 64 hex digits", number)
        if problem := path_problem(name):
            raise _invalid(path, f"the path {name[:80]!r} is refused: {problem}", number)
        if complete and name in entries:
            raise _invalid(path, f"{name!r} comes twice", number)
        entries[name] = digest
    return Manifest(collection, decoder, complete, commitment, entries)


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    if len(line) >= _MAX_LINE and not line.endswith(b"\n"):
        raise _invalid(path, f"the line is longer than {_MAX_LINE:,} bytes", number)
    try:
        value = parse_json(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _invalid(path, "expected one JSON object in ASCII", number)
    return value


def path_problem(path: str) -> str:
    """Why ``path`` is not a plain relative path, or an empty text; see `safe_join`."""
    try:
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "it is no file name"
    if raw.decode("utf-8", "surrogateescape") != path:
        return "it is no file name"  # a second spelling of bytes that have another one
    if not path or len(raw) > _MAX_PATH:
        return f"it has {len(raw)} bytes, expected 1 to {_MAX_PATH}"
    if "\0" in path:
        return "it holds a zero byte"
    # A backslash is an ordinary letter here and a separator elsewhere: safe in both readings.
    parts = path.replace("\\", "/").split("/")
    if not parts[0] or _DRIVE.match(path):
        return "it is absolute"
    if not {"", ".", ".."}.isdisjoint(parts):
        return "it has an empty part, '.' or '..'"
    if path == MANIFEST_FILE:
        return "it is the manifest"
    return ""


def _entry(path: str, sha256: str) -> bytes:
    return _dump({"path": path, "sha256": sha256})


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def _broken(code: str, message: str) -> UeError:
    return UeError(
        code,
        message,
        "Do not trust this folder; get it again from where it was published, or protect again.",
        exit_code=ExitCode.VERIFICATION_FAILED,
    )


def _invalid(path: Path, problem: str, line: int | None = None) -> UeError:
    where = f"{path}, line {line}" if line else str(path)
    return _broken("manifest-invalid", f"{where}: {problem}.")
