"""Bounds as text, rounded so that they hold as printed: two packages word them, in one way."""

from __future__ import annotations

from math import ceil, floor

_HAIR = 1e-6
"""A float may lie a hair beyond the decimal that it stands for."""


def at_most(share: float) -> str:
    """Format an upper bound, rounded up: ``21.5 %``."""
    return f"{ceil(1000 * share - _HAIR) / 10:.1f} %"


def at_least(share: float) -> str:
    """Format a lower bound, rounded down: ``21.4 %``."""
    return f"{floor(1000 * share + _HAIR) / 10:.1f} %"


def confidence_words(confidence: float) -> str:
    """Format a confidence, rounded down: ``99 %``, ``96.87 %``."""
    return f"{floor(1e4 * confidence + _HAIR) / 100:g} %"
