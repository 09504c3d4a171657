"""The owner's report on a run: JSON files and the page rendered from them, in a private folder."""

from ue_cli.report.certification import Certification, Statements
from ue_cli.report.evaluation import PROBES, Evaluation, Headline
from ue_cli.report.folder import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    current,
    read_certificate,
    read_evaluation,
    read_report,
    report_folder,
)
from ue_cli.report.model import (
    PUBLIC_CAUTION,
    Album,
    Caution,
    Labels,
    Picture,
    PublicNote,
    Report,
    tally,
)
from ue_cli.report.page import write_certificate, write_evaluation, write_report
from ue_cli.report.pictures import make_flat_crop, make_thumbnail

__all__ = [
    "CERTIFICATE_FILE",
    "EVALUATION_FILE",
    "PROBES",
    "PUBLIC_CAUTION",
    "Album",
    "Caution",
    "Certification",
    "Evaluation",
    "Headline",
    "Labels",
    "Picture",
    "PublicNote",
    "Report",
    "Statements",
    "current",
    "make_flat_crop",
    "make_thumbnail",
    "read_certificate",
    "read_evaluation",
    "read_report",
    "report_folder",
    "tally",
    "write_certificate",
    "write_evaluation",
    "write_report",
]
