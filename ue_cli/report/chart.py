"""One histogram, as an inline SVG whose colours come from the style sheet."""

from __future__ import annotations

from ue_cli.report.markup import Html, join, tag
from ue_cli.report.words import count
from ue_cli.types import BudgetCertificate

_BAR, _GAP, _HEIGHT = 16, 3, 120


def histogram(budget: BudgetCertificate) -> Html:
    """Files by mean |δ|, from 0 to the limit, with the median marked.

    The SVG holds no text, so that it may be stretched over any width; the scale below it is HTML.
    """
    if not budget.files:
        return Html("")
    bins = budget.histogram
    width = len(bins) * _BAR
    top = max(bins)
    step = budget.limit / len(bins)
    bars = []
    for i, files in enumerate(bins):
        if files:
            # A single file among thousands must still be seen.
            height = max(2, round(files / top * _HEIGHT))
            title = f"{i * step:.2f} to {(i + 1) * step:.2f} levels: {count(files, 'file')}"
            bars.append(
                tag(
                    "rect",
                    tag("title", title),
                    x=i * _BAR + _GAP // 2,
                    y=_HEIGHT - height,
                    width=_BAR - _GAP,
                    height=height,
                )
            )
    middle = f"{budget.median_abs / budget.limit * width:.1f}"
    marker = tag("line", x1=middle, x2=middle, y1=0, y2=_HEIGHT)
    drawing = tag(
        "svg",
        *bars,
        marker,
        viewBox=f"0 0 {width} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"Files by mean difference; the median is {budget.median_abs:.2f} levels",
    )
    ticks = (tag("span", f"{budget.limit * i / 4:g}") for i in range(5))
    return tag(
        "figure",
        drawing,
        tag("div", *ticks, class_="ticks"),
        tag(
            "figcaption",
            join(
                f"Files by mean |δ|, in levels of 255; the tallest bar is {count(top, 'file')}, "
                f"the line is the median file. {budget.limit} would use the whole ball."
            ),
        ),
        class_="chart",
    )
