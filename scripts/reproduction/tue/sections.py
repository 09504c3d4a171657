"""Parts of `docs/csd.md`: the studies, which image carries which δ, another data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from reproduction.grid.page import victim_words
from reproduction.tue import published
from reproduction.tue.cells import SWAPS, TABLES
from reproduction.tue.plan import VICTIMS, Victim
from reproduction.tue.studies import Study
from reproduction.tue.tables import Figures, Results
from reproduction.tue.words import MISSING, WORDS, cell, compared, italic, subject, table, verdict

_OTHER = "tiny-imagenet-10"


def study_part(study: Study, results: Results) -> Iterator[str]:
    """A study's heading, its table of what was measured, and each pair's differences."""
    yield f"## {study.title}"
    yield study.about
    known = [name for name in study.arms if name in results.arms]
    tried = [name for name in known if any(results.of(name, v) for v in VICTIMS)]
    shown = [v for v in VICTIMS if any(results.of(name, v) for name in tried if name != "clean")]
    if not shown:
        yield f"{MISSING.capitalize()}."
        return
    yield table(
        ("arm", "mean \\|δ\\|", "CSD of δ", *(WORDS[v] for v in shown)),
        [
            (
                f"`{name}`",
                *_strength(name, results),
                *(victim_cell(name, v, results) for v in shown),
            )
            for name in tried
        ],
    )
    lines = [
        line
        for pair in study.pairs
        if set(pair) <= set(tried)
        for line in (
            *_difference("", *pair, results.of, shown),
            *_difference("Fitted to the originals, ", *pair, results.encoder, shown),
        )
    ]
    if absent := [f"`{name}`" for name in known if name not in tried]:
        lines.append(f"- {MISSING.capitalize()}: {', '.join(absent)}.")
    if lines:
        yield "\n".join(lines)


def _difference(
    head: str,
    first: str,
    second: str,
    of: Callable[[str, Victim], Figures | None],
    victims: Sequence[Victim],
) -> Iterator[str]:
    """One pair under the victims that both were shown to, by what can be said of it."""
    said: dict[str, list[str]] = {}
    for victim in victims:
        one, other = of(first, victim), of(second, victim)
        if one is not None and other is not None:
            apart = f"{one.mean - other.mean:+.1f}".replace("-", "−")
            said.setdefault(verdict(one, other), []).append(f"{subject(victim)} {apart}")
    if said:
        order = sorted(said, key=lambda words: "within" in words)
        text = "; ".join(f"{', '.join(said[words])} ({words})" for words in order)
        yield f"- {head}`{first}` against `{second}`, in points: {text}."


def _strength(name: str, results: Results) -> tuple[str, str]:
    if name == "clean":
        return "", ""
    found = results.strength(name)
    return (MISSING, MISSING) if found is None else (f"{found.mean_abs:.2f}", f"{found.csd:.3g}")


def swapped_part(results: Results) -> Iterator[str]:
    """Table 5: each arm with its own δ and with others', and what the swap changes."""
    yield (
        "Each image carries its own δ, that of another image of its class, or that of an image of "
        "the next class. A perturbation that works through its separable part alone does not mind. "
        "Victims learn with labels; in italics what is published."
    )
    names = [name for name in TABLES[5].arms if name in results.arms]
    found = {
        (name, swap): results.of(name, "supervised", swap=swap) for name in names for swap in SWAPS
    }
    rows = [("`clean`", cell(results.of("clean", "supervised")), *[""] * (2 * len(SWAPS) - 1))]
    for name in names:
        told = published.SWAPPED.get(name, {})
        parts = (part for s in SWAPS for part in (cell(found[name, s]), italic(told.get(s))))
        rows.append((f"`{name}`", *parts))
    yield table(("arm", *(part for swap in SWAPS for part in (swap, "*published*"))), rows)
    lines = []
    for name, swap in product(names, SWAPS[1:]):
        own, swapped = found[name, "original"], found[name, swap]
        words = MISSING
        if own is not None and swapped is not None:
            words = compared(swapped, own, "the original")
        lines.append(f"- `{name}`, {swap}: {words}.")
    yield "\n".join(lines)


def moved_part(results: Results) -> Iterator[str]:
    """Table 6: each arm on the other data set, beside that one's control."""
    row = results.training("supervised", _OTHER)
    about = (
        "Patterns made on CIFAR-10, on ten Tiny-ImageNet classes of 64 pixels: a class takes the "
        "pattern of its place in the alphabet (eq. 7–8), each cell covers twice as many pixels."
    )
    if row is not None:
        about += (
            f" {row['train_images']:,} images train, {row['test_images']:,} test; "
            f"{victim_words(row['recipe'])}."
        )
    yield about
    names = [name for name in TABLES[6].arms if name in results.arms]
    figures = {name: results.of(name, "supervised", _OTHER) for name in names}
    yield table(("arm", WORDS["supervised"]), [(f"`{n}`", cell(figures[n])) for n in names])
    clean, lines = figures.get("clean"), []
    for name in names[1:]:
        own = figures[name]
        words = MISSING if own is None or clean is None else compared(own, clean, "`clean`")
        lines.append(f"- `{name}`: {words}.")
    yield "\n".join(lines)
    told = "; ".join(
        f"{name.upper() if name in ('em', 'sn') else name} {'/'.join(f'{v:.2f}' for v in values)}"
        for name, values in published.MOVED.items()
    )
    yield (
        "*Published*, of other data (SVHN-small / CIFAR-100 / SVHN, ResNet-18, 200 epochs): "
        f"{told}."
    )


def victim_cell(name: str, victim: Victim, results: Results) -> str:
    """An arm's figures for a victim, with what stands beside such a victim's."""
    beside = "best epoch" if victim == "supervised" else "by originals"
    text = cell(results.of(name, victim), beside)
    untrained = results.untrained(name, victim)
    return text if untrained is None else f"{text}, untrained {untrained.mean:.1f}"
