"""`ue protect` again, over a report that certificate and evaluation were written into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.jobs.conftest import picture
from ue_cli.cli import app
from ue_cli.owner.manifest import read_manifest
from ue_cli.report import (
    Certification,
    Evaluation,
    Headline,
    write_certificate,
    write_evaluation,
)
from ue_cli.types import CertifyReport, EffectCell, EffectReport, Training

pytestmark = pytest.mark.usefixtures("here")


def certify(out: Path) -> None:
    """What `ue certify` would leave; nothing was trained here."""
    certification = Certification(
        measured=CertifyReport((), None, 6, 2, "", "CPU", "", "d" * 64, 1.0),
        dataset=out.name,
        when="2026-01-02T03:04:05+00:00",
        code_version="0",
        command="",
        output_sha256=read_manifest(out).sha256,
        chance=0.5,
        statements=(),
        intervals={},
        interval_confidence=0.95,
        runs_verdict=None,
        runs_sentence="",
        runs_reason="",
        runs_not_covered=(),
        not_covered=("Certified: something.",),
    )
    write_certificate(out.with_name(out.name + ".report"), certification)


def evaluate(out: Path) -> None:
    """What `ue evaluate` would leave; nothing was trained here."""
    training = Training(0, (1, 2), 4, 4, (0.1, 0.9), (0.1, 0.9))
    cell = EffectCell(
        "small", "none", 100, (training,), (training,), (), "", 0.9, 0.1, "not-shown", ""
    )
    evaluation = Evaluation(
        measured=EffectReport((cell,), 2, 4, 2, 0.5, 0.95, "", None, "CPU", "d" * 64, 1.0),
        headlines=(Headline(100, "not-shown", 0, "Evaluated: something."),),
        intervals={},
        countermeasures={},
        left_out=(),
        rule="",
        not_covered=(),
        dataset=out.name,
        when="2026-02-03T04:05:06+00:00",
        code_version="0",
        command="",
        output_sha256=read_manifest(out).sha256,
    )
    write_evaluation(out.with_name(out.name + ".report"), evaluation)


def protect(root: Path) -> list[str]:
    """Protect once more, in this process; the codes of the warnings."""
    words = ["protect", root / "src", "-o", root / "out", "--home", root / "home"]
    done = CliRunner().invoke(app, [*map(str, words), "--jobs", "1", "--json"])
    assert done.exit_code in (0, 6), done.output
    return [one["code"] for one in json.loads(done.stdout)["result"]["warnings"]]


def test_a_certificate_stands_while_its_files_do(tmp_path: Path) -> None:
    for index, name in enumerate(("a", "b")):
        picture(tmp_path / "src" / name / "1.png", index, size=(16, 16))
    protect(tmp_path)
    out, report = tmp_path / "out", tmp_path / "out.report"
    home = tmp_path / "home"  # not where it usually is: the command has to name it
    command = f"ue certify {out} --original {tmp_path / 'src'} --home {home}"
    assert command in (report / "report.html").read_text("utf-8")
    certify(out)
    certificate = (report / "certificate.json").read_bytes()

    evaluate(out)
    evaluated = (report / "evaluation.json").read_bytes()

    assert not [code for code in protect(tmp_path) if code.endswith("-outdated")]
    assert "Evaluated: something." in (report / "report.html").read_text("utf-8")
    assert "Certified: something." in (report / "report.html").read_text("utf-8")

    picture(tmp_path / "src" / "a" / "joined.png", 30, size=(16, 16))
    assert {"certificate-outdated", "evaluation-outdated"} <= set(protect(tmp_path))
    page = (report / "report.html").read_text("utf-8")
    assert "Certified: something." not in page and "Evaluated: something." not in page
    assert (report / "evaluation.json").read_bytes() == evaluated
    assert f"ue evaluate {out} --original" in page
    assert "of 2026-01-02T03:04:05+00:00 is about other files" in page and command in page
    assert (report / "certificate.json").read_bytes() == certificate

    (report / "certificate.json").write_text("{")
    assert "certificate-outdated" in protect(tmp_path)
    assert "cannot be read" in (report / "report.html").read_text("utf-8")
    assert (report / "certificate.json").read_text() == "{"
