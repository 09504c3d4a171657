"""Numbers as a reader wants them."""

from __future__ import annotations

from ue_cli.types import BudgetCertificate


def looks(found: BudgetCertificate) -> str:
    """How protected photos look, as predicted from the written files."""
    return (
        f"Predicted quality beside the originals: {found.jod_median:.2f} JOD in the median, "
        f"{found.jod_least:.2f} at the least ({found.jod_least_file}); 10 is no visible "
        "difference, and a photo saved as JPEG at quality 75 has 9.73."
    )


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
