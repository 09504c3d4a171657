from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from ue_cli.training.nets import resnet18, small_resnet
from ue_cli.training.scales import weight_distance, weight_norm, weight_scales
from ue_cli.types import Scaling


def test_relative_scales_are_those_of_what_a_channel_is_made_of() -> None:
    net = small_resnet(3, (4, 8), seed=0)
    with torch.no_grad():
        net.norm.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    scales = weight_scales(net, "relative")
    assert list(scales) == [name for name, _ in net.named_parameters()]
    filters = net.stem.weight.detach()
    assert scales["stem.weight"].shape == filters.shape
    assert float(scales["stem.weight"][2, 1, 0, 0]) == pytest.approx(
        float(filters[2].square().mean().sqrt())
    )
    head = torch.cat([net.head.weight[1], net.head.bias[1:2]]).detach()
    for name in ("head.weight", "head.bias"):
        assert float(scales[name][1].flatten()[0]) == pytest.approx(
            float(head.square().mean().sqrt())
        )
    both = torch.cat([net.norm.weight, net.norm.bias]).detach()
    for name in ("norm.weight", "norm.bias"):
        assert torch.allclose(scales[name], both.square().mean().sqrt())


def test_a_larger_filter_gets_as_much_larger_noise() -> None:
    net = small_resnet(3, (4, 8), seed=0)
    before = weight_scales(net, "relative")["stages.0.conv1.weight"].clone()
    with torch.no_grad():
        dict(net.named_parameters())["stages.0.conv1.weight"][1].mul_(100)
    after = weight_scales(net, "relative")["stages.0.conv1.weight"]
    assert torch.allclose(after[1], 100 * before[1])
    assert torch.equal(after[0], before[0])


@pytest.mark.parametrize("scaling", ["absolute", "relative"])
def test_no_coordinate_has_scale_zero(scaling: str) -> None:
    net = resnet18(3, size=32, seed=0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
    scales = weight_scales(net, scaling)  # type: ignore[arg-type]
    assert all(float(value.min()) > 0 for value in scales.values())
    assert all(bool((value == 1).all()) for value in scales.values()) == (scaling == "absolute")


def test_a_norm_without_weights_of_its_own_needs_no_scale() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2, affine=False))
    assert list(weight_scales(net, "relative")) == ["0.weight", "0.bias"]


def test_norms_are_in_the_units_of_the_noise() -> None:
    """Relative: every group of n weights has norm √n, however large the weights are."""
    net = small_resnet(3, (4, 8), seed=0)
    flat = torch.cat([value.detach().flatten() for value in net.parameters()])
    assert weight_norm(net, "absolute") == pytest.approx(float(flat.norm()))
    assert weight_norm(net, "relative") == pytest.approx(math.sqrt(len(flat)))


def test_a_distance_is_the_size_of_the_shift_that_it_takes() -> None:
    net, other = small_resnet(3, (4, 8), seed=0), small_resnet(3, (4, 8), seed=1)
    scaling: Scaling
    for scaling in ("absolute", "relative"):
        scales = weight_scales(net, scaling)
        moved = copy.deepcopy(net)
        with torch.no_grad():
            moved.head.weight[1, 2] += 3 * scales["head.weight"][1, 2]
            moved.norm.bias[0] += 4 * scales["norm.bias"][0]
        distance = weight_distance(net, moved.state_dict(), scaling)
        assert distance == pytest.approx(5, rel=1e-5)
    assert weight_distance(net, net.state_dict(), "relative") == 0
    there = weight_distance(net, other.state_dict(), "absolute")
    assert there == pytest.approx(weight_distance(other, net.state_dict(), "absolute"))
    assert there > 1


def test_attention_scales_every_query_key_and_value_with_its_bias() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        attention = nn.MultiheadAttention(4, 2)
    with torch.no_grad():
        attention.in_proj_bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    scales = weight_scales(attention, "relative")
    assert list(scales) == [name for name, _ in attention.named_parameters()]
    for row in (1, 5, 11):  # a query's, a key's, a value's
        weights = torch.cat([attention.in_proj_weight[row], attention.in_proj_bias[row, None]])
        size = float(weights.detach().square().mean().sqrt())
        assert scales["in_proj_weight"][row].tolist() == pytest.approx([size] * 4)
        assert float(scales["in_proj_bias"][row]) == pytest.approx(size)


def test_queries_traded_for_keys_trade_their_noise() -> None:
    """Attention is the same after it; so is what it does under relative noise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        attention = nn.MultiheadAttention(4, 2)
        tokens = torch.randn(3, 1, 4)
        noise = {name: torch.randn(value.shape) for name, value in attention.named_parameters()}
    traded = copy.deepcopy(attention)
    with torch.no_grad():
        for value in (traded.in_proj_weight, traded.in_proj_bias):
            value[:4] *= 100
            value[4:8] /= 100

    def noisy(net: nn.MultiheadAttention) -> torch.Tensor:
        scales = weight_scales(net, "relative")
        moved = {
            name: value + 0.5 * scales[name] * noise[name] for name, value in net.named_parameters()
        }
        out: torch.Tensor = torch.func.functional_call(net, moved, (tokens, tokens, tokens))[0]
        return out

    assert torch.allclose(noisy(attention), noisy(traded), atol=1e-5)


def test_attention_to_keys_of_another_width_has_a_scale_for_everything() -> None:
    attention = nn.MultiheadAttention(4, 2, kdim=6, vdim=5, add_bias_kv=True)
    scales = weight_scales(attention, "relative")
    assert {name: value.shape for name, value in scales.items()} == {
        name: value.shape for name, value in attention.named_parameters()
    }


@pytest.mark.parametrize("norm", [nn.LayerNorm(6), nn.GroupNorm(2, 6), nn.BatchNorm2d(6)])
def test_a_norm_has_one_scale(norm: nn.Module) -> None:
    """β starts at 0: by itself it would get no noise."""
    scales = weight_scales(norm, "relative")
    assert scales["weight"].tolist() == scales["bias"].tolist() == pytest.approx([0.5**0.5] * 6)
