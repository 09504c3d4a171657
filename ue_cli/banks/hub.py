"""From what a person wrote to a perturbation's file: a path, a bundled name, or ``hf://…``.

A path comes first, then the bundle, then the local Hub cache, then the Hub. No repository is asked
for a mere name.
"""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ue_cli.banks.arrayfile import SUFFIXES
from ue_cli.banks.bank import load_bank
from ue_cli.banks.cardfile import is_card, read_card
from ue_cli.banks.cards import (
    BANK_SUFFIX,
    CARD_SUFFIX,
    Card,
    file_sha256,
    unavailable,
)
from ue_cli.banks.remote import SCHEME, Address, Cached, cached, download, missing
from ue_cli.errors import UeError

Source = Literal["path", "bundle", "cache", "hub"]

RULE = (
    "of several for one data set, the one first that was measured to take most accuracy from a "
    "victim on that data set's files, by its worst measurement; then the others by name"
)

_PACKAGE = Path(__file__).resolve().parent.parent
_INSTALLED = _PACKAGE / "pretrained"
BUNDLE = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "pretrained"
"""In an installed package inside it, in a checkout beside it."""


@dataclass(frozen=True, slots=True)
class PerturbationFile:
    """A perturbation's file, its bytes checked as far as anybody has said what they should be.

    Attributes:
        path: where it is.
        source: which of the four places it came from.
        sha256: of its bytes.
        address: ``hf://`` with the commit for a revision; None where it is not from the Hub.
        card: where there is one.
    """

    path: Path
    source: Source
    sha256: str
    address: str | None = None
    card: Card | None = None

    @property
    def name(self) -> str:
        """Of the card, else of the file."""
        return self.path.stem if self.card is None else self.card.name


def resolve(text: str, *, refresh: bool = False, bundle: Path = BUNDLE) -> PerturbationFile:
    """The one perturbation that a text names; of several, the best (`RULE`).

    Args:
        text: a path, a full or short name, or ``hf://OWNER/REPO[@REVISION]/FILE``.
        refresh: ask the Hub for a branch's or tag's commit, even where the cache knows one.
        bundle: folder of the bundled banks.

    Raises:
        UeError: with exit code 4, saying why there is none that can be used.
    """
    return resolve_every(text, refresh=refresh, bundle=bundle)[0]


def resolve_every(
    text: str, *, refresh: bool = False, bundle: Path = BUNDLE
) -> tuple[PerturbationFile, ...]:
    """Everything that a text names, the best first; see `resolve`."""
    if text.startswith(SCHEME):
        return (_from_hub(Address.parse(text), refresh),)
    path = Path(text)
    if path.is_file():
        return (PerturbationFile(path, "path", file_sha256(path), card=_card_beside(path)),)
    cards = bundled(bundle)
    wanted = text.strip().lower().replace("_", "-")
    named = [card for card in cards if card.name == wanted] or _for_dataset(wanted, cards)
    if named:
        return tuple(from_bundle(card, bundle) for card in named)
    if os.sep in text or path.suffix.lower() in (BANK_SUFFIX, *SUFFIXES):
        raise unavailable(
            "perturbation-missing",
            f"There is no perturbation file at {text}.",
            "ue fetch-perturbations lists the bundled ones.",
        )
    raise _unknown(text, wanted, cards)


def bundled(bundle: Path = BUNDLE) -> tuple[Card, ...]:
    """The cards of the bundled banks, by name.

    Raises:
        UeError: one of them is damaged.
    """
    return tuple(read_card(path) for path in sorted(bundle.glob("*" + CARD_SUFFIX)))


def _for_dataset(name: str, cards: tuple[Card, ...]) -> list[Card]:
    def rank(card: Card) -> tuple[bool, float, str]:
        drop = card.effect(name)
        return drop is None, -(drop or 0.0), card.name

    return sorted((card for card in cards if card.dataset == name), key=rank)


def from_bundle(card: Card, bundle: Path = BUNDLE) -> PerturbationFile:
    """A bundled bank.

    Raises:
        UeError: its file is missing, or not the one that its card is about.
    """
    path = bundle / card.file
    if not path.is_file():
        raise unavailable(
            "bundle-incomplete",
            f"{card.name} belongs to this installation, and its file {path} is not there.",
            "Install ue again.",
        )
    card.check_file(path)
    return PerturbationFile(path, "bundle", card.sha256, card=card)


def _card_beside(path: Path) -> Card | None:
    """The card that lies beside a bank, held against it."""
    where = path.with_suffix(CARD_SUFFIX)
    if path.suffix != BANK_SUFFIX or not is_card(where):
        return None
    card = read_card(where)
    card.check_file(path)
    return card


def _from_hub(address: Address, refresh: bool) -> PerturbationFile:
    if Path(address.file).suffix.lower() not in (BANK_SUFFIX, *SUFFIXES):
        raise unavailable(
            "perturbation-kind",
            f"{address.file} is no perturbation: expected a {BANK_SUFFIX} file, or a published "
            f"{', '.join(SUFFIXES)} file.",
            "Give the address of one of the repository's files.",
        )
    file, card_file = _bank_and_card(address, refresh)
    card = None
    if file.path.suffix.lower() == BANK_SUFFIX:
        try:
            bank = load_bank(file.path)
            if card_file is not None:
                card = read_card(card_file.path)
                card.check_file(file.path)
                card.check_bank(bank)
        except UeError:
            file.drop()
            if card_file is not None:
                card_file.drop()
            raise
    digest = card.sha256 if card is not None else file_sha256(file.path)
    return PerturbationFile(file.path, file.source, digest, str(file.address), card)


def _bank_and_card(address: Address, refresh: bool) -> tuple[Cached, Cached | None]:
    """The file, and its card of the same commit where there is one.

    The card comes first: without it no bank gets into the cache, from where both are taken without
    asking anybody.
    """
    beside = Path(address.file).with_suffix(CARD_SUFFIX).as_posix()
    card_file: Cached | None
    if not refresh and (file := cached(address)) is not None:
        card_file = cached(file.address.at(file.commit, beside))
    else:
        try:
            card_file = download(address.at(address.revision, beside), refresh=refresh)
            address = address.at(card_file.commit)
        except UeError as error:
            if not missing(error):
                raise
            card_file = None
        file = download(address, refresh=refresh)
    if card_file is not None and not is_card(card_file.path):
        card_file = None
    return file, card_file


def _unknown(text: str, wanted: str, cards: tuple[Card, ...]) -> UeError:
    names = sorted({name for card in cards for name in (card.name, card.dataset)} - {"any"})
    close = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(close)}?" if close else f"There are: {', '.join(names)}."
    return unavailable(
        "perturbation-unknown",
        f"There is no perturbation named {text!r}, and no such file.",
        f"{meant} A file of the Hub is written hf://OWNER/REPO/FILE.",
    )
