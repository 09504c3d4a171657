"""Certified accuracy against η, as an inline SVG whose colours come from the style sheet.

Positions are shares of the plot, so that it takes any width while text and lines keep their size;
only the two curves, which need a coordinate system, lie in a stretched drawing within.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

from ue_cli.report.legend import legend
from ue_cli.report.markup import Html, join, tag
from ue_cli.types import EtaBound, LearnabilityCertificate
from ue_cli.types.wording import at_most

_UNITS = 1000
"""Of the stretched drawing, in both directions."""
_TOPS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
NAMES = {
    "protected": "trained on the protected files",
    "control": "trained on the originals (clean control)",
}


@dataclass(frozen=True, slots=True)
class _Arm:
    """One curve: the bounds up to where it abstains, if it does."""

    name: str
    points: tuple[EtaBound, ...]
    abstains: bool

    def at(self, eta: float) -> float | None:
        """The bound that holds at ``eta``: that of the next η that was certified."""
        return next((b.upper for b in self.points if b.eta >= eta), None)


@dataclass(frozen=True, slots=True)
class _Scale:
    """From η and accuracy to shares of the plot."""

    right: float
    top: float

    def x(self, eta: float) -> str:
        return f"{100 * eta / self.right:.2f}%"

    def y(self, accuracy: float) -> str:
        return f"{100 * (1 - accuracy / self.top):.2f}%"

    def point(self, eta: float, accuracy: float) -> str:
        """In units of the stretched drawing."""
        x, y = eta / self.right, 1 - accuracy / self.top
        return f"{_UNITS * x:.1f} {_UNITS * y:.1f}"


def curve(certificate: LearnabilityCertificate, chance: float) -> Html:
    """Draw the bounds of both surrogates, each η by itself.

    A bound at η holds for every smaller shift too, so between two certified radii the curve has
    the height of the larger one; it ends at the last radius that could be certified.

    Args:
        certificate: of the protected surrogate and, where there is one, its control.
        chance: accuracy of guessing, in [0, 1].

    Returns:
        A figure; empty where nothing could be certified.
    """
    surrogates = {"protected": certificate.protected, "control": certificate.control}
    arms = [_arm(name, found.bounds) for name, found in surrogates.items() if found is not None]
    drawn = [arm for arm in arms if arm.points]
    last = max((arm.points[-1].eta for arm in drawn), default=0.0)
    if last <= 0:
        return Html("")
    highest = max(chance, *(b.upper or 0.0 for arm in drawn for b in arm.points))
    scale = _Scale(
        right=1.25 * last,
        top=next((top for top in _TOPS if top >= 1.05 * highest), _TOPS[-1]),
    )
    stretched = tag(
        "svg",
        _between(drawn, scale),
        *(tag("path", class_=arm.name, d=_steps(arm, scale)) for arm in drawn),
        viewBox=f"0 0 {_UNITS} {_UNITS}",
        preserveAspectRatio="none",
        width="100%",
        height="100%",
    )
    drawing = tag(
        "svg",
        *_grid(scale),
        tag("line", x1="0", x2="100%", y1=scale.y(chance), y2=scale.y(chance), class_="chance"),
        stretched,
        *_ends(drawn, scale),
        class_="plot",
        role="img",
        aria_label=_in_words(arms),
    )
    return tag(
        "figure",
        legend([(arm.name, NAMES[arm.name]) for arm in drawn], chance),
        tag("p", "Certified accuracy, at most", class_="axis"),
        drawing,
        tag("p", f"Weight shift η, {UNITS[certificate.setting.scaling]}", class_="axis below"),
        tag("figcaption", _caption(certificate, drawn)),
        class_="curve",
    )


UNITS = {
    "absolute": "in units of the weights",
    "relative": "in units of each filter’s own size",
}


def _arm(name: str, bounds: tuple[EtaBound, ...]) -> _Arm:
    ordered = sorted(bounds, key=lambda bound: bound.eta)
    certified = []
    for bound in ordered:
        if bound.upper is None:
            break
        certified.append(bound)
    return _Arm(name, tuple(certified), len(certified) < len(ordered))


def _steps(arm: _Arm, scale: _Scale) -> str:
    corners, before = [], 0.0
    for bound in arm.points:
        height = bound.upper or 0.0
        corners += [scale.point(before, height), scale.point(bound.eta, height)]
        before = bound.eta
    return "M" + " L".join(corners)


def _between(arms: list[_Arm], scale: _Scale) -> Html:
    """Shade by how much the control's bound is the higher one, where both have one."""
    if len(arms) < 2:
        return Html("")
    protected, control = arms
    radii = sorted({bound.eta for arm in arms for bound in arm.points})
    upper, lower, before = [], [], 0.0
    for eta in radii:
        low, high = protected.at(eta), control.at(eta)
        if low is None or high is None:
            break
        for x in (before, eta):
            upper.append(scale.point(x, max(low, high)))
            lower.append(scale.point(x, low))
        before = eta
    return tag("polygon", class_="between", points=" ".join([*upper, *reversed(lower)]))


def _grid(scale: _Scale) -> list[Html]:
    parts = []
    for i in range(5):
        accuracy = scale.top * i / 4
        y = scale.y(accuracy)
        parts += [
            tag("line", x1="0", x2="100%", y1=y, y2=y, class_="grid" if i else "base"),
            tag("text", _tick(accuracy), x="0", y=y, dx=-8, dy="0.32em", text_anchor="end"),
        ]
    for eta in _round_ticks(scale.right):
        x = scale.x(eta)
        parts += [
            tag("line", x1=x, x2=x, y1="100%", y2="101.5%", class_="base"),
            tag("text", f"{eta:g}", x=x, y="100%", dy=20, text_anchor="middle"),
        ]
    return parts


def _tick(accuracy: float) -> str:
    return f"{100 * accuracy:g} %"


def _round_ticks(right: float) -> list[float]:
    """At most six round numbers from 0 to ``right``."""
    rough = right / 5
    power = 10 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    return [round(i * step, 12) for i in range(int(right / step + 1e-9) + 1)]


def _ends(arms: list[_Arm], scale: _Scale) -> list[Html]:
    """Where a curve ends: a line, a mark, and words above the plot that say why."""
    ends: dict[tuple[float, str], list[_Arm]] = {}
    for arm in arms:
        why = "abstains beyond" if arm.abstains else "grid ends at"
        ends.setdefault((arm.points[-1].eta, why), []).append(arm)
    parts: list[Html] = []
    for row, ((eta, why), here) in enumerate(sorted(ends.items(), reverse=True)):
        who = "" if len(here) == len(arms) else f"{here[0].name}: "
        x = scale.x(eta)
        said = f"{who}{why} η = {eta:.3g}"
        dy = -10 - 18 * row
        parts += [
            tag("line", x1=x, x2=x, y1="0", y2="100%", class_="end"),
            tag("text", said, x="100%", y="0", dy=dy, text_anchor="end", class_="end"),
        ]
    for arm in arms:
        final = arm.points[-1]
        x, y = scale.x(final.eta), scale.y(final.upper or 0.0)
        parts.append(tag("circle", cx=x, cy=y, r=5, class_=arm.name))
    return parts


def _caption(certificate: LearnabilityCertificate, arms: list[_Arm]) -> Html:
    setting = certificate.setting
    parts = [
        f"Upper bounds on the {setting.q:g} quantile of the accuracy under noise, for every weight "
        f"shift up to η; each η by itself, confidence {setting.confidence:g}."
    ]
    if len(arms) == 2:
        parts.append(
            " Shaded: how much higher the control’s bound lies. The verdict does not compare these "
            "two upper bounds; it takes the control’s lower one."
        )
    return join(*parts)


def _in_words(arms: list[_Arm]) -> str:
    """The curves for those who cannot see them."""
    parts = ["Certified accuracy against η."]
    for arm in arms:
        if not arm.points:
            parts.append(f"{NAMES[arm.name].capitalize()}: abstains at every η.")
            continue
        ends = [arm.points[0], arm.points[-1]][: len(arm.points)]
        said = ", ".join(f"at most {at_most(b.upper or 0.0)} at η = {b.eta:.3g}" for b in ends)
        beyond = "; abstains beyond" if arm.abstains else ""
        parts.append(f"{NAMES[arm.name].capitalize()}: {said}{beyond}.")
    return " ".join(parts)
