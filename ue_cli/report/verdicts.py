"""A verdict beside its bounds, in the same size of type."""

from __future__ import annotations

from ue_cli.report.markup import Html, tag
from ue_cli.types import EffectVerdict, Verdict

_WORDS: dict[Verdict, str] = {
    "informative": "Informative",
    "uninformative": "Uninformative",
    "abstain": "Abstains",
    "no-control": "No control",
}

VERDICTS: dict[EffectVerdict, str] = {
    "protected": "Protected",
    "weak": "Weak",
    "not-shown": "Not shown",
    "inconclusive": "Inconclusive",
}
"""Those of an evaluation, as a reader sees them."""

Figure = tuple[str, str, str]
"""Name, value, and what the value refers to."""


def verdict_word(verdict: Verdict) -> str:
    """The verdict as a reader sees it."""
    return _WORDS[verdict]


def verdict_figure(verdict: Verdict, unit: str) -> Figure:
    """The verdict as one of the `figures`."""
    return ("Verdict", verdict_word(verdict), unit)


def figures(*entries: Figure) -> Html:
    """Set a few values in a row, large, all alike."""
    return tag(
        "dl",
        *(
            tag(
                "div",
                tag("dt", name),
                tag("dd", tag("span", value, class_="value"), tag("span", unit, class_="unit")),
            )
            for name, value, unit in entries
        ),
        class_="figures",
    )
