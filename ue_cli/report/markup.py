"""HTML that cannot be injected into: plain strings are escaped, only ``Html`` is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

# Control characters, line separators, bidirectional overrides and lone surrogates: they would be
# lost, break a line, reorder a name on the screen, or fail to encode.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_VOID = frozenset({"meta", "link", "img", "br"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


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


def text(content: str) -> Html:
    """Escape a string for use between tags and in attributes; ``Html`` passes unchanged."""
    return content if isinstance(content, Html) else Html(escape(visible(content)))


def tag(name: str, /, *children: str, **attributes: str | int) -> Html:
    """Build an element.

    Args:
        name: of the element.
        children: strings, escaped unless they are ``Html``.
        attributes: escaped; ``class_`` is written ``class`` and ``aria_label`` ``aria-label``.
    """
    fields = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(str(value))}"'
        for key, value in attributes.items()
    )
    if name in _VOID:
        return Html(f"<{name}{fields}>")
    return Html(f"<{name}{fields}>{join(*children)}</{name}>")


def region(name: str, *children: str) -> Html:
    """Mark a part of the page that can be replaced later.

    Escaped text holds no ``<``, so nothing a reader's files are called can look like a mark.
    """
    start, end = _marks(name)
    return Html(start + join(*children) + end)


def replace_region(page: str, name: str, *children: str) -> str:
    """Put other content between the marks of `region`; all else stays as it is, to the byte.

    Raises:
        ValueError: the page has no such region, or more than one.
    """
    start, end = _marks(name)
    if page.count(start) != 1 or page.count(end) != 1:
        raise ValueError(f"expected one region {name!r} on the page")
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the region {name!r} ends before it begins")
    return before + region(name, *children) + after


def _marks(name: str) -> tuple[str, str]:
    return f"<!-- section {name} -->", f"<!-- end of section {name} -->"


def p(*children: str, **attributes: str | int) -> Html:
    """Build a paragraph."""
    return tag("p", *children, **attributes)


def to_do(sentence: str, command: str) -> list[Html]:
    """Build a sentence, and below it the command that it speaks about."""
    return [p(sentence), p(tag("code", command), class_="command")]


def join(*parts: str) -> Html:
    """Put pieces one after another, escaping the plain ones."""
    return Html("".join(text(part) for part in parts))


def table(
    columns: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    *,
    numeric: frozenset[int] = frozenset(),
    groups: tuple[tuple[str, int], ...] = (),
    narrow: bool = False,
) -> Html:
    """Build a table that scrolls sideways by itself where the screen is narrow.

    Args:
        columns: the heads.
        rows: one cell per column.
        numeric: indices of the columns that are set flush right.
        groups: heads above the heads, each with the number of columns it spans.
        narrow: the first column holds short entries.
    """

    def line(cells: tuple[str, ...], kind: str) -> Html:
        return tag(
            "tr",
            *(
                tag(kind, cell, class_="num") if i in numeric else tag(kind, cell)
                for i, cell in enumerate(cells)
            ),
        )

    body = tag("tbody", *(line(row, "td") for row in rows))
    above = [tag("th", name, colspan=span, scope="colgroup") for name, span in groups]
    heads = [tag("tr", *above)] if above else []
    spans = (tag("colgroup", span=span) for _, span in groups)
    head = tag("thead", *heads, line(columns, "th"))
    inner = tag("table", *spans, head, body, **({"class_": "narrow"} if narrow else {}))
    # Focusable, so that a keyboard can scroll it.
    return tag("div", inner, class_="scroll", tabindex=0, role="region", aria_label=columns[0])
