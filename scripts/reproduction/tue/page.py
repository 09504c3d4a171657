"""`docs/csd.md`: TUE's tables and the study of CSD, every figure and verdict from the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean

from reproduction.grid.page import victim_words
from reproduction.tue import published
from reproduction.tue.cells import SWAPS, TABLES
from reproduction.tue.plan import BUDGET, VICTIMS, Victim
from reproduction.tue.studies import STUDIES, Study
from reproduction.tue.tables import Figures, Results
from ue_cli.training.ssl_recipes import SSL_NAMES, SSL_TITLES

MISSING = "not measured"
WORDS: dict[Victim, str] = {
    "supervised": "with labels",
    "simclr": "SimCLR",
    "moco": "MoCo",
    "simsiam": "SimSiam",
}
_OTHER = "tiny-imagenet-10"


def page(results: Results, scale: str, picture: str) -> str:
    """Write the whole page.

    Args:
        results: of one scale.
        scale: its name.
        picture: name of the plot's file, beside the page.
    """
    parts = [
        "# CSD, and what a contrastive surrogate adds to it",
        f"<!-- Made by `scripts/reproduce.py tue --scale {scale} --plot`; change that. -->",
        "*Transferable unlearnable examples* (Ren et al., ICLR 2023) descend on two things at "
        "once: CSD, which makes the perturbations of different classes linearly separable and is "
        "meant against training with labels, and a contrastive loss, which is meant against "
        f"training without. What each is worth, at {BUDGET.levels}/255 per channel, on CIFAR-10.",
        _setting(results),
        f"![Accuracy of every arm's victims, a panel per kind of victim]({picture})",
        "## In short",
        "\n".join(f"- {line}" for line in _short(results)),
        "## With labels and without (`--table 4`)",
        *_everything(results),
        *(part for study in STUDIES for part in _study(study, results)),
        f"## {TABLES[5].title} (`--table 5`)",
        *_swapped(results),
        f"## {TABLES[6].title} (`--table 6`)",
        *_moved(results),
        "## The arms",
        _arms(results),
        "## How it was made",
        _made(results, scale),
    ]
    return "\n\n".join(parts) + "\n"


def cell(figures: Figures | None, beside: str = "best epoch") -> str:
    """The mean, and in brackets the range and the count; then the mean of what is beside it."""
    if figures is None:
        return MISSING
    low, high = min(figures.values), max(figures.values)
    if figures.count == 1:
        text = f"{figures.mean:.1f} (n = 1)"
    else:
        text = f"{figures.mean:.1f} ({low:.1f}–{high:.1f}, n = {figures.count})"
    if figures.beside:
        text += f", {beside} {fmean(figures.beside):.1f}"
    return text


def verdict(first: Figures, second: Figures) -> str:
    """Whether seeds explain a difference."""
    if min(first.count, second.count) == 1:
        return "of one seed"
    return "within what seeds differ by" if first.meets(second) else "more than seeds differ by"


def compared(first: Figures, second: Figures, of: str) -> str:
    """The difference of two arms in words.

    Args:
        first: asked about.
        second: beside it.
        of: what the second one is.
    """
    apart = first.mean - second.mean
    return (
        f"{first.mean:.1f} % against {second.mean:.1f} % of {of}: {abs(apart):.1f} points "
        f"{'lower' if apart < 0 else 'higher'}, {verdict(first, second)}"
    )


def _setting(results: Results) -> str:
    row = results.training("supervised")
    lines = ["Accuracy on clean test images in %, the mean over seeds (range, number of seeds)."]
    if row is not None:
        lines.append(
            f"With labels: {row['train_images']:,} images train, {row['test_images']:,} test; "
            f"{victim_words(row['recipe'])}. The figure is the **last epoch's**; the best epoch's "
            "stands behind it."
        )
    found = {
        f"{SSL_TITLES[name]} for {row['recipe']['epochs']} epochs": row
        for name in SSL_NAMES
        if (row := results.training(name)) is not None
    }
    if found:
        some = next(iter(found.values()))
        net = some["recipe"]["net"]
        lines.append(
            f"Without: {'; '.join(found)}, on the same images with a "
            f"{'small ResNet' if net == 'small' else 'ResNet-18'} in batches of "
            f"{some['recipe']['batch']}; the figure is that of a **linear probe**, fitted to the "
            f"protected images and their labels, on {some['test_images']:,} test images. Such a "
            "probe may itself learn what the images carry; so behind it stands the same encoder's "
            "probe fitted to the *originals*: what is left of the encoder."
        )
        floors = [
            f"{figures.mean:.1f} ({WORDS[victim]})"
            for victim in SSL_NAMES
            if (figures := results.floor(victim)) is not None
        ]
        if floors:
            lines.append(
                "On clean files and encoders as they are before their first step the probe has "
                f"{', '.join(floors)}: only what is above that was learned."
            )
    lines.append(f"Guessing gets {results.chance():.0f}. A seed is a perturbation and a victim.")
    return " ".join(lines)


def _short(results: Results) -> Iterator[str]:
    """The lowest arm for each victim, beside the control and the lowest random codes."""
    for victim in VICTIMS:
        found = {name: results.of(name, victim) for name in results.arms}
        known = {name: figures for name, figures in found.items() if figures is not None}
        clean = known.pop("clean", None)
        if clean is None or not known:
            yield f"{_subject(victim)}: {MISSING}."
            continue
        yield f"{_subject(victim)}: {_lowest(known, clean)}."
        own = results.encoder("clean", victim)
        others = {name: results.encoder(name, victim) for name in known}
        if own is not None:
            read = {name: figures for name, figures in others.items() if figures is not None}
            yield f"{_subject(victim)}, fitted to the originals: {_lowest(read, own)}."


def _lowest(known: Mapping[str, Figures], clean: Figures) -> str:
    name = min(known, key=lambda name: known[name].mean)
    text = f"`{name}` is lowest, {compared(known[name], clean, '`clean`')}"
    random = [name for name in known if name.startswith("random-")]
    if random and name not in random:
        best = min(random, key=lambda name: known[name].mean)
        more = compared(known[name], known[best], f"`{best}`")
        text += f". Beside the lowest random codes: {more}"
    return text


def _everything(results: Results) -> Iterator[str]:
    head = ("arm", *(part for v in VICTIMS for part in (WORDS[v], "*published*")))
    names = [*(arm.name for arm in results.arms.values()), "sn"]
    yield _rows(
        head,
        [
            (
                f"`{name}`" if name in results.arms else "SN, synthetic noise",
                *(part for v in VICTIMS for part in (_ours(name, v, results), _told(name, v))),
            )
            for name in names
            if name in published.ACCURACY or any(results.of(name, v) for v in VICTIMS)
        ],
    )
    yield (
        "*Published*: CIFAR-10, 50,000 images, ResNet-18, 200 epochs with labels and 1,000 "
        "without; with labels their victim normalises its features before a linear head, ours has "
        "a standard head. Figures of another setting: what can be compared is the order."
    )


def _ours(name: str, victim: Victim, results: Results) -> str:
    return _cell(name, victim, results) if name in results.arms else ""


def _cell(name: str, victim: Victim, results: Results) -> str:
    beside = "best epoch" if victim == "supervised" else "by originals"
    return cell(results.of(name, victim), beside)


def _told(name: str, victim: Victim) -> str:
    return _italic(published.ACCURACY.get(name, {}).get(victim))


def _study(study: Study, results: Results) -> Iterator[str]:
    yield f"## {study.title}"
    yield study.about
    known = [name for name in study.arms if name in results.arms]
    yield _rows(
        ("arm", "mean \\|δ\\|", "CSD of δ", *(WORDS[v] for v in VICTIMS)),
        [
            (f"`{name}`", *_strength(name, results), *(_cell(name, v, results) for v in VICTIMS))
            for name in known
        ],
    )
    pairs = [pair for pair in study.pairs if set(pair) <= set(known)]
    lines = [f"- {_difference(*pair, results.of, VICTIMS)}" for pair in pairs]
    lines += [
        f"- Fitted to the originals, {_difference(*pair, results.encoder, SSL_NAMES)}"
        for pair in pairs
        if any(results.encoder(pair[0], v) and results.encoder(pair[1], v) for v in SSL_NAMES)
    ]
    yield "\n".join(lines)


def _difference(
    first: str,
    second: str,
    of: Callable[[str, Victim], Figures | None],
    victims: Sequence[Victim],
) -> str:
    """One pair under some victims, by what can be said of it."""
    said: dict[str, list[str]] = {}
    for victim in victims:
        one, other = of(first, victim), of(second, victim)
        if one is None or other is None:
            said.setdefault(MISSING, []).append(_subject(victim))
        else:
            apart = f"{one.mean - other.mean:+.1f}".replace("-", "−")
            said.setdefault(verdict(one, other), []).append(f"{_subject(victim)} {apart}")
    order = sorted(said, key=lambda words: (words == MISSING, "within" in words))
    text = "; ".join(f"{', '.join(said[words])} ({words})" for words in order)
    return f"`{first}` against `{second}`, in points: {text}."


def _strength(name: str, results: Results) -> tuple[str, str]:
    if name == "clean":
        return "", ""
    found = results.strength(name)
    return (MISSING, MISSING) if found is None else (f"{found.mean_abs:.2f}", f"{found.csd:.3g}")


def _swapped(results: Results) -> Iterator[str]:
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
        parts = (part for s in SWAPS for part in (cell(found[name, s]), _italic(told.get(s))))
        rows.append((f"`{name}`", *parts))
    yield _rows(("arm", *(part for swap in SWAPS for part in (swap, "*published*"))), rows)
    lines = []
    for name, swap in product(names, SWAPS[1:]):
        own, swapped = found[name, "original"], found[name, swap]
        words = MISSING
        if own is not None and swapped is not None:
            words = compared(swapped, own, "the original")
        lines.append(f"- `{name}`, {swap}: {words}.")
    yield "\n".join(lines)


def _italic(value: float | None) -> str:
    return "" if value is None else f"*{value:.2f}*"


def _moved(results: Results) -> Iterator[str]:
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
    yield _rows(("arm", WORDS["supervised"]), [(f"`{n}`", cell(figures[n])) for n in names])
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


def _arms(results: Results) -> str:
    lines = []
    for arm in results.arms.values():
        found = results.strength(arm.name)
        more = ""
        if found is not None:
            more = (
                f" Mean |δ| {found.mean_abs:.2f} levels, CSD {found.csd:.3g}, made in "
                f"{found.seconds:,.0f} s."
            )
        lines.append(f"- **{arm.name}**: {arm.about}.{more}")
    return "\n".join(lines)


def _made(results: Results, scale: str) -> str:
    rows = results.rows
    hours = sum(row["seconds"] for row in rows) / 3600
    days = sorted({row["when"][:10] for row in rows})
    versions = sorted({", ".join(f"{n} {v}" for n, v in row["versions"].items()) for row in rows})
    devices = sorted({row["device"].upper() for row in rows})
    when = " to ".join(dict.fromkeys((days[0], days[-1])))
    older = f" {results.others} rows of other settings are not shown." if results.others else ""
    return (
        f"{len(rows)} pieces at scale `{scale}`, {hours:.1f} hours on {' and '.join(devices)}, "
        f"{when}, with {'; '.join(versions)}.{older} Rows with every epoch, setting and version: "
        "`scripts/results/tue.json`; recipes: `scripts/reproduction/tue/plan.py`. Table 5 has the "
        "paper's number; 4 and 6 are this script's names for the tables before and after it."
    )


def _subject(victim: Victim) -> str:
    return "with labels" if victim == "supervised" else f"{WORDS[victim]}'s probe"


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
