"""A small complete report, with hostile names in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ue_cli.certify.budget import certify
from ue_cli.certify.fidelity import fidelity, summarise
from ue_cli.report import (
    Caution,
    Labels,
    Report,
    Table,
    make_flat_crop,
    make_thumbnail,
)
from ue_cli.types import Budget, FileRecord, Skipped

HOSTILE = "a/<img src=x onerror=alert(1)> [b]x \"' & 🦊\n\u202e\udc80.jpg"

RECORD = FileRecord(
    name="birds/a.jpg",
    output="birds/a.jpg",
    label="birds",
    route="jpeg-coefficients",
    route_reason="",
    width=640,
    height=480,
    linf=8,
    linf_limit=8,
    linf_encoding=None,
    mean_abs=5.25,
    mse=33.0,
    sha256="ab" * 32,
    original_hmac="5ec2e7" * 10,
    bytes_in=100_000,
    bytes_out=103_000,
)


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
        replace(RECORD, name="birds/c.jpg", route="jpeg-reencoded", linf=31, linf_encoding=8),
    ]


@pytest.fixture(scope="session")
def report(records: list[FileRecord]) -> Report:
    rng = np.random.default_rng(0)
    original = np.repeat(np.arange(60, 180, dtype=np.uint8)[None, :, None], 90, 0).repeat(3, 2)
    protected = (original + rng.integers(-8, 9, original.shape)).astype(np.uint8)
    found = fidelity(original, protected)
    return Report(
        created="2026-01-02T03:04:05+00:00",
        versions={"ue": "0.1.0", "numpy": "2"},
        source="photos",
        output="photos-protected",
        device="cpu",
        method={"method": "csd", "space": "texture"},
        collection="7f3a-91c2",
        decoder="Pillow with libjpeg-turbo",
        labels=Labels("folders", "the first path component names the class.", {"birds": 3}),
        budget=certify(records, Budget(8)),
        fidelity=summarise([found, found], 9),
        counts={"Found": 4},
        skipped=(Skipped(HOSTILE, "truncated", "ends <early>"),),
        cautions=(Caution("one-class", "There is only one class.", "Add another folder."),),
        thumbnails=(make_thumbnail(HOSTILE, original, protected, orientation=6),),
        flat_crops=(make_flat_crop("b", original, protected, found.flattest, size=64),),
        effect=Table("Benchmark <files>", ("Set", "Clean", "Protected"), (("A", "80 %", "18 %"),)),
    )
