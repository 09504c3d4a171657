"""Photos of real cameras: too large, and not ours, to lie in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos.tar.xz"
"""Beside the repository where there is one: ``photos/…`` and ``camera-files/…``."""

needed = pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"{ARCHIVE} is absent")
