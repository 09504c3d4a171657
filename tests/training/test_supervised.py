from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ue_cli.training.nets import small_resnet
from ue_cli.training.supervised import VictimRecipe, test_accuracy, train_victim

TINY = VictimRecipe(epochs=3, size=16, batch=32, lr=0.1, widths=(8, 16))


def coloured(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two classes that differ in their mean colour."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    noise = torch.randint(0, 200, (count, 3, 16, 16), generator=generator)
    noise[:, 0] += 55 * labels[:, None, None]
    return noise.to(torch.uint8), labels


@pytest.mark.parametrize("augment", ["resized-crop", "shift"])
def test_a_victim_learns_what_separates_its_classes(augment: str) -> None:
    recipe = VictimRecipe(epochs=4, size=16, batch=32, lr=0.1, widths=(8, 16), augment=augment)  # type: ignore[arg-type]
    result = train_victim(*coloured(192, 0), *coloured(60, 1), recipe, seed=0)
    assert len(result.accuracy) == 4
    assert result.last > 0.9 and result.fit > 0.9
    assert result.best >= result.last


def test_the_same_seed_gives_the_same_training_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    runs = [train_victim(*coloured(96, 0), *coloured(30, 1), TINY, seed=s) for s in (3, 3, 4)]
    assert torch.equal(before, torch.random.get_rng_state())
    assert runs[0].accuracy == runs[1].accuracy
    assert all(torch.equal(runs[0].state[k], runs[1].state[k]) for k in runs[0].state)
    assert not torch.equal(runs[0].state["head.weight"], runs[2].state["head.weight"])


def test_every_test_image_counts_once() -> None:
    net = small_resnet(2, (8,), seed=0)
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.copy_(torch.tensor([1.0, 0.0]))
    images, _ = coloured(7, 0)
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    assert test_accuracy(net, images, labels, size=16) == pytest.approx(5 / 7)


def test_fewer_images_than_a_batch_still_train() -> None:
    result = train_victim(*coloured(10, 0), *coloured(10, 1), TINY, seed=0)
    assert len(result.accuracy) == TINY.epochs


def test_progress_is_reported_after_each_epoch() -> None:
    seen: list[tuple[int, float]] = []
    result = train_victim(
        *coloured(32, 0),
        *coloured(10, 1),
        TINY,
        seed=0,
        on_epoch=lambda epoch, share: seen.append((epoch, share)),
    )
    assert seen == list(enumerate(result.accuracy, start=1))
