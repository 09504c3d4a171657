"""Any bank for any classes: by name, by index, and mixed where it has too few (TUE, eq. 7–8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ue_cli.errors import ExitCode, UeError
from ue_cli.types import Bank, Budget

__all__ = [
    "TRANSFER",
    "has_name",
    "map_classes",
    "mix",
    "mixed_classes",
    "mixtures",
    "transfer_bank",
    "with_budget",
]

TRANSFER = "transfer"
"""In a bank's recipe: class -> {entry of the source: its share}."""

Shares = dict[str, float]


def transfer_bank(
    bank: Bank,
    classes: Sequence[str],
    *,
    per_class: int | None = None,
    seed: int = 0,
    frozen: Bank | None = None,
) -> Bank:
    """A bank for these classes, out of one for others.

    An entry that serves a class of its own is passed on as it is, value by value. A class beyond
    the entries gets a convex mixture of two entries' δ (TUE, eq. 8), a sample beyond an entry's
    own one of two of its samples (eq. 7); mixtures of points of the ball lie in the ball, and so
    do their rounded levels.

    Args:
        bank: the source.
        classes: distinct names; see `map_classes` for which entry each gets.
        per_class: samples of each class; None: as many as the source has. Of one sample alone,
            mixtures are that sample.
        seed: of which entries and samples are mixed.
        frozen: an earlier transfer of the same source under the same seed, which these classes
            join: its classes come first, and no value of it changes.

    Returns:
        A bank of the source's budget, whose recipe holds the source's own and, as ``transfer``,
        what each class was made of.

    Raises:
        UeError: ``transfer-classes``: two entries at least are needed to mix, and there is one.
        ValueError: no class, a name twice, or ``frozen`` is no transfer of such a bank.
    """
    frozen_shares: Mapping[str, Shares] = {}
    if frozen is not None:
        shares = frozen.provenance.recipe.get(TRANSFER, {})
        if set(shares) != set(frozen.classes) or frozen.delta.shape[2:] != bank.delta.shape[2:]:
            raise ValueError("the frozen bank is no transfer of this one")
        frozen_shares = {name: shares[name] for name in frozen.classes}  # JSON sorted them
        per_class = max(per_class or 0, frozen.delta.shape[1])
    made_of = map_classes(bank.classes, classes, seed=seed, frozen=frozen_shares)
    entries = {name: index for index, name in enumerate(bank.classes)}
    parts = [[(entries[entry], share) for entry, share in made_of[n].items()] for n in made_of]
    first, second = (np.array([part[at][0] for part in parts]) for at in (0, -1))
    share = np.array([part[0][1] for part in parts])
    delta, mixed = _samples(bank.delta, first, per_class, seed), first != second
    more = _samples(bank.delta, second[mixed], per_class, seed)
    delta[mixed] = mix(delta[mixed], more, share[mixed, None, None, None, None])
    if frozen is not None:
        delta[: len(frozen.classes), : frozen.delta.shape[1]] = frozen.delta
    recipe = {"source": dict(bank.provenance.recipe), TRANSFER: made_of, "seed": seed}
    return Bank(delta, tuple(made_of), bank.budget, replace(bank.provenance, recipe=recipe))


def map_classes(
    entries: Sequence[str],
    classes: Sequence[str],
    *,
    seed: int = 0,
    frozen: Mapping[str, Shares] | None = None,
) -> dict[str, Shares]:
    """Which entry, or which two in what shares, each class gets.

    First the entry of the same name (NFC), then one whose name differs in case alone. The classes
    left over take, sorted by name, the entries left over in the bank's order. What then is still
    missing is mixed: every pair of entries once, in halves, before any is used again, then in
    quarters, and so on, so that no two mixtures lie closer than they have to.

    Args:
        entries: the bank's names, in its order.
        classes: distinct names.
        seed: of the order of the pairs.
        frozen: an earlier result, which stays and comes first; an entry used there by itself is
            taken.

    Raises:
        UeError: ``transfer-classes``.
        ValueError: no class, or a name twice.
    """
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"expected distinct classes, got {len(classes)}")
    assignment: dict[str, Shares] = {name: dict(shares) for name, shares in (frozen or {}).items()}
    taken = {entry for shares in assignment.values() if len(shares) == 1 for entry in shares}
    order = [*assignment, *(name for name in classes if name not in assignment)]
    for form in (_nfc, _folded):
        free: dict[str, str] = {}
        for entry in entries:
            if entry not in taken:
                free.setdefault(form(entry), entry)
        for name in order:
            if name not in assignment and (match := free.pop(form(name), None)) is not None:
                assignment[name] = {match: 1.0}
                taken.add(match)
    rest = sorted(name for name in order if name not in assignment)
    left = [entry for entry in entries if entry not in taken]
    assignment |= {name: {entry: 1.0} for name, entry in zip(rest, left, strict=False)}
    missing, before = rest[len(left) :], sum(len(shares) > 1 for shares in assignment.values())
    if missing and len(entries) < 2:
        raise UeError(
            "transfer-classes",
            f"A perturbation for {len(order)} classes needs at least two entries to mix; this one "
            f"has {len(entries)}.",
            "Choose a perturbation with more classes, or leave --perturbation out.",
            exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
        )
    first, second, share = mixtures(len(entries), before, len(missing), seed)
    for name, a, b, part in zip(missing, first, second, share, strict=True):
        assignment[name] = {entries[a]: float(part), entries[b]: float(1 - part)}
    return {name: assignment[name] for name in order}


def has_name(entries: Sequence[str], name: str) -> bool:
    """Whether a class has an entry of its own name, as `map_classes` compares names."""
    return _folded(name) in map(_folded, entries)


def mixed_classes(bank: Bank) -> tuple[str, ...]:
    """The classes of a transferred bank that are mixtures of two entries."""
    made_of: Mapping[str, Shares] = bank.provenance.recipe.get(TRANSFER, {})
    return tuple(name for name, shares in made_of.items() if len(shares) > 1)


def with_budget(bank: Bank, budget: Budget, *, rescale: bool = False) -> Bank:
    """The same perturbation under another budget; levels stay what they are, unless rescaled.

    Args:
        bank: of any budget.
        budget: the ball to be in.
        rescale: multiply everything so that the largest value just fits.

    Raises:
        UeError: ``perturbation-over-budget``: it does not fit, and was not to be rescaled.
    """
    most = int(np.abs(bank.delta.astype(np.int16)).max())
    if rescale:
        delta = np.rint(bank.delta * (budget.levels / max(most, 1))).astype(np.int8)
        return replace(bank, delta=delta, budget=budget)
    if most > budget.levels:
        raise over_budget(most, budget)
    return replace(bank, budget=budget)


def over_budget(most: float, budget: Budget) -> UeError:
    """The refusal of values beyond the budget."""
    return UeError(
        "perturbation-over-budget",
        f"The perturbation's values reach {most:.4g} levels of 255; the budget is {budget.levels}.",
        "Allow it with --epsilon, where that is meant, or shrink it with --rescale.",
        exit_code=ExitCode.PERTURBATION_UNAVAILABLE,
    )


def mixtures(
    things: int, start: int, count: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Numbers ``start`` to ``start + count`` of an endless list of mixtures of two of ``things``.

    Pairs go round the things in an order drawn once: neighbours, then next but one, …; the share
    of the first halves the gaps left so far (van der Corput) each time that all pairs were used.

    Returns:
        First, second and the first's share of each, (count,); both the same where there is one.
    """
    pairs = max(1, things * (things - 1) // 2)
    rounds, at = np.divmod(np.arange(start, start + count), pairs)
    place, step = at % things, at // things + 1
    order = np.random.default_rng(seed).permutation(things)
    share, gap = np.zeros(count), 0.5
    digits = rounds + 1
    while digits.any():
        share += gap * (digits % 2)
        digits, gap = digits // 2, gap / 2
    return order[place], order[(place + step) % things], share


def mix(
    first: NDArray[np.int8], second: NDArray[np.int8], share: NDArray[np.float64]
) -> NDArray[np.int8]:
    """``share`` of the first and the rest of the second, in whole levels; of any one shape."""
    part = share.astype(np.float32)
    return np.rint(part * first + (1 - part) * second).astype(np.int8)


def _samples(
    delta: NDArray[np.int8], entries: NDArray[np.intp], per_class: int | None, seed: int
) -> NDArray[np.int8]:
    """So many samples of each entry, (k, per_class, 3, h, w), a copy: first come its own."""
    samples: NDArray[np.int8] = delta[:, :per_class][entries]
    missing = (per_class or 0) - samples.shape[1]
    if missing <= 0:
        return samples
    first, second, share = mixtures(samples.shape[1], 0, missing, seed)
    more = mix(samples[:, first], samples[:, second], share[:, None, None, None])
    return np.concatenate([samples, more], axis=1)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _nfc(unicodedata.normalize("NFC", name).casefold())
