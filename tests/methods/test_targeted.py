"""The term that moves an encoder's features to the next class."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.methods.test_tue import NAMES, tiny
from tests.methods.tiny import BUDGET
from ue_cli.errors import UeError
from ue_cli.methods.targeted import Targeted
from ue_cli.training.contrastive import Contrast, build_contrast
from ue_cli.training.readout import linear_readout
from ue_cli.training.ssl import encoded


def coloured(count: int = 48) -> tuple[Tensor, Tensor]:
    """Pictures of three colours, one per class, so that features tell the classes apart."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    tint = 60 * functional.one_hot(labels, 3)[:, :, None, None]
    noise = torch.randint(60, 180, (count, 3, 16, 16), generator=generator)
    return (noise + tint).to(torch.uint8), labels


def net_of(state: dict[str, Tensor] | None = None) -> Contrast:
    net = build_contrast(tiny().ssl, seed=0)
    if state is not None:
        net.load_state_dict(state)
    return net


def test_a_readout_of_files_calls_them_by_the_label_of_those_that_they_are_moved_to() -> None:
    """What the third term does to a probe that reads the surrogate: it is led to the next class."""
    pictures, labels = coloured()
    method = tiny(contrastive=0.0, separation=0.0, targeted=1.0, cells=16, per_class=16, steps=10)
    made = method.optimise(pictures, labels, NAMES, BUDGET, seed=0)
    turn = torch.arange(len(labels)) // 3
    carried = torch.tensor(made.bank.delta)[labels, turn]
    shown = (pictures + carried).clamp(0, 255).to(torch.uint8)
    goal = Targeted(net_of(made.surrogate), pictures, labels)
    net = net_of(made.surrogate)
    before, after = (
        functional.cross_entropy(goal.readout.of(encoded(net, seen)), (labels + 1) % 3)
        for seen in (pictures, shown)
    )
    assert after < 0.8 * before
    assert carried.abs().max() <= 8


def test_its_weight_is_checked_like_the_others() -> None:
    with pytest.raises(UeError, match="targeted term must be from 0"):
        tiny(targeted=-1.0)
    with pytest.raises(UeError, match="nothing to optimise"):
        tiny(contrastive=0.0, separation=0.0)


def test_classes_without_images_are_nobodys_next() -> None:
    """A frozen class has patterns and no images here: features cannot be led to it."""
    pictures, labels = coloured()
    some = labels != 1
    goal = Targeted(net_of(), pictures[some], labels[some])
    assert goal.readout.weights.shape[0] == 2
    chosen = torch.arange(4)
    loss = goal.loss(pictures[some][chosen].float(), chosen, torch.Generator().manual_seed(0))
    assert torch.isfinite(loss)


def test_a_readout_gives_the_probes_logits_and_a_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 3
    features = torch.randn(60, 8, generator=generator) + 3 * functional.one_hot(labels, 8)
    readout = linear_readout(features, labels, 3, decay=1e-2)
    leaf = features.clone().requires_grad_()
    logits = readout.of(leaf)
    assert (logits.argmax(1) == labels).float().mean() > 0.9
    (slope,) = torch.autograd.grad(logits.sum(), leaf)
    assert slope.abs().max() > 0


def test_the_surrogate_is_trained_for_it_alone_as_well() -> None:
    pictures, labels = coloured()
    alone = tiny(contrastive=0.0, separation=0.0, targeted=1.0)
    made = alone.optimise(pictures, labels, NAMES, BUDGET, seed=0)
    assert made.surrogate and "loss" in made.bank.provenance.recipe["rounds"][0]
    again = replace(alone, targeted=2.0).optimise(pictures, labels, NAMES, BUDGET, seed=0)
    # A single term's weight does not move a sign.
    assert (again.bank.delta == made.bank.delta).all()
