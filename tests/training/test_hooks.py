"""What a training lets an adversary change, and that it calls each hook where it says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.training.test_supervised import TINY, coloured
from ue_cli.training.hooks import NOTHING, PLAIN, Hooks, Knowledge, Plain
from ue_cli.training.supervised import VictimRecipe, VictimResult, train_victim

FILES, TESTS = coloured(96, 0), coloured(30, 1)


def trained(
    hooks: Hooks = PLAIN,
    files: Tensor = FILES[0],
    tests: Tensor = TESTS[0],
    knowledge: Knowledge = NOTHING,
) -> VictimResult:
    return train_victim(
        files, FILES[1], tests, TESTS[1], TINY, seed=3, hooks=hooks, knowledge=knowledge
    )


def same(a: VictimResult, b: VictimResult) -> bool:
    weights = all(torch.equal(a.state[name], b.state[name]) for name in a.state)
    return weights and a.accuracy == b.accuracy and a.fit == b.fit


class Inverted(Plain):
    """Negatives, of the files, of the tests, or of both."""

    def __init__(self, files: bool, tests: bool) -> None:
        self.files, self.tests = files, tests

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        torch.rand(100, generator=generator)  # what preparing draws, the steps do not miss
        return 255 - images if self.files else images

    def test(self, images: Tensor) -> Tensor:
        return 255 - images if self.tests else images


@pytest.mark.parametrize(("files", "tests"), [(True, False), (False, True), (False, False)])
def test_what_is_trained_on_fitted_and_tested_is_what_the_hooks_give(
    files: bool, tests: bool
) -> None:
    changed = FILES[0] if not files else 255 - FILES[0]
    shown = TESTS[0] if not tests else 255 - TESTS[0]
    assert same(trained(Inverted(files, tests)), trained(PLAIN, changed, shown))


class Blank(Plain):
    """A network that never sees anything."""

    def augment(self, images: Tensor, recipe: VictimRecipe, generator: torch.Generator) -> Tensor:
        return 0 * super().augment(images, recipe, generator)


def test_the_fit_is_measured_under_the_augmentation_that_was_trained_under() -> None:
    assert trained().fit > 0.9
    assert trained(Blank()).fit == 0.5


class Noted(Plain):
    """The plain loss; what it is given is noted."""

    def __init__(self) -> None:
        self.knowledge: list[Knowledge] = []
        self.batches: list[tuple[int, bool]] = []

    def prepare(
        self, images: Tensor, labels: Tensor, knowledge: Knowledge, generator: torch.Generator
    ) -> Tensor:
        self.knowledge.append(knowledge)
        return images

    def loss(
        self,
        net: nn.Module,
        images: Tensor,
        labels: Tensor,
        recipe: VictimRecipe,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        self.batches.append((len(labels), net.training))
        return super().loss(net, images, labels, recipe, generator)


def test_every_step_minimises_the_hooks_loss_and_files_are_prepared_once() -> None:
    hooks, knowledge = Noted(), Knowledge(clean=FILES[0])
    assert same(trained(hooks, knowledge=knowledge), trained())
    assert hooks.knowledge == [knowledge]
    assert hooks.batches == [(TINY.batch, True)] * (TINY.epochs * (96 // TINY.batch))


def test_only_the_plain_hooks_say_that_they_are() -> None:
    assert PLAIN.same_as_plain(TINY, "protected")
    assert not Noted().same_as_plain(TINY, "clean")
