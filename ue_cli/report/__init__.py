"""The owner's report on a run: ``report.json`` and ``report.html``, in a private folder."""

from ue_cli.report.model import SCHEMA, Caution, Comparison, Labels, Report, Table
from ue_cli.report.pictures import make_flat_crop, make_thumbnail
from ue_cli.report.write import write_report

__all__ = [
    "SCHEMA",
    "Caution",
    "Comparison",
    "Labels",
    "Report",
    "Table",
    "make_flat_crop",
    "make_thumbnail",
    "write_report",
]
