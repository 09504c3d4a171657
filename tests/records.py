"""A record of one protected file, for tests to vary with `dataclasses.replace`."""

from __future__ import annotations

from ue_cli.types import FileRecord

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
