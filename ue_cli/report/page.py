"""report.html as a whole: one file that opens offline, asks nobody for anything, runs no script."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files as resources

from ue_cli.report import claims, files, measured
from ue_cli.report.digest import Digest
from ue_cli.report.markup import Html, join, tag
from ue_cli.report.model import Report
from ue_cli.report.words import count, levels, share


def render(report: Report, digest: Digest) -> str:
    """Build the page.

    Args:
        report: all but the files.
        digest: what was kept of the files' records.

    Returns:
        A complete HTML document. Its policy allows its own style sheet, by hash, and pictures in
        data: URIs; everything else is refused, whatever a file name might smuggle in.
    """
    content = (
        ("budget", "Budget", measured.budget(report, digest)),
        ("fidelity", "Fidelity", measured.fidelity(report)),
        ("learnability", "Learnability", claims.learnability(report)),
        ("effect", "Effect", claims.effect(report)),
        ("limits", "Limits, in plain words", claims.limits(report)),
        ("warnings", "Warnings", claims.warnings(report)),
        ("files", "Files", files.files(report, digest)),
        ("origin", "How this was made", files.origin(report)),
    )
    body = tag(
        "body",
        tag(
            "div",
            tag("strong", "Do not publish:"),
            " this report shows your originals and the perturbation.",
            class_="banner",
        ),
        tag(
            "main",
            _header(report),
            tag("nav", *_contents(content, report), aria_label="Contents"),
            *(
                tag(
                    "section",
                    tag("h2", tag("span", str(number), class_="number"), title),
                    inner,
                    id=anchor,
                )
                for number, (anchor, title, inner) in enumerate(content, 1)
            ),
        ),
    )
    return f'<!doctype html>\n<html lang="en">{_head(report)}{body}</html>\n'


def _head(report: Report) -> Html:
    style = resources("ue_cli.report").joinpath("style.css").read_text("utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex, nofollow"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Report on {report.output} (do not publish)"),
        Html(f"<style>{style}</style>"),
    )


def headline(report: Report) -> str:
    """Say in one sentence how it went."""
    found = report.budget
    if not found.files:
        return "No photo was protected."
    if not found.passed:
        return f"{found.over_count:,} of {count(found.files, 'photo')} exceed the budget."
    if found.files == 1:
        return "One photo protected, within the budget."
    return f"{count(found.files, 'photo')} protected, every one within the budget."


def _header(report: Report) -> Html:
    found = report.budget
    lead = []
    if not found.passed:
        lead.append("Do not publish them: section 1 names them. ")
    if found.files:
        lead += [
            f"No value was to move by more than {found.limit} of 255 levels; the largest "
            f"difference in the written files is {levels(found.linf)}, the average "
            f"{levels(found.mean_abs)}. ",
            "The change is hard to see, not impossible to see. ",
        ]
    lead.append(
        "Whether a model fails to learn from these files was not measured in this run, and nothing "
        "here promises that it does."
    )
    return tag(
        "header",
        tag("p", report.source, " → ", report.output, class_="eyebrow"),
        tag("h1", headline(report), class_="good" if found.passed and found.files else "bad"),
        tag("p", *lead, class_="lead"),
        tag("dl", *_figures(report), class_="figures"),
    )


def _figures(report: Report) -> list[Html]:
    found = report.budget
    total = found.files + len(report.skipped)
    figures = [
        ("Protected", f"{found.files:,}", f"of {count(total, 'file')}"),
        ("Largest difference", f"{found.linf:.3g}", f"limit {found.limit} levels"),
        ("Mean difference", f"{found.mean_abs:.2f}", f"{share(found.mean_abs / found.limit)} used"),
    ]
    if report.fidelity is not None:
        middle = report.fidelity.median
        figures.append(("Colour difference", f"{middle.delta_e_median:.2f}", "ΔE00, median"))
    return [
        tag(
            "div",
            tag("dt", name),
            tag("dd", tag("span", value, class_="value"), tag("span", unit, class_="unit")),
        )
        for name, value, unit in figures
    ]


def _contents(content: tuple[tuple[str, str, Html], ...], report: Report) -> list[Html]:
    links = []
    for anchor, title, _ in content:
        badge: str = ""
        if anchor == "warnings" and report.cautions:
            badge = join(" ", tag("span", str(len(report.cautions)), class_="badge"))
        links.append(tag("a", title, badge, href=f"#{anchor}"))
    return links
