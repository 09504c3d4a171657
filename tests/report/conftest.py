"""A small complete report, with hostile names in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.records import RECORD
from ue_cli.certificates.budget import certify
from ue_cli.certificates.fidelity import fidelity, summarise
from ue_cli.report import (
    PROBES,
    Album,
    Caution,
    Certification,
    Evaluation,
    Headline,
    Labels,
    Picture,
    Report,
    Statements,
    make_flat_crop,
    make_thumbnail,
    tally,
)
from ue_cli.types import (
    Budget,
    CertifyReport,
    Detectability,
    EffectCell,
    EffectReport,
    EffectVerdict,
    EtaBound,
    FileRecord,
    LearnabilityCertificate,
    NoisyCounts,
    PixelArray,
    RecoveryCheck,
    RecoveryPoint,
    RunsCertificate,
    Separability,
    Skipped,
    Smoothing,
    SurrogateCertificate,
    Training,
)

HOSTILE = "a/<img src=x onerror=alert(1)> [b]x \"' & 🦊\n\u202e\udc80.jpg"


@pytest.fixture(scope="session")
def records() -> list[FileRecord]:
    """One file per route; the second has markup, a stray byte and more in its name."""
    return [
        RECORD,
        replace(
            RECORD,
            name=HOSTILE,
            output="a/x.png",
            label="<b>bold</b>",
            route="lossless",
            route_reason="arithmetic coding",
            removed=("EXIF thumbnail (7,412 bytes)", "motion-photo trailer (1 byte)"),
            notes=("<i>noted</i>",),
        ),
        replace(
            RECORD,
            name="birds/c.jpg",
            route="jpeg-reencoded",
            linf=31,
            linf_encoding=8,
            jod=9.62,
            strength=0.2,
        ),
    ]


@pytest.fixture(scope="session")
def photo() -> tuple[PixelArray, PixelArray]:
    """A gradient before and after."""
    rng = np.random.default_rng(0)
    original = np.repeat(np.arange(60, 180, dtype=np.uint8)[None, :, None], 90, 0).repeat(3, 2)
    return original, (original + rng.integers(-8, 9, original.shape)).astype(np.uint8)


@pytest.fixture(scope="session")
def report(records: list[FileRecord], photo: tuple[PixelArray, PixelArray]) -> Report:
    measured = fidelity(*photo)
    return Report(
        created="2026-01-02T03:04:05+00:00",
        versions={"ue": "0.1.0", "numpy": "2"},
        source="photos",
        output="photos-protected",
        output_sha256="e" * 64,
        device="cpu",
        method={"method": "csd", "space": "texture"},
        collection="7f3a-91c2",
        decoder="Pillow with libjpeg-turbo",
        labels=Labels("folders", "the first path component names the class.", {"birds": 3}),
        budget=certify(records, Budget(8)),
        fidelity=summarise([measured, measured], 9),
        counts={"Found": 4},
        skipped=(Skipped(HOSTILE, "truncated", "ends <early>"),),
        cautions=(Caution("one-class", "There is only one class.", "Add another folder."),),
        tally=tally(records),
        public=None,
        certify_command=f"ue certify {HOSTILE}",
        evaluate_command=f"ue evaluate {HOSTILE}",
    )


@pytest.fixture(scope="session")
def album(photo: tuple[PixelArray, PixelArray]) -> Album:
    """Two photos, the worse one with a crop of its flattest spot."""
    whole = make_thumbnail(*photo, orientation=6)
    crop = make_flat_crop(*photo, fidelity(*photo).flattest, size=64)
    return Album((Picture(HOSTILE, 9.41, whole, crop), Picture("b.jpg", 9.8, whole, None)))


def surrogate(arm: str, base: float, *, reach: float = 0.331) -> SurrogateCertificate:
    """Made-up bounds that rise with η from ``base`` and end at ``reach``."""

    def bounds(extra: float, reach: float) -> tuple[EtaBound, ...]:
        grid = (0.01, 0.1, 0.3, 0.5, 1.0)
        return tuple(
            EtaBound(eta, 0.95, 940, base + extra + 0.2 * eta)
            if eta <= reach
            else EtaBound(eta, 0.999, None, None)
            for eta in grid
        )

    return SurrogateCertificate(
        arm=arm,
        training="plain",
        correct=121 if arm == "protected" else 366,
        fit=0.991 if arm == "protected" else 0.987,
        weight_norm=41.25,
        counts=NoisyCounts(tuple(100 + i % 7 for i in range(30)), 500),
        bounds=bounds(0, reach),
        simultaneous=bounds(0.01, reach - 0.05),
        population=bounds(0.03, reach - 0.05),
        lower=base - 0.02,
        sha256=("a" if arm == "protected" else "b") * 64,
    )


@pytest.fixture(scope="session")
def certificate() -> LearnabilityCertificate:
    return LearnabilityCertificate(
        setting=Smoothing(sigma=0.24, draws=1234, scaling="relative"),
        protected=surrogate("protected", 0.243),
        control=surrogate("clean", 0.683),
        max_eta=0.331,
        training_distance=33.125,
        sigma_rule="<b>largest of the grid</b>",
        recovery=RecoveryCheck(
            images=320,
            epochs=20,
            points=(
                RecoveryPoint(eta=0.166, accuracy=0.271, distance=0.166, bound=0.262),
                RecoveryPoint(eta=33.1, accuracy=0.553, distance=30.5, bound=None),
            ),
        ),
        verdict="informative",
        reason="The control keeps its distance <i>.",
    )


@pytest.fixture(scope="session")
def certification(certificate: LearnabilityCertificate) -> Certification:
    """One smoothing certificate and five trainings, with hostile words in them."""
    return Certification(
        measured=CertifyReport(
            smoothed=(certificate,),
            runs=RunsCertificate(
                runs=5,
                q=0.5,
                confidence=0.96875,
                tests=500,
                protected=(98, 131, 206, 115, 121),
                control=(372, 381, 366, 359, 377),
                protected_fit=(0.99, 0.981, 0.97, 0.993, 0.99),
                control_fit=(0.98, 0.99, 0.982, 0.979, 0.985),
                upper=0.412,
                control_lower=0.718,
                protected_best=(240, 251, 266, 221, 238),
                distribution="Seeds vary.",
            ),
            train_files=2000,
            test_files=500,
            test_source=f"a fifth of {HOSTILE}",
            device="CPU",
            recipe="30 epochs <script>",
            data_sha256="d" * 64,
            seconds=412.3,
        ),
        dataset=HOSTILE,
        when="2026-01-02T04:05:06+00:00",
        code_version="0.1.0",
        command="ue certify 'photos-protected' --original photos",
        output_sha256="e" * 64,
        chance=0.1,
        statements=(Statements("One η <u>.", "All η.", "Unseen ones."),),
        intervals={"a" * 64: (0.205, 0.2831), "b" * 64: (0.689, 0.7712)},
        interval_confidence=0.95,
        runs_verdict="informative",
        runs_sentence="At least half of such trainings reach at most 41.2 % <sup>.",
        runs_reason="A gap of 30.6 points.",
        runs_not_covered=("Another recipe.",),
        not_covered=("Dilution <p>.",),
    )


TESTS = 500


def training(seed: int, *correct: int, fitted: int = 1980) -> Training:
    last, best = correct[-1] / TESTS, max(correct) / TESTS
    return Training(
        seed, correct, fitted, 2000, (last - 0.03, last + 0.04), (best - 0.03, best + 0.04)
    )


def cell(name: str, protected: tuple[int, ...], verdict: EffectVerdict = "weak") -> EffectCell:
    return EffectCell(
        victim="small",
        countermeasure=name,
        coverage=100,
        protected=(training(0, *protected), training(1, *protected)),
        control=(training(0, 200, 350, 400), training(1, 190, 352, 391, fitted=1960)),
        alone=(),
        recipe=f"a recipe of {name} <b>",
        upper=max(protected) / TESTS + 0.04,
        lower=0.752,
        verdict=verdict,
        reason=f"because of {name} <i>",
    )


@pytest.fixture(scope="session")
def evaluation() -> Evaluation:
    """Three cells of two seeds, one of them half protected, with hostile words in them."""
    cells = (
        cell("none", (150, 233, 91), "protected"),
        cell(HOSTILE, (140, 277, 251)),
        replace(
            cell("none", (150, 300, 310)),
            coverage=50,
            alone=(training(0, 200, 301), training(1, 200, 303)),
        ),
    )
    return Evaluation(
        measured=EffectReport(
            cells=cells,
            tests=TESTS,
            train_files=2000,
            classes=10,
            chance=0.1,
            confidence=0.95,
            test_source=f"a fifth of {HOSTILE}",
            detectability=Detectability(
                1000, 64, *(Separability(right, 500, 0.5) for right in (465, 499, 498, 400, 250))
            ),
            device="CPU",
            data_sha256="d" * 64,
            seconds=712.3,
        ),
        headlines=(
            Headline(100, "weak", 1, "The worst case is <u>."),
            Headline(50, "not-shown", 2, "With half of the files it is worse."),
        ),
        intervals=dict.fromkeys(PROBES, (0.111, 0.222)),
        countermeasures={"none": "train as usual", HOSTILE: "<s>"},
        left_out=("subtraction",),
        rule="A is the upper end <q>.",
        not_covered=("Another network.",),
        dataset=HOSTILE,
        when="2026-01-03T04:05:06+00:00",
        code_version="0.1.0",
        command="ue evaluate 'photos-protected' --original photos",
        output_sha256="e" * 64,
    )
