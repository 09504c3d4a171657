"""Numbers, names and verdicts as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Control characters, line separators, bidirectional overrides and lone surrogates: they would be
# lost, break a line, reorder a name on the screen, or fail to encode.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

VERDICTS = {
    "protected": "Protected",
    "weak": "Weak",
    "not-shown": "Not shown",
    "inconclusive": "Inconclusive",
    "informative": "Informative",
    "uninformative": "Uninformative",
    "abstain": "Abstains",
    "no-control": "No control",
}
"""Verdicts on an evaluation (the first four) and on a certificate, as a reader sees them."""


def visible(text: str) -> str:
    r"""Spell out what a reader could not see: a newline as ``\n``, a stray byte as ``\x80``.

    Args:
        text: any string, also one with surrogate escapes (a file name that is not UTF-8).

    Returns:
        A string without control characters and surrogates.
    """
    return _HIDDEN.sub(_spell, text)


def _spell(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] in _SHORT:
        return _SHORT[match[0]]
    if 0xDC80 <= code <= 0xDCFF:  # how Python carries a byte that is not UTF-8 in a name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def count(number: int, noun: str) -> str:
    """Format a number and its noun: ``1 file``, ``1,234 files``, ``2 classes``."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def levels(value: float) -> str:
    """Format 8-bit levels: ``8 levels``, ``5.21 levels``."""
    number = f"{value:.0f}" if value == int(value) else f"{value:.2f}"
    return f"{number} level{'' if number == '1' else 's'}"


def percent(value: float) -> str:
    """Format a measured share with one decimal: ``41.2 %``."""
    return f"{100 * value:.1f} %"


def span(values: Iterable[float], of: float = 1) -> str:
    """Format the lowest and the highest share, one number where they read alike: ``1.0–2.5 %``."""
    shares = [value / of for value in values]
    if not shares:
        return "–"
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low.removesuffix(' %')}–{high}"


def size(number: int) -> str:
    """Format a file size in decimal units: ``12.3 MB``."""
    if number < 1000:
        return count(number, "byte")
    value, units = number / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:,.1f} {units[0]}"
