"""The owner's report on a run: ``report.json`` and ``report.html``, in a private folder."""

from ue_cli.report.certification import CERTIFICATE_SCHEMA, Certification, Statements
from ue_cli.report.effectrecord import EVALUATION_SCHEMA, PROBES, Evaluation, Headline
from ue_cli.report.model import (
    PUBLIC_CAUTION,
    SCHEMA,
    Caution,
    Comparison,
    Labels,
    PublicNote,
    Report,
    Table,
)
from ue_cli.report.pictures import make_flat_crop, make_thumbnail
from ue_cli.report.update import (
    CERTIFICATE_FILE,
    EVALUATION_FILE,
    read_certificate,
    read_collection,
    read_evaluation,
    write_certificate,
    write_evaluation,
)
from ue_cli.report.write import report_folder, write_report

__all__ = [
    "CERTIFICATE_FILE",
    "CERTIFICATE_SCHEMA",
    "EVALUATION_FILE",
    "EVALUATION_SCHEMA",
    "PROBES",
    "PUBLIC_CAUTION",
    "SCHEMA",
    "Caution",
    "Certification",
    "Comparison",
    "Evaluation",
    "Headline",
    "Labels",
    "PublicNote",
    "Report",
    "Statements",
    "Table",
    "make_flat_crop",
    "make_thumbnail",
    "read_certificate",
    "read_collection",
    "read_evaluation",
    "report_folder",
    "write_certificate",
    "write_evaluation",
    "write_report",
]
