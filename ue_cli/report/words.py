"""Numbers as a reader wants them."""

from __future__ import annotations

from math import ceil, floor


def count(number: int, noun: str) -> str:
    """Number and noun: ``1 file``, ``1,234 files``, ``2 classes``."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def levels(value: float) -> str:
    """Format 8-bit levels: ``8 levels``, ``5.21 levels``."""
    number = f"{value:.0f}" if value == int(value) else f"{value:.2f}"
    return f"{number} level{'' if number == '1' else 's'}"


def share(value: float) -> str:
    """Format a fraction: ``65 %``."""
    return f"{100 * value:.0f} %"


def percent(value: float) -> str:
    """Format a measured share with one decimal: ``41.2 %``."""
    return f"{100 * value:.1f} %"


def at_most(value: float) -> str:
    """Format an upper bound, rounded up: it must hold as printed."""
    # A float may lie a hair above the decimal it stands for.
    return f"{ceil(1000 * value - 1e-6) / 10:.1f} %"


def at_least(value: float) -> str:
    """Format a lower bound, rounded down."""
    return f"{floor(1000 * value + 1e-6) / 10:.1f} %"


def confidence(value: float) -> str:
    """Format a confidence, rounded down: ``96.87 %``."""
    return f"{floor(1e4 * value + 1e-6) / 100:g} %"


def size(number: int) -> str:
    """Format a file size in decimal units: ``12.3 MB``."""
    if number < 1000:
        return count(number, "byte")
    value, units = number / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:,.1f} {units[0]}"
