"""Files of the Hub, through huggingface_hub: its cache, and its environment variables.

It checks a download's size; that the bytes are the right ones is checked here, and what is not goes
out of the cache again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import file_digest, sha1, sha256
from pathlib import Path
from typing import Any, Literal, TypeVar

from ue_cli.banks.cards import unavailable
from ue_cli.errors import UeError

Answer = TypeVar("Answer")

SCHEME = "hf://"
WAITS = (0.5, 1.0)
"""Seconds before each further try where the Hub answers a download with a 5xx; huggingface_hub
itself tries again only for a file's description."""

_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)(@(?P<revision>[^@/]+))?/(?P<file>[^@]+)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Address:
    """One file of a model repository on the Hub.

    Attributes:
        repo: ``OWNER/REPO``.
        revision: branch, tag or commit.
        file: its path in the repository.
    """

    repo: str
    revision: str
    file: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``hf://OWNER/REPO[@REVISION]/FILE``.

        Raises:
            UeError: the text is no such address.
        """
        match = _ADDRESS.fullmatch(text)
        parts = match["file"].split("/") if match is not None else [""]
        if match is None or not all(part.strip(".") for part in parts):
            raise unavailable(
                "hub-address",
                f"{text!r} is not an address on the Hub: expected hf://OWNER/REPO/FILE or "
                "hf://OWNER/REPO@REVISION/FILE.",
                "For example hf://someone/perturbations@main/csd-cifar10.safetensors",
            )
        return cls(match["repo"], match["revision"] or "main", match["file"])

    def at(self, commit: str, file: str | None = None) -> Address:
        """The same file, or one beside it, as one commit has it."""
        return Address(self.repo, commit, file or self.file)

    def __str__(self) -> str:
        return f"{SCHEME}{self.repo}@{self.revision}/{self.file}"


@dataclass(frozen=True, slots=True)
class Cached:
    """A file of the Hub as it lies in huggingface_hub's cache.

    Attributes:
        path: where.
        address: pinned to its commit.
        source: ``cache`` if it was there before, ``hub`` if it was downloaded now.
    """

    path: Path
    address: Address
    source: Literal["cache", "hub"]

    @property
    def commit(self) -> str:
        """The commit that the file is of."""
        return self.address.revision

    def drop(self) -> None:
        """Take the file out of the cache, so that nobody takes it for good."""
        for path in self._entries():
            path.unlink(missing_ok=True)

    def whole(self) -> bool:
        """Whether the bytes are those that the Hub named: its ETag is a hash of them.

        A cache without symlinks has forgotten the ETag; it cannot be asked.
        """
        name = self._entries()[-1].name
        if re.fullmatch(r"[0-9a-f]{64}", name):
            return _digest(self.path, sha256()) == name
        if self.path.is_symlink() and _COMMIT.fullmatch(name):
            # Small files are git's own objects: "blob", their size, and their bytes.
            header = f"blob {self.path.stat().st_size}\0".encode()
            return _digest(self.path, sha1(header, usedforsecurity=False)) == name
        return True

    def _entries(self) -> tuple[Path, ...]:
        """The name in the snapshot, and the blob that it links to where it is a link."""
        if not self.path.is_symlink():
            return (self.path,)
        return self.path, self.path.parent / self.path.readlink()


def download(address: Address, *, refresh: bool = False) -> Cached:
    """A file of the Hub: from the local cache if it is there, whole; else downloaded.

    Args:
        address: what is wanted. A branch or tag means the commit that the cache has for it.
        refresh: ask the Hub which commit that is today.

    Raises:
        UeError: with exit code 4, saying why the file cannot be had.
    """
    if not refresh and (file := cached(address)) is not None:
        return file
    import huggingface_hub as hub

    path = _asked(
        address,
        lambda: hub.hf_hub_download(address.repo, address.file, revision=address.revision),
    )
    file = _cached(Path(path), address, "hub")
    if not file.whole():
        file.drop()
        raise unavailable(
            "hub-hash",
            f"What the Hub sent for {address} does not have the hash that it named: the bytes are "
            "damaged. They were thrown away.",
            "Try again; if it happens again, the repository or a proxy on the way is broken.",
        )
    return file


def cached(address: Address) -> Cached | None:
    """The file as the local cache has it; None where it has none, or a damaged one."""
    import huggingface_hub as hub

    path = _asked(
        address,
        lambda: hub.try_to_load_from_cache(address.repo, address.file, revision=address.revision),
    )
    if not isinstance(path, str):
        return None
    file = _cached(Path(path), address, "cache")
    if file.whole():
        return file
    file.drop()
    return None


def missing(error: UeError) -> bool:
    """Whether the Hub, or the offline cache, says that there is no such file."""
    return error.code in ("hub-file", "hub-offline")


def _cached(path: Path, address: Address, source: Literal["cache", "hub"]) -> Cached:
    commit = path.parents[len(address.file.split("/")) - 1].name
    return Cached(path, address.at(commit), source)


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        return file_digest(file, lambda: digest).hexdigest()


def _asked(address: Address, ask: Callable[[], Answer]) -> Answer:
    """Ask, again where the Hub is out of order; every failure becomes a sentence."""
    waits = iter(WAITS)
    while True:
        try:
            return ask()
        except Exception as error:
            if not _out_of_order(error) or (wait := next(waits, None)) is None:
                if (sentence := _sentence(address, error)) is None:
                    raise
                raise sentence from error
        time.sleep(wait)


def _out_of_order(error: Exception) -> bool:
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # The second has been tried again, and waited for, already.
    return (
        isinstance(error, HfHubHTTPError)
        and not isinstance(error, LocalEntryNotFoundError)
        and (_status(error) or 0) >= 500
    )


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _sentence(address: Address, error: Exception) -> UeError | None:
    """What went wrong, for people; None where it is no fault of the Hub's or of the way to it."""
    from huggingface_hub import constants, errors

    host = constants.ENDPOINT
    status = next((s for s in map(_status, _causes(error)) if s is not None), None)
    if isinstance(error, errors.OfflineModeIsEnabled) or (
        isinstance(error, errors.LocalEntryNotFoundError) and constants.HF_HUB_OFFLINE
    ):
        return unavailable(
            "hub-offline",
            f"{address} is not in the local Hub cache, and HF_HUB_OFFLINE forbids to fetch it.",
            "Unset HF_HUB_OFFLINE, or use a bundled one: ue fetch-perturbations lists them.",
        )
    if isinstance(error, errors.GatedRepoError) or status in (401, 403):
        return unavailable(
            "hub-denied",
            f"{host} does not let you have {address} (HTTP {status}): the repository is private, "
            "gated, or not there.",
            "Check the name; for a private one, log in with hf auth login or set HF_TOKEN.",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return unavailable(
            "hub-repository", f"{host} has no repository {address.repo}.", "Check the name."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return unavailable(
            "hub-revision",
            f"{address.repo} has no revision {address.revision!r}.",
            "Leave the revision out for the main branch.",
        )
    if isinstance(error, errors.HFValidationError):
        return unavailable("hub-address", f"{address}: {error}", "Check the name.")
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(
        error, errors.LocalEntryNotFoundError
    ):
        return unavailable(
            "hub-file",
            f"{address.repo} has no file {address.file} at {address.revision}.",
            f"See what it has: {host}/{address.repo}/tree/{address.revision}",
        )
    if status is not None:
        return unavailable(
            "hub-status",
            f"{host} answered HTTP {status} for {address}, also when asked again.",
            "The Hub is out of order; try again later.",
        )
    if isinstance(error, errors.LocalEntryNotFoundError) or _of_the_network(error):
        return unavailable(
            "hub-unreachable",
            f"{host} could not be reached for {address}, and the local Hub cache does not have it.",
            "Check the connection and HF_ENDPOINT, then try again.",
        )
    if isinstance(error, OSError) and error.errno is None:
        return unavailable(
            "hub-incomplete",
            f"{host} sent {address} incompletely; what came was thrown away.",
            "Try again.",
        )
    return None


def _of_the_network(error: Exception) -> bool:
    """Whether huggingface_hub's HTTP client raised it; which one that is depends on its version."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "requests")
