"""Numbers as a reader wants them."""

from __future__ import annotations


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


def size(number: int) -> str:
    """Format a file size in decimal units: ``12.3 MB``."""
    if number < 1000:
        return count(number, "byte")
    value, units = number / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:,.1f} {units[0]}"
