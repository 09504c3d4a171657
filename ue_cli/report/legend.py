"""What the lines of a chart mean."""

from __future__ import annotations

from collections.abc import Sequence

from ue_cli.report.markup import Html, tag
from ue_cli.report.words import share


def legend(entries: Sequence[tuple[str, str]], chance: float) -> Html:
    """A line in each class's style with its words, and that of guessing."""
    return tag(
        "div",
        *(
            tag(
                "span",
                tag(
                    "svg",
                    tag("line", x1=0, x2=30, y1=6, y2=6, class_=name),
                    viewBox="0 0 30 12",
                    aria_hidden="true",
                ),
                words,
            )
            for name, words in (*entries, ("chance", f"guessing, {share(chance)}"))
        ),
        class_="legend",
    )
