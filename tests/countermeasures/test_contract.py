"""One contract for every countermeasure that trains: a row in the registry is a row here."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.countermeasures.small import RECIPE, as_it_is, draw, photos, small_net
from ue_cli.countermeasures import registry
from ue_cli.countermeasures.registry import SPECS, Spec, build
from ue_cli.training.hooks import PLAIN, Hooks, Knowledge
from ue_cli.training.supervised import VictimRecipe, train_victim

TRAININGS = [spec for spec in SPECS if spec.kind == "training"]
RECIPES = {
    "crop": RECIPE,
    "shift": replace(RECIPE, augment="shift", reach=2, label_smoothing=0.1),
}
SIZES = {
    "two classes": (6, 2, 16, 16),
    "ten classes, wide": (12, 10, 12, 16),
    "one image": (1, 2, 16, 16),
}


@pytest.fixture(params=TRAININGS, ids=lambda spec: spec.name)
def hooks(request: pytest.FixtureRequest) -> Hooks:
    return build(request.param.name)


def adversary(images: Tensor, classes: int) -> Knowledge:
    """Whatever a countermeasure may need."""
    count, _, height, width = images.shape
    bank = torch.randint(-8, 9, (classes, 2, 3, height, width), generator=draw(7))
    return Knowledge(photos(count, classes, height, width, seed=5)[0], as_it_is(bank, count))


def check_prepare(hooks: Hooks, images: Tensor, labels: Tensor, classes: int) -> Tensor:
    knowledge, before = adversary(images, classes), images.clone()
    out = hooks.prepare(images, labels, knowledge, draw(1))
    assert out.shape == images.shape
    assert out.dtype == torch.uint8 or out.is_floating_point()
    # Linear operations may leave 0..255, but not by more than an image's whole range.
    low, high = out.float().aminmax()
    assert out.isfinite().all() and low >= -255 and high <= 510
    assert torch.equal(images, before)
    assert torch.equal(out, hooks.prepare(images, labels, knowledge, draw(1)))
    return out


def check_test(hooks: Hooks, images: Tensor) -> None:
    before = images.clone()
    out = hooks.test(images)
    assert out.shape == images.shape and out.dtype == torch.uint8
    assert torch.equal(images, before)
    assert torch.equal(out, hooks.test(images))
    # Each image by itself: what is tested does not depend on what else is.
    assert torch.equal(hooks.test(images[:1]), out[:1])


def check_augment(hooks: Hooks, images: Tensor, recipe: VictimRecipe) -> None:
    before = images.clone()
    out = hooks.augment(images, recipe, draw(2))
    assert out.shape == (len(images), 3, 16, 16) and out.dtype == torch.float32
    assert out.isfinite().all()
    assert torch.equal(images, before)
    assert torch.equal(out, hooks.augment(images, recipe, draw(2)))
    assert not torch.equal(out, hooks.augment(images, recipe, draw(3)))


def check_loss(
    hooks: Hooks, images: Tensor, labels: Tensor, classes: int, recipe: VictimRecipe
) -> None:
    net = small_net(classes).train()
    weights = [value.clone() for value in net.parameters()]
    before, truth = images.clone(), labels.clone()
    loss, logits = hooks.loss(net, images, labels, recipe, draw(4))
    assert loss.shape == () and loss.isfinite() and loss.dtype == torch.float32
    assert logits.shape == (len(images), classes)
    assert net.training and all(value.grad is None for value in net.parameters())
    assert all(torch.equal(a, b) for a, b in zip(weights, net.parameters(), strict=True))
    assert torch.equal(images, before) and torch.equal(labels, truth)
    again, _ = hooks.loss(small_net(classes).train(), images, labels, recipe, draw(4))
    assert torch.equal(loss, again)
    torch.autograd.backward(loss)
    assert all(value.grad is not None for value in net.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_every_hook_keeps_its_contract(hooks: Hooks, size: str) -> None:
    count, classes, height, width = SIZES[size]
    images, labels = photos(count, classes, height, width)
    state = torch.random.get_rng_state()
    prepared = check_prepare(hooks, images, labels, classes)
    check_test(hooks, images)
    check_augment(hooks, prepared, RECIPE)
    check_loss(hooks, prepared, labels, classes, RECIPE)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize(("augment", "arm"), [("crop", "protected"), ("shift", "clean")])
def test_a_countermeasure_changes_something_or_says_that_it_does_not(
    hooks: Hooks, augment: str, arm: str
) -> None:
    recipe = RECIPES[augment]
    images, labels = photos(12)
    knowledge = adversary(images, 2)
    if arm == "clean":
        knowledge = replace(knowledge, clean=images)

    def everything(of: Hooks) -> list[Tensor]:
        loss, logits = of.loss(small_net().train(), images, labels, recipe, draw(4))
        return [
            of.prepare(images, labels, knowledge, draw(1)),
            of.test(images),
            of.augment(images, recipe, draw(2)),
            loss,
            logits,
        ]

    same = [torch.equal(a, b) for a, b in zip(everything(hooks), everything(PLAIN), strict=True)]
    assert all(same) == hooks.same_as_plain(recipe, arm)  # type: ignore[arg-type]


def test_a_victim_trains_under_it_and_is_the_same_each_time(hooks: Hooks) -> None:
    images, labels = photos(12)
    tests, truths = photos(5, seed=3)
    knowledge = adversary(images, 2)
    first, again = (
        train_victim(
            images, labels, tests, truths, RECIPE, seed=3, hooks=hooks, knowledge=knowledge
        )
        for _ in range(2)
    )
    assert len(first.accuracy) == RECIPE.epochs and 0 <= first.fit <= 1
    assert first.accuracy == again.accuracy and first.fit == again.fit
    assert all(torch.equal(first.state[name], again.state[name]) for name in first.state)
    assert all(value.isfinite().all() for value in first.state.values())


PLANTED = """
import torch
from ue_cli.training.hooks import Plain

class Mirror(Plain):
    def __init__(self, *, axis):
        self.axis = axis

    def prepare(self, images, labels, knowledge, generator):
        return images.flip(self.axis)
"""


def test_one_file_and_one_row_make_a_countermeasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted_mirror.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    row = Spec("mirror", "mirror the files", "", "full", "planted_mirror:Mirror", {"axis": 3})
    monkeypatch.setattr(registry, "SPECS", (*SPECS, row))
    assert row in registry.in_tier("full")
    hooks = build("mirror")
    test_every_hook_keeps_its_contract(hooks, "two classes")
    test_a_countermeasure_changes_something_or_says_that_it_does_not(hooks, "crop", "clean")
    images, labels = photos(12)
    mirrored = train_victim(images, labels, images, labels, RECIPE, seed=0, hooks=hooks)
    plain = train_victim(images.flip(3), labels, images, labels, RECIPE, seed=0)
    assert mirrored.accuracy == plain.accuracy
    del sys.modules["planted_mirror"]


@pytest.mark.parametrize("fault", ["in place", "not repeatable", "global seed"])
def test_the_contract_catches_a_bad_one(fault: str) -> None:
    class Bad(type(PLAIN)):  # type: ignore[misc]
        def prepare(
            self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
        ) -> Tensor:
            if fault == "in place":
                return images.add_(1)
            if fault == "not repeatable":
                return (images + torch.randint(2, images.shape)).to(torch.uint8)
            torch.manual_seed(3)
            return images

    with pytest.raises(AssertionError):
        test_every_hook_keeps_its_contract(Bad(), "two classes")
