"""The sections on what the method is worth: measured elsewhere, known limits, what to do."""

from __future__ import annotations

from ue_cli.report.effect import victims
from ue_cli.report.markup import Html, join, p, region, table, tag
from ue_cli.report.model import PUBLIC_CAUTION, PublicNote, Report, Table


def effect(report: Report) -> Html:
    """4: what trainers got out of these files, and what the method did elsewhere."""
    parts = [region("victims", victims(report.evaluation, report.evaluate_command))]
    if report.effect is not None:
        parts.append(p("What the same method did to benchmark files, for orientation and no more:"))
        parts.append(_measured(report.effect))
    if report.public is not None and report.public.measured is not None:
        link = tag("a", "the warnings", href="#warnings")
        parts.append(p("What the card of this public perturbation claims is among ", link, "."))
    return join(*parts)


def limits(report: Report) -> Html:
    """5: what defeats it."""
    radius = f"{report.budget.limit}/255"
    known = (
        f"Adversarial training with a radius near ε\u00a0=\u00a0{radius}.",
        "Purification of the files with a diffusion model.",
        "Dilution with many clean images: 4,000 clean ones beside 40,000 protected ones restore "
        "about 80 % accuracy on CIFAR-10.",
        "A leak of pairs of original and protected file: 500 pairs restore 84 to 94 %. Keep your "
        "originals, and this report, to yourself.",
        "Originals that are already public elsewhere.",
    )
    parts = [
        p(
            "This raises the cost of training on your photos. It does not make it impossible. Each "
            "of these defeats every published method, this one included:"
        ),
        tag("ul", *(tag("li", line) for line in known)),
        p(
            "It is not encryption: a pattern that many files of a class share can be estimated by "
            "averaging them. Anybody can still look at, copy and print the photos."
        ),
        tag("h3", "Processing that it survives, and processing that it does not"),
    ]
    if report.transformations is None:
        parts.append(
            p(
                "Resizing, recompression, blurring or conversion to gray may weaken the "
                "perturbation of these files or remove it. Only what section 4 names was tried."
            )
        )
    else:
        parts.append(_measured(report.transformations))
    return join(*parts)


def _measured(found: Table) -> Html:
    numeric = frozenset(
        i
        for i in range(1, len(found.columns))
        if all(row[i][:1].isdigit() or row[i] in ("", "–") for row in found.rows)
    )
    parts = [
        tag("p", found.caption, class_="caption"),
        table(found.columns, found.rows, numeric=numeric),
    ]
    if found.note:
        parts.append(p(found.note, class_="note"))
    return join(*parts)


def warnings(report: Report) -> Html:
    """6: each with what to do; below the one on a public perturbation, what is known of it."""
    parts = []
    for caution in report.cautions:
        parts.append(
            tag(
                "div",
                p(tag("strong", caution.text)),
                p(tag("span", "What to do: ", class_="label"), caution.remedy),
                class_="caution",
            )
        )
        if caution.code == PUBLIC_CAUTION and report.public is not None:
            parts += _known(report.public)
    return join(*parts) if parts else p("None.")


def _known(public: PublicNote) -> list[Html]:
    """Whose perturbation it is, and what its publisher says of it."""
    if public.card is None:
        return [p(f"{public.name} has no card: nothing is known of its effect.")]
    parts = [tag("h3", f"What the card of {public.card} says")]
    if public.measured is None:
        parts.append(p("Nobody has measured what it does."))
    else:
        parts.append(_measured(public.measured))
    if public.limits:
        parts += [p("Its limits:"), tag("ul", *(tag("li", line) for line in public.limits))]
    if public.chosen:
        parts.append(p(f"Why it was chosen: {public.chosen}"))
    return parts
