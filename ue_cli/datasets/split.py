"""A stratified test set that no near-duplicate straddles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np


def split_off(
    labels: Sequence[int], groups: Sequence[int], share: float, seed: int
) -> frozenset[int]:
    """Choose whole groups for testing, in random order, as long as they fit.

    Of a class of n at most ``share`` · n, rounded, are chosen, and never all of them. A group too
    large for what its classes still lack stays with the training files.

    Args:
        labels: class of each file.
        groups: near-duplicates share a number.
        share: of each class.
        seed: of the order.

    Returns:
        The indices of the chosen files.
    """
    lacking = {
        label: min(round(share * count), count - 1) for label, count in Counter(labels).items()
    }
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    together = list(members.values())
    chosen: set[int] = set()
    for place in np.random.default_rng(seed).permutation(len(together)):
        needs = Counter(labels[index] for index in together[place])
        if all(lacking[label] >= count for label, count in needs.items()):
            chosen.update(together[place])
            for label, count in needs.items():
                lacking[label] -= count
    return frozenset(chosen)
