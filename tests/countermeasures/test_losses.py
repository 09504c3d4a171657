"""What is minimised: mixtures, the worst view, the worst point of a ball."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.countermeasures.small import RECIPE, draw, photos, small_net
from ue_cli.countermeasures.adversarial import AdversarialTraining
from ue_cli.countermeasures.cutout import Cutout
from ue_cli.countermeasures.mixing import CutMix, Mixing, Mixup
from ue_cli.countermeasures.ueraser import UEraserMax
from ue_cli.training.augment import MEAN, SPREAD, whole
from ue_cli.training.hooks import PLAIN, cross_entropy

IMAGES, LABELS = photos(24)


@pytest.mark.parametrize("kind", [Mixup(), CutMix()], ids=["mixup", "cutmix"])
def test_a_mixture_has_the_stated_share_of_each_image(kind: Mixing) -> None:
    black, white = torch.zeros(500, 3, 16, 16), torch.ones(500, 3, 16, 16)
    mixed, share = kind.mix(white, black, draw())
    torch.testing.assert_close(mixed.mean((1, 2, 3)), share)
    # Another share per image, uniform; a box that is cut off at the border leaves more.
    assert len(set(share.tolist())) > 50
    assert share.min() < 0.2 and share.max() > 0.9 and 0.4 < share.mean() < 0.7


def test_mixup_weighs_every_pixel_and_cutmix_takes_one_of_two() -> None:
    a, b = torch.rand(2, 50, 3, 16, 16, generator=draw())
    mixed, share = Mixup().mix(a, b, draw(1))
    weight = share[:, None, None, None]
    torch.testing.assert_close(mixed, weight * a + (1 - weight) * b)
    cut, _ = CutMix().mix(a, b, draw(1))
    own, other = (cut == a).all(dim=1), (cut == b).all(dim=1)
    assert (own | other).all() and own.any() and other.any()
    rows, columns = other.any(dim=2), other.any(dim=1)
    assert torch.equal(other, rows[:, :, None] & columns[:, None, :])  # one rectangle each


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_mixed_loss_is_the_convex_combination(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = torch.linspace(0, 1, 24)
    monkeypatch.setattr(Mixup, "mix", lambda self, seen, others, generator: (seen, shares))
    recipe = replace(RECIPE, label_smoothing=smoothing)
    net = small_net().eval()
    loss, logits = Mixup().loss(net, IMAGES, LABELS, recipe, draw(4))
    generator = draw(4)
    PLAIN.augment(IMAGES, recipe, generator)
    partner = torch.randperm(24, generator=generator)
    one_hot = functional.one_hot(LABELS, 2).float()
    mixed = shares[:, None] * one_hot + (1 - shares)[:, None] * one_hot[partner]
    expected = functional.cross_entropy(logits.float(), mixed, label_smoothing=smoothing)
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=0)


def test_cutout_hides_a_square_of_half_the_side() -> None:
    bright = torch.full((300, 3, 16, 16), 255, dtype=torch.uint8)
    seen = Cutout(share=0.5).augment(bright, RECIPE, draw())
    hidden = (seen == 0).all(dim=1)
    assert torch.equal(hidden, (seen == 0).any(dim=1))
    tall, wide = hidden.any(dim=2).sum(1), hidden.any(dim=1).sum(1)
    assert torch.equal(hidden.sum((1, 2)), tall * wide)
    # Whole where it fits, at least a half of it where its centre lies on the border.
    assert tall.max() == wide.max() == 8 and tall.min() >= 4 and wide.min() >= 4


LEVELS = 8.0


def attacked(steps: int = 7, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Images before and after the attack on a network that was just built."""
    seen = whole(IMAGES, 16)
    attack = AdversarialTraining(levels=LEVELS, steps=steps)
    return seen, attack.attack(small_net().eval(), seen, LABELS, RECIPE, draw(seed))


def test_the_attack_stays_in_the_ball_and_among_the_values_of_pixels() -> None:
    seen, found = attacked()
    levels = (found - seen).abs() * SPREAD
    assert levels.max() <= LEVELS + 1e-3
    assert levels.median() > LEVELS / 2
    pixels = found * SPREAD + MEAN
    assert pixels.min() >= -1e-3 and pixels.max() <= 255 + 1e-3


def test_the_attack_raises_the_loss_more_than_random_noise_does() -> None:
    net = small_net().eval()
    seen, found = attacked()
    _, noisy = attacked(steps=0)

    def losses(x: Tensor) -> float:
        return cross_entropy(net, x, LABELS, RECIPE)[0].item()

    rise = losses(found) - losses(seen)
    assert rise > 0 and rise > 5 * abs(losses(noisy) - losses(seen))


def test_the_attack_starts_anywhere_in_the_ball() -> None:
    seen, found = attacked(steps=0)
    _, other = attacked(steps=0, seed=1)
    assert not torch.equal(found, other)
    assert ((found - seen).abs() * SPREAD).max() > 0.9 * LEVELS


def test_the_attack_leaves_the_statistics_of_batches_alone() -> None:
    net = small_net().train()
    before = {name: value.clone() for name, value in net.named_buffers()}
    AdversarialTraining(levels=8).attack(net, whole(IMAGES, 16), LABELS, RECIPE, draw())
    assert net.training
    assert all(torch.equal(before[name], value) for name, value in net.named_buffers())
    AdversarialTraining(levels=8).loss(net, IMAGES, LABELS, RECIPE, draw())
    assert any(not torch.equal(before[name], value) for name, value in net.named_buffers())


@torch.no_grad()
def test_training_on_worst_views_counts_the_largest_loss_of_each_image() -> None:
    net, worst = small_net().eval(), UEraserMax(views=5)
    loss, logits = worst.loss(net, IMAGES, LABELS, RECIPE, draw(4))
    views = worst.augment(IMAGES.repeat(5, 1, 1, 1), RECIPE, draw(4))
    with torch.autocast("cpu", torch.bfloat16):
        each = functional.cross_entropy(net(views), LABELS.repeat(5), reduction="none")
    each = each.view(5, -1)
    assert float(loss) == pytest.approx(float(each.amax(dim=0).mean()), rel=1e-4)
    assert (float(loss) > each.mean(dim=1)).all()
    own = functional.cross_entropy(logits.float(), LABELS)
    torch.testing.assert_close(own, loss, rtol=1e-3, atol=0)


def test_views_of_one_image_differ() -> None:
    one = IMAGES[:1].repeat(5, 1, 1, 1)
    out = UEraserMax().distort(one, draw())
    assert len({tuple(view.flatten().tolist()) for view in out}) == 5
