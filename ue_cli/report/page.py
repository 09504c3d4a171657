"""``report.html``: one file that opens offline, asks nobody for anything and runs no script.

It is rendered whole, always, from the JSON files of the report folder and nothing else.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ue_cli.report import charts, words
from ue_cli.report.evaluation import PROBES
from ue_cli.report.folder import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    atomic,
    current,
    read_certificate,
    read_evaluation,
    read_pictures,
    read_report,
)
from ue_cli.report.model import PUBLIC_CAUTION, Album
from ue_cli.types import wording

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE = "report.html"


def write_page(folder: Path) -> None:
    """Render the page of a report folder and put it beside its JSON.

    Raises:
        OSError: the disk is full or the folder cannot be written; an older page stays whole.
    """
    page = render(folder)
    atomic(folder / PAGE, lambda out: out.write(page))


def render(folder: Path) -> str:
    """Build the page.

    Args:
        folder: holds ``report.json`` with ``pictures.json``, ``certificate.json`` and
            ``evaluation.json``, or some of them; what is missing or damaged is left out, and the
            page says so.

    Returns:
        A complete HTML document. Its policy allows its own style sheet, by hash, and pictures in
        data: URIs; everything else is refused, whatever a file name might smuggle in.
    """
    report, records = read_report(folder) or (None, ())
    files = None if report is None else report.output_sha256
    certification, certificate_gap = current(
        read_certificate(folder), folder / CERTIFICATE_FILE, files
    )
    evaluation, evaluation_gap = current(read_evaluation(folder), folder / EVALUATION_FILE, files)
    style = resources.files(__package__).joinpath("templates", "style.css").read_text("utf-8")
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=style,
            style_hash=b64encode(sha256(style.encode()).digest()).decode("ascii"),
            report=report,
            records=records,
            pictures=(Album(()) if report is None else read_pictures(folder)).pictures,
            certification=certification,
            certificate_gap=certificate_gap,
            evaluation=evaluation,
            evaluation_gap=evaluation_gap,
        )
    )


@cache
def _environment() -> Environment:
    # Here, because worker processes import this package and render nothing.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ue_cli.report"),
        extensions=["jinja2.ext.do"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "at_least": wording.at_least,
        "at_most": wording.at_most,
        "confidence": wording.confidence_words,
        "count": words.count,
        "data_uri": _data_uri,
        "levels": words.levels,
        "percent": words.percent,
        "place": lambda share: f"{100 * share:.2f}%",
        "size": words.size,
        "span": words.span,
        "thousands": lambda number: f"{number:,}",
        "verdict": words.VERDICTS.__getitem__,
    }
    environment.globals |= {
        "ARMS": charts.ARMS,
        "PROBES": PROBES,
        "PUBLIC_CAUTION": PUBLIC_CAUTION,
        "bounds_table": charts.bounds_table,
        "epoch_chart": charts.epoch_chart,
        "eta_chart": charts.eta_chart,
    }
    return environment


def _finalize(value: Any) -> Any:
    """Spell out what a reader could not see, in whatever a template puts on the page."""
    return words.visible(value) if type(value) is str else value


def _data_uri(picture: bytes) -> str:
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{b64encode(picture).decode('ascii')}"
