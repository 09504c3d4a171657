"""`ue fetch-perturbations`: what there is, and where one of them lies, checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ue_cli.banks.arrayfile import read_array
from ue_cli.banks.bank import load_bank
from ue_cli.banks.cards import BANK_SUFFIX, Card
from ue_cli.banks.hub import BUNDLE, RULE, PerturbationFile, Source, bundled, resolve_every


@dataclass(frozen=True, slots=True)
class Listed:
    """One perturbation, listed or fetched.

    Attributes:
        name: full name.
        source: where it came from, or would.
        path: where it is.
        bytes: its size.
        sha256: of the file; fetched ones were checked, listed ones are as the card says.
        address: on the Hub, pinned to a commit.
        method: None for an array that others publish, which does not say.
        levels: its budget, likewise.
        shape: (classes, per_class, 3, h, w); of such an array (rows, 3, h, w).
        card: where there is one.
    """

    name: str
    source: Source
    path: Path
    bytes: int
    sha256: str
    address: str | None
    method: str | None
    levels: int | None
    shape: tuple[int, ...]
    card: Card | None

    def to_json(self) -> dict[str, Any]:
        """A JSON value."""
        return {
            "name": self.name,
            "source": self.source,
            "path": str(self.path),
            "bytes": self.bytes,
            "sha256": self.sha256,
            "address": self.address,
            "method": self.method,
            "levels": self.levels,
            "shape": list(self.shape),
            "card": None if self.card is None else self.card.to_json(),
        }


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What `ue fetch-perturbations` found.

    Attributes:
        fetched: False for a list of what there is.
        perturbations: the best first where one was asked for, else by name.
        rule: what best means.
    """

    fetched: bool
    perturbations: tuple[Listed, ...]
    rule: str = RULE

    def to_json(self) -> dict[str, Any]:
        """The envelope's result."""
        return {
            "fetched": self.fetched,
            "rule": self.rule,
            "perturbations": [perturbation.to_json() for perturbation in self.perturbations],
        }


def fetch(name: str | None, *, refresh: bool = False, bundle: Path = BUNDLE) -> FetchResult:
    """Get what a name stands for, or list what is bundled.

    Args:
        name: see `hub.resolve`; None lists.
        refresh: see `hub.resolve`.
        bundle: see `hub.resolve`.

    Raises:
        UeError: with exit code 4: it is not to be had, or not what it should be.
    """
    if name is None:
        return FetchResult(False, tuple(_listed(card, bundle) for card in bundled(bundle)))
    files = resolve_every(name, refresh=refresh, bundle=bundle)
    return FetchResult(True, tuple(_fetched(file) for file in files))


def _listed(card: Card, bundle: Path) -> Listed:
    return Listed(
        name=card.name,
        source="bundle",
        path=bundle / card.file,
        bytes=card.bytes,
        sha256=card.sha256,
        address=None,
        method=card.method,
        levels=card.levels,
        shape=card.shape,
        card=card,
    )


def _fetched(file: PerturbationFile) -> Listed:
    method = levels = None
    if file.path.suffix.lower() == BANK_SUFFIX:
        bank = load_bank(file.path)
        if file.card is not None:
            file.card.check_bank(bank)
        shape: tuple[int, ...] = bank.delta.shape
        method, levels = bank.provenance.method, bank.budget.levels
    else:
        shape = read_array(file.path)[0].shape
    return Listed(
        name=file.name,
        source=file.source,
        path=file.path.absolute(),
        bytes=file.path.stat().st_size,
        sha256=file.sha256,
        address=file.address,
        method=method,
        levels=levels,
        shape=shape,
        card=file.card,
    )
