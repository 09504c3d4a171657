"""One contract for every victim's network."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ue_cli.errors import UeError
from ue_cli.training.architectures import ARCHITECTURES, FROM_SCRATCH, VICTIMS, VictimName
from ue_cli.training.nets import NETS, small_resnet
from ue_cli.training.scales import weight_scales
from ue_cli.training.supervised import VictimRecipe, build_net, make_optimiser

CLASSES = 3


def rows(*sizes: int, heavy: tuple[VictimName, ...]) -> list[object]:
    """Every network at every size; all but the lightest leave the fast tier."""
    return [
        pytest.param(name, size, marks=[pytest.mark.slow] if name in heavy else [])
        for name in FROM_SCRATCH
        for size in sizes
    ]


@functools.cache
def net(name: VictimName, size: int) -> nn.Module:
    return build_net(VictimRecipe(net=name, size=size), CLASSES, seed=0)


def seen(count: int, size: int) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_every_name_is_described_and_can_be_built() -> None:
    assert set(ARCHITECTURES) == set(VICTIMS)
    assert set(FROM_SCRATCH) == {"small", *NETS}


@pytest.mark.parametrize(("name", "size"), rows(32, heavy=("resnet50",)))
def test_logits_have_one_column_per_class_and_no_image_sees_another(
    name: VictimName, size: int
) -> None:
    images = seen(2, size)
    with torch.inference_mode():
        both = net(name, size).eval()(images)
        one = net(name, size)(images[:1])
    assert both.shape == (2, CLASSES)
    assert torch.allclose(both[:1], one, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), rows(48, 64, 80, 224, heavy=()))
def test_every_size_from_32_to_224_pixels_works(name: VictimName, size: int) -> None:
    with torch.inference_mode():
        assert net(name, size).eval()(seen(1, size)).isfinite().all()


@pytest.mark.parametrize(("name", "size"), rows(32, heavy=("resnet50", "densenet121")))
def test_first_weights_depend_on_the_seed_alone(name: VictimName, size: int) -> None:
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    recipe = VictimRecipe(net=name, size=size)
    again, other = (build_net(recipe, CLASSES, seed=seed).state_dict() for seed in (0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    first = net(name, size).state_dict()
    weights = [key for key, value in net(name, size).named_parameters() if value.ndim > 1]
    assert all(torch.equal(again[key], first[key]) for key in weights)
    assert any(not torch.equal(other[key], first[key]) for key in weights)


@pytest.mark.parametrize(("name", "size"), rows(32, heavy=("resnet18", "resnet50", "densenet121")))
def test_the_gradient_reaches_every_parameter(name: VictimName, size: int) -> None:
    """After one step: a transformer's head starts at zero, and nothing is behind it until then."""
    recipe = VictimRecipe(net=name, size=size, lr=0.01)
    fresh = build_net(recipe, CLASSES, seed=0).train()
    optimiser = make_optimiser(fresh, recipe)
    images, labels = seen(4, size), torch.tensor([0, 1, 2, 0])
    for _ in range(2):
        optimiser.zero_grad()
        torch.autograd.backward(functional.cross_entropy(fresh(images), labels))
        optimiser.step()
    still = [key for key, p in fresh.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert still == []


@pytest.mark.parametrize(("name", "size"), rows(32, heavy=("resnet50",)))
def test_every_weight_has_a_scale_of_its_own_size(name: VictimName, size: int) -> None:
    """What starts at zero has the smallest; all others are those of the weights around them."""
    scales = weight_scales(net(name, size), "relative")
    parameters = dict(net(name, size).named_parameters())
    assert list(scales) == list(parameters)
    for key, value in parameters.items():
        assert scales[key].shape == value.shape
        if value.ndim > 1 and bool(value.any()):
            assert 0.5 < float(scales[key].mean() / value.detach().std()) < 2


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "vit-tiny"])
def test_large_images_get_the_stem_for_photographs(name: VictimName) -> None:
    """The first layer of the networks for CIFAR looks at few pixels and leaves none out."""
    sides = {}
    for size in (64, 80):
        with torch.device("meta"):
            convolutions = [
                m for m in NETS[name](2, size=size, seed=0).modules() if isinstance(m, nn.Conv2d)
            ]
        sides[size] = (convolutions[0].kernel_size[0], convolutions[0].stride[0])
    expected = {64: (3, 1), 80: (7, 2)} if name != "vit-tiny" else {64: (4, 4), 80: (16, 16)}
    assert sides == expected


@pytest.mark.parametrize(("size", "use"), [(30, "28 or 32"), (100, "96 or 112"), (3, "4 or 4")])
def test_a_side_that_is_no_multiple_of_the_patch_is_refused(size: int, use: str) -> None:
    with pytest.raises(UeError, match=f"images of {size} pixels") as caught:
        NETS["vit-tiny"](2, size=size, seed=0)
    assert caught.value.code == "victim-size" and use in caught.value.hint


def test_only_weights_of_layers_decay() -> None:
    recipe = VictimRecipe(net="vit-tiny", size=32, weight_decay=0.05)
    vit = net("vit-tiny", 32)
    decaying, rest = make_optimiser(vit, recipe).param_groups
    names = {id(value): key for key, value in vit.named_parameters()}
    assert (decaying["weight_decay"], rest["weight_decay"]) == (0.05, 0)
    spared = {names[id(value)] for value in rest["params"]}
    assert {"class_token", "encoder.pos_embedding", "encoder.ln.weight"} <= spared
    assert all(key.endswith((".weight", "_weight")) for key in set(names.values()) - spared)


def test_transformers_train_with_adamw_and_the_rest_with_sgd() -> None:
    vit = make_optimiser(net("vit-tiny", 32), VictimRecipe(net="vit-tiny"))
    small = make_optimiser(small_resnet(2, (4,), seed=0), VictimRecipe())
    assert (type(vit), type(small)) == (torch.optim.AdamW, torch.optim.SGD)
