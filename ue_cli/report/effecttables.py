"""The numbers of section 4: what each trainer reached, and what its control did."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.report.markup import Html, join, p, table, tag
from ue_cli.report.verdicts import VERDICTS
from ue_cli.report.words import percent
from ue_cli.types import EffectCell, Training
from ue_cli.types.wording import at_least, at_most

Named = Sequence[tuple[str, EffectCell]]
"""Cells, each with what tells it apart from the others."""


def reached(named: Named, tests: int) -> Html:
    """Last epoch, best epoch and fit on either side, and the two bounds that a verdict compares."""

    def line(name: str, cell: EffectCell) -> tuple[str, ...]:
        control = cell.control
        lower = "" if cell.lower is None else f"at least {at_least(cell.lower)}"
        return (
            name,
            _range([one.last / tests for one in cell.protected]),
            _above(_range([one.best / tests for one in cell.protected]), _most(cell)),
            _range([one.fit for one in cell.protected]),
            _above(_range([one.last / tests for one in control]), lower),
            _range([one.best / tests for one in control]),
            _range([one.fit for one in control]),
            VERDICTS[cell.verdict],
        )

    return table(
        ("Trainer", "Last", "Best", "Fit", "Last", "Best", "Fit", "Verdict"),
        [line(name, cell) for name, cell in named],
        numeric=frozenset(range(1, 7)),
        groups=(("", 1), ("Protected", 3), ("Control", 3), ("", 1)),
        narrow=True,
    )


def alone(named: Named, tests: int) -> list[Html]:
    """What the unprotected files teach by themselves; nothing where all are protected."""
    rows = [
        (
            name,
            _bounded(cell.protected, tests),
            _bounded(cell.alone, tests),
            _bounded(cell.control, tests),
        )
        for name, cell in named
        if cell.alone
    ]
    if not rows:
        return []
    return [
        tag("h3", "Where some of the files are clean"),
        p(
            "What is reached beyond the clean files alone is what the protected ones still teach; "
            "the rest would be learned without them. Last epoch, with the intervals of the lowest "
            "and the highest."
        ),
        table(
            ("Trainer", "All files", "Clean ones alone", "All originals"),
            rows,
            numeric=frozenset({1, 2, 3}),
            narrow=True,
        ),
    ]


def encoders(named: Named) -> list[Html]:
    """What encoders are worth beside their linear probes; nothing where there are none."""
    rows = [
        (name, *_encodings(cell.protected), *_encodings(cell.control))
        for name, cell in named
        if any(one.encoding is not None for one in cell.protected)
    ]
    if not rows:
        return []
    return [
        tag("h3", "Encoders that learned without labels"),
        p(
            "An encoder learns from the files alone. A linear probe is then fitted to its features "
            "and the labels of the same files: its accuracy is the one above, its fit that of "
            "whole frames. Neighbours: a vote of the nearest files (kNN) instead. Untrained: the "
            "same encoder before its first step; what goes beyond that it has learned from the "
            "files. After the last epoch."
        ),
        table(
            ("Trainer", *2 * ("Probe", "Neighbours")),
            rows,
            numeric=frozenset(range(1, 5)),
            groups=(("", 1), ("Protected", 2), ("Control", 2)),
            narrow=True,
        ),
    ]


def _encodings(trainings: Sequence[Training]) -> tuple[Html, Html]:
    """The last probe and the last neighbours, each above what they were before the first step."""
    known = [(one, one.encoding) for one in trainings if one.encoding is not None]
    if not known:
        return (join("–"), join("–"))
    return (
        _above(
            _range([one.last / of.tests for one, of in known]),
            f"untrained {_range([of.floor / of.tests for _, of in known])}",
        ),
        _above(
            _range([of.neighbours / of.tests for _, of in known]),
            f"untrained {_range([of.floor_neighbours / of.tests for _, of in known])}",
        ),
    )


def several(cells: Sequence[EffectCell]) -> str:
    """What more than one seed means for the numbers."""
    seeds = max(len(cell.protected) for cell in cells)
    if seeds == 1:
        return "One training of each kind: another seed may end elsewhere."
    return (
        f"{seeds} trainings of each kind, from the lowest to the highest. They share the test "
        "images, so they are not pooled: each has an interval of its own, and a verdict takes the "
        "best training on the protected files and the worst control."
    )


def _most(cell: EffectCell) -> str:
    return f"at most {at_most(cell.upper)}"


def _bounded(trainings: Sequence[Training], tests: int) -> str:
    if not trainings:
        return _range([])
    low = min(one.last_interval[0] for one in trainings)
    high = max(one.last_interval[1] for one in trainings)
    shares = _range([one.last / tests for one in trainings])
    return _above(shares, f"{at_least(low)} to {at_most(high)}")


def _above(value: str, small: str) -> Html:
    return join(value, tag("small", small)) if small else join(value)


def _range(shares: Sequence[float]) -> str:
    """The lowest and the highest; one number where they read alike."""
    if not shares:
        return "–"
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low.removesuffix(' %')}–{high}"
