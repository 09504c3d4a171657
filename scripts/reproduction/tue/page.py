"""`docs/csd.md`: TUE's tables and the study of CSD, every figure and verdict from the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reproduction.grid.page import victim_words
from reproduction.tue import published
from reproduction.tue.cells import TABLES
from reproduction.tue.plan import BUDGET, VICTIMS, Victim
from reproduction.tue.sections import moved_part, study_part, swapped_part, victim_cell
from reproduction.tue.studies import STUDIES
from reproduction.tue.tables import Figures, Results
from reproduction.tue.words import MISSING, WORDS, compared, italic, subject, table
from ue_cli.training.ssl_recipes import SSL_NAMES, SSL_TITLES


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
        *(part for study in STUDIES for part in study_part(study, results)),
        f"## {TABLES[5].title} (`--table 5`)",
        *swapped_part(results),
        f"## {TABLES[6].title} (`--table 6`)",
        *moved_part(results),
        "## The arms",
        _arms(results),
        "## How it was made",
        _made(results, scale),
    ]
    return "\n\n".join(parts) + "\n"


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
            if (figures := results.untrained("clean", victim)) is not None
        ]
        if floors:
            lines.append(
                "*Untrained* is the probe of the same encoders before their first step, fitted "
                f"to the same files. Of clean files that has {', '.join(floors)}: only what is "
                "above it was learned. What an arm takes from the untrained one, too, misleads "
                "the probe and has kept no encoder from learning."
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
            yield f"{subject(victim)}: {MISSING}."
            continue
        yield f"{subject(victim)}: {_lowest(known, clean)}."
        own = results.encoder("clean", victim)
        others = {name: results.encoder(name, victim) for name in known}
        if own is not None:
            read = {name: figures for name, figures in others.items() if figures is not None}
            yield f"{subject(victim)}, fitted to the originals: {_lowest(read, own)}."


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
    yield table(
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
    return victim_cell(name, victim, results) if name in results.arms else ""


def _told(name: str, victim: Victim) -> str:
    return italic(published.ACCURACY.get(name, {}).get(victim))


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
        "`scripts/results/tue.json`; recipes: `scripts/reproduction/tue`. Table 5 has the "
        "paper's number; 4 and 6 are this script's names for the tables before and after it."
    )
