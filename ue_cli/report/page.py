"""report.html as a whole: one file that opens offline, asks nobody for anything, runs no script."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files as resources

from ue_cli.report import claims, files, measured
from ue_cli.report.certification import Certification
from ue_cli.report.digest import Digest
from ue_cli.report.effect import effect_promise, victims
from ue_cli.report.effectrecord import Evaluation
from ue_cli.report.learnability import learnability, promise
from ue_cli.report.markup import Html, join, region, replace_region, tag
from ue_cli.report.model import Report
from ue_cli.report.verdicts import Figure, figures
from ue_cli.report.words import count, levels, looks, share


def render(report: Report, digest: Digest) -> str:
    """Build the page.

    Args:
        report: all but the files.
        digest: what was kept of the files' records.

    Returns:
        A complete HTML document. Its policy allows its own style sheet, by hash, and pictures in
        data: URIs; everything else is refused, whatever a file name might smuggle in.
    """
    learned = learnability(report.certification, report.certify_command)
    content = (
        ("budget", "Budget", measured.budget(report, digest)),
        ("fidelity", "Fidelity", measured.fidelity(report)),
        ("learnability", "Learnability", learned),
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
                    region(anchor, inner),
                    id=anchor,
                )
                for number, (anchor, title, inner) in enumerate(content, 1)
            ),
        ),
    )
    return _document(f"Report on {report.output} (do not publish)", body)


def renew(page: str, parts: Mapping[str, Html]) -> str:
    """Tell something new in a page that `render` made, and leave all else as it is.

    Args:
        page: report.html.
        parts: the regions to replace, by name; the style sheet comes by itself.

    Raises:
        ValueError: the page has no place for it; it is another version's, or was edited.
    """
    for name, content in {"style": _style(), **parts}.items():
        page = replace_region(page, name, content)
    return page


def certificate_parts(certification: Certification) -> dict[str, Html]:
    """The regions of a report that a certificate changes."""
    return {
        "promise": join(promise(certification)),
        "learnability": learnability(certification, ""),
    }


def evaluation_parts(evaluation: Evaluation) -> dict[str, Html]:
    """The regions of a report that an evaluation changes."""
    return {
        "effect-promise": join(effect_promise(evaluation)),
        "victims": victims(evaluation, ""),
    }


def certificate_page(certification: Certification) -> str:
    """Build the page of a certificate on files that `ue protect` has not reported on."""
    return _standalone(
        f"Certificate on {certification.dataset}",
        certification.dataset,
        "What models learn from these files",
        tag("p", promise(certification), class_="lead"),
        tag("section", tag("h2", "Learnability"), learnability(certification, "")),
    )


def evaluation_page(evaluation: Evaluation) -> str:
    """Build the page of an evaluation of files that `ue protect` has not reported on."""
    return _standalone(
        f"Evaluation of {evaluation.dataset}",
        evaluation.dataset,
        "What trainers get out of these files",
        "",
        tag("section", tag("h2", "Effect"), victims(evaluation, "")),
    )


def _standalone(title: str, dataset: str, heading: str, lead: str, section: Html) -> str:
    header = tag("header", tag("p", dataset, class_="eyebrow"), tag("h1", heading), lead)
    return _document(title, tag("body", tag("main", header, section)))


def _document(title: str, body: Html) -> str:
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        region("style", _style()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex, nofollow"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
    )
    return f'<!doctype html>\n<html lang="en">{head}{body}</html>\n'


def _style() -> Html:
    """The style sheet, and the policy that admits it: one is worth nothing without the other."""
    style = resources("ue_cli.report").joinpath("style.css").read_text("utf-8")
    digest = b64encode(sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return Html(
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><style>{style}</style>'
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
            looks(found) + " ",
        ]
    lead.append(region("promise", promise(report.certification)))
    lead.append(region("effect-promise", effect_promise(report.evaluation)))
    return tag(
        "header",
        tag("p", report.source, " → ", report.output, class_="eyebrow"),
        tag("h1", headline(report), class_="good" if found.passed and found.files else "bad"),
        tag("p", *lead, class_="lead"),
        figures(*_figures(report)),
    )


def _figures(report: Report) -> list[Figure]:
    found = report.budget
    total = found.files + len(report.skipped)
    shown: list[Figure] = [
        ("Protected", f"{found.files:,}", f"of {count(total, 'file')}"),
        ("Largest difference", f"{found.linf:.3g}", f"limit {found.limit} levels"),
        ("Mean difference", f"{found.mean_abs:.2f}", f"{share(found.mean_abs / found.limit)} used"),
    ]
    if report.fidelity is not None:
        middle = report.fidelity.median
        shown.append(("Colour difference", f"{middle.delta_e_median:.2f}", "ΔE00, median"))
    return shown


def _contents(content: tuple[tuple[str, str, Html], ...], report: Report) -> list[Html]:
    links = []
    for anchor, title, _ in content:
        badge: str = ""
        if anchor == "warnings" and report.cautions:
            badge = join(" ", tag("span", str(len(report.cautions)), class_="badge"))
        links.append(tag("a", title, badge, href=f"#{anchor}"))
    return links
