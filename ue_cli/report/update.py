"""The certificate's home in the report folder, and its place in a report that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ue_cli.report.certification import Certification, dump, load
from ue_cli.report.page import renew, standalone
from ue_cli.report.write import CERTIFICATE_KEY, atomic, certificate_line

CERTIFICATE_FILE = "certificate.json"


def write_certificate(folder: Path, certification: Certification) -> None:
    """Write ``certificate.json``, and tell it in the report that lies beside it.

    Where there is no report of this version, a page of its own is written: ``certificate.html``.
    Everything else in a report stays as it is, to the byte; doing it again changes nothing.

    Args:
        folder: made with mode 0700, or brought to it.
        certification: what was found.

    Raises:
        OSError: the disk is full or the folder cannot be written; each file is the old one or the
            new one entire.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    page = _renewed(folder / "report.html", certification)
    text = dump(certification)
    atomic(folder / CERTIFICATE_FILE, lambda out: out.writelines([text]))
    if page is None:
        alone = standalone(certification)
        atomic(folder / "certificate.html", lambda out: out.writelines([alone]))
        return
    record = folder / "report.json"
    if record.is_file():
        lines = _with_line(record, certificate_line(certification))
        atomic(record, lambda out: out.writelines(lines))
    atomic(folder / "report.html", lambda out: out.writelines([page]))
    (folder / "certificate.html").unlink(missing_ok=True)


def read_certificate(folder: Path) -> Certification | None:
    """Read the certificate in a report folder.

    Returns:
        None where there is none, or where it is damaged or of another version.
    """
    try:
        return load((folder / CERTIFICATE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None


def _renewed(path: Path, certification: Certification) -> str | None:
    """The report's page with the certificate in it; None where it has no place for one."""
    try:
        # No translation of line ends: all else must stay as it is.
        return renew(path.read_bytes().decode(), certification)
    except (FileNotFoundError, ValueError):
        return None


def _with_line(record: Path, line: str) -> Iterator[str]:
    """report.json with its certificate's line replaced; any number of files streams through."""
    with record.open(encoding="utf-8", newline="\n") as old:
        for one in old:
            yield line if one.startswith(CERTIFICATE_KEY) else one
