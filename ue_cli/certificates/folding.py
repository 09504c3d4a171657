"""A network whose weights are drawn anew for every pass, at the price of the pass alone.

All named parameters are views of one flat buffer, so that a draw is one multiply-add. In eval mode
a BatchNorm is a fixed affine map of each channel, and is multiplied into the convolution before
it: once per draw instead of once per image. What is left runs in channels-last memory, in bfloat16
where that is asked for; the last layers, few and decisive, stay in float32.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from ue_cli.errors import UeError


class NoisyCopy:
    """A copy of a network that computes with θ + σ·D·ξ; the network itself is never touched.

    Args:
        net: any network; convolutions followed by BatchNorm are folded where `torch.fx` can
            trace it and every parameter belongs to a convolution, a linear layer or such a
            BatchNorm. Any other runs as it is, in float32.
        scales: D per named parameter, in their order.
        device: where it computes.
        dtype: of the convolutions, where they are folded.

    Raises:
        UeError: ``surrogate-batch-statistics`` where a normalisation depends on the batch.
    """

    def __init__(
        self,
        net: nn.Module,
        scales: Mapping[str, Tensor],
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        _refuse_batch_statistics(net)
        live = copy.deepcopy(net).to(device).float().eval().requires_grad_(False)
        weights = dict(live.named_parameters())
        self._weights = torch.cat([value.flatten() for value in weights.values()])
        self._scales = torch.cat([scales[name].flatten() for name in weights]).to(device)
        self._noisy = self._weights.clone()
        sizes = [value.numel() for value in weights.values()]
        for value, view in zip(weights.values(), torch.split(self._noisy, sizes), strict=True):
            value.data = view.view(value.shape)
        folded = _fold(live, dtype)
        self.folded = folded is not None
        self.dtype = torch.float32 if folded is None else dtype
        self._net: nn.Module = live if folded is None else folded
        self._layers = [x for x in self._net.modules() if isinstance(x, _Folded)]

    @property
    def size(self) -> int:
        """How many weights there are: the length of ξ."""
        return self._weights.numel()

    def move(self, sigma: float, noise: Tensor) -> None:
        """Set the weights to θ + σ·D·ξ.

        Args:
            sigma: standard deviation.
            noise: ξ, (size,) float32, in the order of ``named_parameters``.
        """
        torch.addcmul(self._weights, self._scales, noise, value=sigma, out=self._noisy)
        for layer in self._layers:
            layer.refresh()

    def prepare(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) images as `logits` takes them."""
        device = self._weights.device
        return images.to(device, self.dtype).contiguous(memory_format=torch.channels_last)

    def logits(self, prepared: Tensor) -> Tensor:
        """(n, classes) float32, under the weights of the last `move`."""
        out: Tensor = self._net(prepared)
        return out.float()


class _Folded(nn.Module):
    """A convolution with the BatchNorm after it, if any, multiplied in."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, dtype: torch.dtype) -> None:
        super().__init__()
        self._conv, self._norm = conv, norm
        device = conv.weight.device
        weight = torch.empty(conv.weight.shape, dtype=dtype, device=device)
        self._weight = weight.contiguous(memory_format=torch.channels_last)
        self._bias = torch.zeros(conv.out_channels, dtype=dtype, device=device)
        if norm is not None:
            self._mean = cast(Tensor, norm.running_mean)
            self._deviation = (cast(Tensor, norm.running_var) + norm.eps).sqrt()
        self.refresh()

    def refresh(self) -> None:
        """Take over the weights of this moment."""
        conv, norm = self._conv, self._norm
        weight, bias = conv.weight, conv.bias
        if norm is not None:
            gain = 1 / self._deviation if norm.weight is None else norm.weight / self._deviation
            weight = weight * gain[:, None, None, None]
            bias = -gain * self._mean if bias is None else gain * (bias - self._mean)
            bias = bias if norm.bias is None else bias + norm.bias
        self._weight.copy_(weight)
        if bias is not None:
            self._bias.copy_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) → (n, out, h', w')."""
        conv = self._conv
        return functional.conv2d(
            x.to(self._weight.dtype),
            self._weight,
            self._bias,
            conv.stride,
            cast(tuple[int, int], conv.padding),
            conv.dilation,
            conv.groups,
        )


class _Exact(nn.Module):
    """A linear layer in float32: bfloat16 logits would tie, and the first class would win."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) → (…, out) float32."""
        out: Tensor = self._linear(x.float())
        return out


def _fold(live: nn.Module, dtype: torch.dtype) -> fx.GraphModule | None:
    """The same network on `_Folded` and `_Exact` layers that follow ``live``; None: cannot."""
    try:
        traced = fx.symbolic_trace(live)
    except Exception:  # whatever it is that stops the tracer, the network runs without it
        return None
    calls: dict[str, list[fx.Node]] = {}
    for node in traced.graph.nodes:
        if node.op == "call_module":
            calls.setdefault(str(node.target), []).append(node)
    covered: set[Tensor] = set()
    for target, nodes in calls.items():
        module = live.get_submodule(target)
        if type(module) is nn.Conv2d and module.padding_mode == "zeros":
            norm = _norm_after(nodes, calls, live)
            new: nn.Module = _Folded(module, norm, dtype)
            covered.update(() if norm is None else norm.parameters())
            if norm is not None:
                after = next(iter(nodes[0].users))
                after.replace_all_uses_with(nodes[0])
                traced.graph.erase_node(after)
        elif type(module) is nn.Linear:
            new = _Exact(module)
        else:
            continue
        covered.update(module.parameters())
        name = "with_" + target.replace(".", "_")
        traced.add_submodule(name, new)
        for node in nodes:
            node.target = name
    if not covered.issuperset(live.parameters()):
        return None
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced


def _norm_after(
    convolutions: list[fx.Node], calls: Mapping[str, list[fx.Node]], live: nn.Module
) -> nn.BatchNorm2d | None:
    """The BatchNorm that alone reads what this convolution computes, once."""
    users = list(convolutions[0].users)
    if len(convolutions) != 1 or len(users) != 1 or users[0].op != "call_module":
        return None
    module = live.get_submodule(str(users[0].target))
    once = len(calls[str(users[0].target)]) == 1
    return module if once and type(module) is nn.BatchNorm2d else None


def _refuse_batch_statistics(net: nn.Module) -> None:
    for name, module in net.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise UeError(
                "surrogate-batch-statistics",
                f"A surrogate's predictions must not depend on its batch, but '{name}' normalises "
                "by the statistics of each batch.",
                "Train it with track_running_stats=True.",
            )
