"""Writing into a report folder: each command saves its own JSON, and the page is rendered anew.

Every function raises OSError where the disk is full or the folder cannot be written; each file is
then the old one or the new one, entire.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ue_cli.report.certification import Certification
from ue_cli.report.evaluation import Evaluation
from ue_cli.report.folder import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    PICTURES_FILE,
    REPORT_FILE,
    make_private,
    save,
    save_report,
)
from ue_cli.report.model import Album, Report
from ue_cli.report.page import write_page
from ue_cli.types import FileRecord


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
    write_page(folder)


def write_certificate(folder: Path, certification: Certification) -> None:
    """Write what `ue certify` measured; the folder as for `write_report`."""
    make_private(folder)
    save(folder / CERTIFICATE_FILE, certification)
    write_page(folder)


def write_evaluation(folder: Path, evaluation: Evaluation) -> None:
    """Write what `ue evaluate` measured; the folder as for `write_report`."""
    make_private(folder)
    save(folder / EVALUATION_FILE, evaluation)
    write_page(folder)
