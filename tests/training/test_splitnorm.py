from __future__ import annotations

import torch
from torch import nn

from ue_cli.training.splitnorm import SplitBatchNorm2d, dealt, split_norms


def batch(count: int = 12, seed: int = 0) -> torch.Tensor:
    return 3 + 2 * torch.randn(count, 4, 5, 5, generator=torch.Generator().manual_seed(seed))


def test_each_part_is_normalised_by_itself() -> None:
    norm, x = SplitBatchNorm2d(4, 3), batch()
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    plain = nn.BatchNorm2d(4)
    plain.load_state_dict(norm.state_dict())
    expected = torch.cat([plain(part) for part in torch.split(x, 4)])
    torch.testing.assert_close(norm(x), expected)


def test_running_statistics_follow_the_mean_of_the_parts() -> None:
    norm, x = SplitBatchNorm2d(4, 3), batch()
    norm(x)
    parts = torch.split(x, 4)
    mean = torch.stack([part.mean(dim=(0, 2, 3)) for part in parts]).mean(dim=0)
    variance = torch.stack([part.var(dim=(0, 2, 3)) for part in parts]).mean(dim=0)
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, 0.1 * mean)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * variance)


def test_eval_mode_is_batchnorm_and_changes_nothing() -> None:
    norm, x = SplitBatchNorm2d(4, 3), batch()
    norm(x)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    plain = nn.BatchNorm2d(4)
    plain.load_state_dict(norm.state_dict())
    assert torch.equal(norm.eval()(x), plain.eval()(x))
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_the_gradient_stays_within_a_part() -> None:
    norm, x = SplitBatchNorm2d(4, 3), batch().requires_grad_()
    (slope,) = torch.autograd.grad(norm(x)[:4].pow(3).sum(), x)
    assert bool((slope[:4] != 0).any()) and bool((slope[4:] == 0).all())


def test_every_norm_of_a_network_is_split() -> None:
    net = split_norms(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4))), 2)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [type(norm) for norm in norms] == [SplitBatchNorm2d]


def test_dealing_spreads_each_part_over_all_others() -> None:
    order = dealt(64, 8, torch.device("cpu"))
    assert sorted(order.tolist()) == list(range(64))
    for part in torch.split(order, 8):
        assert sorted((part // 8).tolist()) == list(range(8))
