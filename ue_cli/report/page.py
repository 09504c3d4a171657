"""``report.html``: one file that opens offline, asks nobody for anything and runs no script.

It is rendered whole, always, from the JSON files of the report folder and nothing else: each
command saves its own JSON and renders the page anew. The functions that write raise OSError where
the disk is full or the folder cannot be written; each file is then the old one or the new one,
entire.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ue_cli.report import charts, words
from ue_cli.report.certification import Certification
from ue_cli.report.evaluation import PROBES, Evaluation
from ue_cli.report.folder import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    PICTURES_FILE,
    REPORT_FILE,
    atomic,
    current,
    make_private,
    read_certificate,
    read_evaluation,
    read_pictures,
    read_report,
    save,
    save_report,
)
from ue_cli.report.model import PUBLIC_CAUTION, Album, Report
from ue_cli.types import FileRecord, wording

if TYPE_CHECKING:
    from jinja2 import Environment

PAGE = "report.html"


def write_report(folder: Path, report: Report, album: Album, records: Iterable[FileRecord]) -> None:
    """Write what `ue protect` has to tell.

    Args:
        folder: made with mode 0700, or brought to it.
        report: all but pictures and files.
        album: pictures of some photos.
        records: one per protected file; read once and not kept, so that any number is fine.
    """
    make_private(folder)
    save_report(folder / REPORT_FILE, report, records)
    save(folder / PICTURES_FILE, album)
    _write_page(folder)


def write_certificate(folder: Path, certification: Certification) -> None:
    """Write what `ue certify` measured; the folder as for `write_report`."""
    make_private(folder)
    save(folder / CERTIFICATE_FILE, certification)
    _write_page(folder)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write what `ue evaluate` measured; the folder as for `write_report`."""
    make_private(folder)
    save(folder / EVALUATION_FILE, evaluation)
    _write_page(folder)


def _write_page(folder: Path) -> None:
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
    template = _environment().get_template("page.html")
    return template.render(
        style=style,
        style_hash=b64encode(sha256(style.encode()).digest()).decode("ascii"),
        report=report,
        report_gap=report is None and (folder / REPORT_FILE).exists(),
        records=records,
        pictures=() if report is None else read_pictures(folder).pictures,
        certification=certification,
        certificate_gap=certificate_gap,
        evaluation=evaluation,
        evaluation_gap=evaluation_gap,
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
