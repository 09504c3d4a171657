from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.certificates.trained import BUILDERS, SIZE, colours, used_net
from ue_cli.certificates.folding import NoisyCopy
from ue_cli.errors import UeError
from ue_cli.training.nets import NETS
from ue_cli.training.scales import weight_scales

CANNOT_FOLD = {"branching", "norm first", "norm twice"}
SIGMA = 0.1


def expected(net: nn.Module, noise: Tensor, images: Tensor) -> Tensor:
    """Logits under θ + σ·D·ξ, one parameter after the other."""
    scales = weight_scales(net, "relative")
    parameters = dict(net.named_parameters())
    parts = torch.split(noise, [value.numel() for value in parameters.values()])
    moved = {
        name: value + SIGMA * scales[name] * part.view(value.shape)
        for (name, value), part in zip(parameters.items(), parts, strict=True)
    }
    logits: Tensor = torch.func.functional_call(net, moved, images)
    return logits.detach()


def draw(net: nn.Module, seed: int) -> Tensor:
    size = sum(value.numel() for value in net.parameters())
    return torch.randn(size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", BUILDERS)
def test_every_parameter_is_moved_and_the_rest_stays(name: str) -> None:
    """Folding is an identity: the plain loop over named parameters gives the same logits."""
    net = used_net(name)
    images, _ = colours(12, seed=5)
    noisy = NoisyCopy(net, weight_scales(net, "relative"))
    assert noisy.folded == (name not in CANNOT_FOLD)
    for seed in (0, 1):
        noisy.move(SIGMA, draw(net, seed))
        assert torch.allclose(
            noisy.logits(noisy.prepare(images)), expected(net, draw(net, seed), images), atol=1e-4
        )


def test_moves_do_not_add_up() -> None:
    net = used_net("small")
    images, _ = colours(12, seed=5)
    noisy = NoisyCopy(net, weight_scales(net, "absolute"))
    prepared = noisy.prepare(images)
    before = noisy.logits(prepared)
    noisy.move(10.0, draw(net, 0))
    assert not torch.allclose(noisy.logits(prepared), before)
    noisy.move(0.0, draw(net, 1))
    assert torch.equal(noisy.logits(prepared), before)


@pytest.mark.parametrize("name", BUILDERS)
def test_the_network_itself_is_never_touched(name: str) -> None:
    net = used_net(name)
    before = copy.deepcopy(net.state_dict())
    noisy = NoisyCopy(net, weight_scales(net, "absolute"), dtype=torch.bfloat16)
    noisy.move(1.0, draw(net, 0))
    noisy.logits(noisy.prepare(colours(4, seed=0)[0]))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(value.requires_grad for value in net.parameters())


@pytest.mark.parametrize("name", BUILDERS)
def test_bf16_is_near_and_used_only_where_it_was_folded(name: str) -> None:
    net = used_net(name)
    images, _ = colours(12, seed=5)
    noisy = NoisyCopy(net, weight_scales(net, "relative"), dtype=torch.bfloat16)
    assert noisy.dtype == (torch.float32 if name in CANNOT_FOLD else torch.bfloat16)
    noisy.move(SIGMA, draw(net, 0))
    logits = noisy.logits(noisy.prepare(images))
    exact = expected(net, draw(net, 0), images)
    assert logits.dtype == torch.float32
    assert float((logits - exact).abs().max()) < 0.1 * float(exact.abs().max())


def test_statistics_of_the_batch_are_refused() -> None:
    """Such a network's answer about one image depends on the others in its batch."""
    net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))
    with pytest.raises(UeError, match="'1' normalises by the statistics of each batch") as caught:
        NoisyCopy(net, weight_scales(net, "absolute"))
    assert caught.value.code == "surrogate-batch-statistics"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "vit-tiny"])
def test_victims_that_cannot_be_folded_are_copied_as_they_compute(name: str) -> None:
    """DenseNet's norms come before its convolutions, and attention is no layer that is folded."""
    net = NETS[name](3, size=SIZE, seed=0)  # type: ignore[index]
    images, _ = colours(6, seed=5)
    with torch.no_grad():
        net.train()(images)
        for value in net.parameters():  # a new ViT's head is zero, and its class token
            if not bool(value.any()):
                value.normal_(std=0.1, generator=torch.Generator().manual_seed(0))
    net.eval()
    noisy = NoisyCopy(net, weight_scales(net, "relative"))
    assert not noisy.folded
    with torch.inference_mode():
        noisy.move(SIGMA, draw(net, 0))
        found = noisy.logits(noisy.prepare(images))
        assert torch.allclose(found, expected(net, draw(net, 0), images), atol=1e-4)
        assert not torch.allclose(found, net(images), atol=1e-2)
