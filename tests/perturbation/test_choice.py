"""``--perturbation auto``: each rule decides only where the ones before it do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import pytest

from tests.perturbation.test_cards import MEASURED
from ue_cli.errors import ExitCode, UeError
from ue_cli.perturbation.cards import Card
from ue_cli.perturbation.choice import SMALL, Choice, choose
from ue_cli.perturbation.hub import bundled
from ue_cli.perturbation.transfer import has_names


def card(name: str, classes: Sequence[str], **drops: float) -> Card:
    """A card that says how much the bank took on data sets, in accuracy."""
    measured = tuple(
        replace(MEASURED, data=data.replace("_", "-"), last=MEASURED.control_last - drop)
        for data, drop in drops.items()
    )
    return Card(
        name=name,
        dataset="any",
        method="csd",
        space="pixel",
        recipe=MappingProxyType({}),
        seed="public",
        data="none",
        levels=8,
        shape=(len(classes), 1, 3, 8, 8),
        classes=tuple(classes),
        bytes=1,
        sha256="0" * 64,
        created_by="ue 0.1.0",
        measured=measured,
        limits=("Public.",),
        licence="MIT",
    )


def numbers(count: int) -> tuple[str, ...]:
    return tuple(f"{index:04d}" for index in range(count))


ANIMALS = card("animals", ("cat", "dog", "frog"))
TEN = card("ten", numbers(10))
HUNDRED = card("hundred", numbers(100))


def chosen(cards: Sequence[Card], classes: Sequence[str], side: int | None = 64) -> Choice:
    found = choose(cards, classes, side)
    # Neither the order of the cards nor that of the classes matters.
    assert choose(tuple(reversed(cards)), tuple(reversed(classes)), side) == found
    assert {found.name, *(other.name for other in found.others)} == {c.name for c in cards}
    return found


def test_names_of_the_classes_come_first() -> None:
    better = card("better", ("a", "b"), tiny_imagenet=0.9)
    found = chosen((better, HUNDRED, ANIMALS), ("Cat", "dog"))
    assert found.name == "animals"
    assert found.reason == "animals has a pattern of the same name for each of the 2 classes."
    assert [other.name for other in found.others] == ["better", "hundred"]
    assert all(other.why == "its patterns have other names" for other in found.others)
    assert chosen((better, ANIMALS), ("cat", "cow")).name == "better"  # all of them, or none


def test_then_the_fewest_that_are_enough() -> None:
    strong = card("strong", numbers(100), tiny_imagenet=0.9)
    assert chosen((strong, TEN, ANIMALS), ("x", "y", "z")).name == "animals"
    found = chosen((strong, TEN, ANIMALS), tuple("abcd"))
    assert found.name == "ten"
    assert "10 patterns, the fewest that give each of the 4 classes its own" in found.reason
    assert str(found).endswith(
        "Also considered: strong (it has 100 patterns, more than needed); animals (it has only 3 "
        "patterns)."
    )


def test_more_classes_than_any_has_get_the_largest_and_are_told_how_many_are_mixed() -> None:
    strong = card("strong", numbers(10), tiny_imagenet=0.9)
    found = chosen((strong, HUNDRED), numbers(103))
    assert found.name == "hundred"
    assert "100, and too few for 103 classes: 3 of them carry mixtures of two" in found.reason
    assert [other.why for other in found.others] == ["it has only 10 patterns"]


@pytest.mark.parametrize(
    ("side", "name", "title"),
    [
        (SMALL, "on-cifar", "CIFAR-10"),
        (SMALL + 1, "on-tiny", "Tiny-ImageNet"),
        (4000, "on-tiny", "Tiny-ImageNet"),
        (None, "on-tiny", "Tiny-ImageNet"),
    ],
)
def test_then_the_effect_on_images_of_the_nearest_size(
    side: int | None, name: str, title: str
) -> None:
    cards = (
        card("a-unmeasured", numbers(10)),
        card("on-cifar", numbers(10), cifar10=0.5, tiny_imagenet=0.1),
        card("on-tiny", numbers(10), cifar10=0.3, tiny_imagenet=0.2),
    )
    found = chosen(cards, tuple("abc"), side)
    assert found.name == name
    points = {"on-cifar": "50.0", "on-tiny": "20.0"}[name]
    assert f"Of 3 such, it took most from a victim on {title}" in found.reason
    assert f"{points} points of accuracy" in found.reason
    assert ("short sides" in found.reason) is (side is not None)
    assert found.others[-1].why == f"not measured on {title}"


def test_what_nobody_has_measured_is_said_and_the_name_decides() -> None:
    found = chosen((card("b", numbers(10)), card("a", numbers(10), cifar10=0.5)), tuple("xyz"))
    assert found.name == "a"
    assert "Of 2 such, none was measured on Tiny-ImageNet" in found.reason
    assert found.reason.endswith("so the name decided.")


def test_the_worst_measurement_counts() -> None:
    once = card("once", numbers(10), cifar10=0.4)
    twice = replace(once, name="twice", measured=(replace(MEASURED, last=0.0), MEASURED))
    assert MEASURED.drop < 0.4
    assert chosen((once, twice), tuple("abc"), 32).name == "once"


def test_two_classes_never_share_an_entry_by_name() -> None:
    assert has_names(("cat", "dog"), ("CAT",))
    assert not has_names(("cat", "dog"), ("cat", "CAT"))
    assert has_names(("caf\u00e9",), ("cafe\u0301",))


def test_nothing_to_choose_from_is_an_error() -> None:
    with pytest.raises(UeError, match="no perturbation to choose from") as caught:
        choose((), ("a",), 64)
    assert caught.value.exit_code == ExitCode.PERTURBATION_UNAVAILABLE and caught.value.hint


@pytest.mark.parametrize(
    ("count", "name"), [(11, "csd-cifar100"), (101, "csd-1000"), (1200, "csd-1000")]
)
def test_the_bundle_has_one_for_every_number_of_classes(count: int, name: str) -> None:
    classes = [f"class {index}" for index in range(count)]
    assert chosen(bundled(), classes).name == name
    assert chosen(bundled(), [f"class {index}" for index in range(4)]).name.endswith(
        ("-cifar10", "-10")
    )


def test_choosing_for_a_thousand_classes_from_the_bundle_names_them() -> None:
    assert chosen(bundled(), numbers(1000)).reason.startswith("csd-1000 has a pattern of the same")
