"""`ue certify` from folder to certificate, on trainings too short for any verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.conftest import Ue, picture, run_ue
from ue_cli.certificates.smoothing import (
    certify_eta,
    certify_grid,
    certify_simultaneous,
    lower_quantile,
)
from ue_cli.certification.certify import CertifyResult, certify
from ue_cli.certification.options import CertifyOptions
from ue_cli.report import read_certificate
from ue_cli.training import victims
from ue_cli.types import SurrogateCertificate

PER_CLASS = 30


class Notes:
    """`Phases` that remember what they were told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.titles: list[str] = []

    def start(self, title: str, total: int) -> None:
        self.titles.append(title)

    def step(self, count: int = 1) -> None:
        pass

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``src``, its protected copy ``out`` and other clean images ``test``, in a folder."""
    root = tmp_path_factory.mktemp("certify")
    for index in range(2 * PER_CLASS):
        name = ("cats", "dogs")[index % 2]
        picture(root / "src" / name / f"{index}.png", index, size=(32, 32))
        if index < PER_CLASS:
            picture(root / "test" / name / f"{index}.png", 1000 + index, size=(32, 32))
    done = run_ue(root / "home", "protect", root / "src", "-o", root / "out", "--jobs", 1)
    assert done.all_written, done.err
    assert done.result["certify"] is None
    return root


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(victims, "STEPS", (1, 4))
    monkeypatch.setattr(victims, "EPOCHS", (1, 2, 2))


def options(root: Path, **changes: object) -> CertifyOptions:
    asked = CertifyOptions(
        dataset=root / "out",
        original=root / "src",
        test=None,
        home=root / "home",
        report=root / "report",
        runs=2,
        draws=50,
        min_test=10,
        device="cpu",
        jobs=1,
    )
    return replace(asked, **changes)  # type: ignore[arg-type]


def test_the_command_that_repeats_it_names_a_home_that_was_given(tmp_path: Path) -> None:
    assert "--home" not in options(tmp_path).command()
    assert f" --home {tmp_path / 'home'} " in options(tmp_path, home_given=True).command()


def surrogates(result: CertifyResult) -> list[SurrogateCertificate]:
    return list(result.certification.surrogates)


@pytest.mark.slow
def test_a_certificate_can_be_recomputed_and_is_kept(folder: Path, short: None) -> None:
    heard = Notes()
    first = certify(options(folder), heard)
    found = first.certification
    assert any("N = 50 draws certify η up to" in note for note in heard.notes)
    assert any("K = 2 independent trainings" in note for note in heard.notes)
    assert [(s.arm, s.training) for s in surrogates(first)] == [
        ("protected", "plain"),
        ("clean", "plain"),
        ("protected", "robust"),
        ("clean", "robust"),
    ]
    for one in found.measured.smoothed:
        for arm in (one.protected, one.control):
            assert arm is not None
            assert len(arm.counts.correct) == 50
            assert arm.counts.tests == found.measured.test_files == 12
            etas = [bound.eta for bound in arm.bounds]
            within = [bound.eta for bound in arm.simultaneous]
            assert arm.bounds == certify_grid(arm.counts, etas, one.setting)
            assert arm.simultaneous == certify_simultaneous(arm.counts, within, one.setting)
            assert arm.lower == lower_quantile(arm.counts, one.setting)
        assert one.training_distance is None or one.training_distance > one.max_eta
        assert one.recovery is not None
        assert [point.bound is None for point in one.recovery.points] == [False] * 2 + [True] * 3
        for point in one.recovery.points:
            assert point.distance <= point.eta * 1.001
            assert point.bound == certify_eta(one.protected.counts, point.eta, one.setting).upper
    assert found.measured.runs is not None
    assert found.measured.runs.upper == max(found.measured.runs.protected) / 12
    assert read_certificate(folder / "report") == found

    again = certify(options(folder), Notes())
    assert [s.counts for s in surrogates(again)] == [s.counts for s in surrogates(first)]
    assert [s.sha256 for s in surrogates(again)] == [s.sha256 for s in surrogates(first)]


@pytest.mark.slow
def test_it_goes_into_the_report_of_protect_and_stays_there(folder: Path, short: None) -> None:
    certify(options(folder, report=None), Notes())
    report = folder / "out.report"
    made = read_certificate(report)
    assert made is not None and made.runs_sentence in (report / "report.html").read_text()
    done = run_ue(folder / "home", "protect", folder / "src", "-o", folder / "out")
    assert done.all_written, done.err
    assert done.result["certify"] is None
    assert read_certificate(report) == made
    assert made.runs_sentence in (report / "report.html").read_text()


@pytest.mark.slow
def test_without_originals_there_is_no_control(folder: Path, short: None) -> None:
    result = certify(options(folder, original=None, test=folder / "test"), Notes())
    found = result.certification
    assert found.runs_verdict in ("no-control", "uninformative")
    assert found.measured.runs is not None
    assert found.measured.runs.control == ()
    for one in found.measured.smoothed:
        assert one.control is None
        assert one.verdict != "informative"
        assert "for want of a control" in one.sigma_rule
    assert found.measured.train_files == 2 * PER_CLASS


@pytest.mark.slow
def test_what_cannot_be_certified_is_said(ue: Ue, folder: Path, tmp_path: Path) -> None:
    home = ("--home", folder / "home")
    out, src = folder / "out", folder / "src"
    asked = {
        "draws-too-few": (out, "--original", src, "--draws", 20),
        "test-missing": (out,),
        "test-too-small": (out, "--original", src),
        "original-is-dataset": (src, "--original", src),
    }
    for code, arguments in asked.items():
        done = ue("certify", *arguments, *home, "--report", tmp_path / "report")
        assert done.code == 2, done.out
        error = done.envelope["error"]
        assert error["code"] == code
        assert error["hint"]
    assert not (tmp_path / "report").exists()
