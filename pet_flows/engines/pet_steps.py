"""Steps of PET on columns ``(features, places)``, with their derivatives written out.

What autograd would do takes more passes over memory, and keeps more of it. Each is differentiable
once, in what it is given first.
"""
# ruff: noqa: D102, forward and backward are autograd's

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

_Function: Any = torch.autograd.Function


class SiLU(_Function):
    """``x σ(x)``."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        share = x.sigmoid()
        found = x * share
        if ctx.needs_input_grad[0]:
            # y + σ (1 - y)
            ctx.save_for_backward(torch.lerp(found, found.new_ones(()), share))
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        (derivative,) = ctx.saved_tensors
        return slope * derivative


class Gate(_Function):
    """``a σ(b)``, of ``a`` above ``b``: the first and the second half of the rows."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        values, gates = x.chunk(2)
        share = gates.sigmoid()
        found = values * share
        ctx.save_for_backward(values, share)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> torch.Tensor:
        values, share = ctx.saved_tensors
        both = slope.new_empty(2 * len(slope), slope.shape[1])
        of_values, of_gates = both.chunk(2)
        torch.mul(slope, share, out=of_values)
        torch.ops.aten.sigmoid_backward.grad_input(slope * values, share, grad_input=of_gates)
        return both


class Added(_Function):
    """``x + W y + b``, with ``(features, 1)`` b."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, added: torch.Tensor
    ) -> torch.Tensor:
        ctx.weights = weights
        return (x + added).addmm_(weights, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        return slope, ctx.weights.T @ slope, None, None


class Norm(_Function):
    """Columns divided by the root of their mean square, from their mean where they are ``centred``.

    The weights that come after centred columns sum to zero over these.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, epsilon: float, centred: bool) -> torch.Tensor:
        own = x - x.mean(0) if centred else x
        inverse = (own * own).mean(0).add_(epsilon).rsqrt_()
        found = own * inverse
        ctx.save_for_backward(found, inverse)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        found, inverse = ctx.saved_tensors
        along = (slope * found).mean(0)
        return torch.addcmul(slope, found, along, value=-1.0).mul_(inverse), None, None


class WithReverse(_Function):
    """Columns of edges above those of the same edges from their other ends.

    ``reverse (e,)`` says which those are: the other end of the other end is the edge itself.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, reverse: torch.Tensor) -> torch.Tensor:
        index = reverse.expand_as(x)
        ctx.index = index
        found = x.new_empty(2 * len(x), x.shape[1])
        own, other = found.chunk(2)
        own.copy_(x)
        torch.gather(x, 1, index, out=other)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None]:
        own, other = slope.chunk(2)
        return other.gather(1, ctx.index).add_(own), None


class Attention(_Function):
    """Attention of each atom's places to each other.

    Of queries, keys and values above each other ``(3 d, n t)``, and of the logarithms of cutoff
    factors ``(n, t)``, differentiable in both.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, logarithms: torch.Tensor, heads: int) -> torch.Tensor:
        n, t = logarithms.shape
        d = len(x) // 3
        # (3, n, heads, dim, t)
        each = x.reshape(3, heads, d // heads, n, t).permute(0, 3, 1, 2, 4)
        queries, keys, values = each.reshape(3, n * heads, d // heads, t)
        # keys are rows, queries are columns: softmax along rows is many columns at once
        of_keys = logarithms[:, None].expand(n, heads, t).reshape(n * heads, t, 1)
        shares = torch.baddbmm(of_keys, keys.mT, queries).softmax(1)
        ctx.save_for_backward(queries, keys, values, shares)
        ctx.shape = n, heads, t
        found = torch.bmm(values, shares).reshape(n, heads, d // heads, t)
        return found.permute(1, 2, 0, 3).reshape(d, n * t)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        queries, keys, values, shares = ctx.saved_tensors
        n, heads, t = ctx.shape
        d = len(slope)
        slope = slope.reshape(heads, d // heads, n, t).permute(2, 0, 1, 3)
        slope = slope.reshape(n * heads, d // heads, t)
        of_shares = torch.bmm(values.mT, slope)
        of_products = torch.ops.aten._softmax_backward_data(of_shares, shares, 1, shares.dtype)
        found = slope.new_empty(3, n * heads, d // heads, t)
        torch.bmm(keys, of_products, out=found[0])
        torch.bmm(queries, of_products.mT, out=found[1])
        torch.bmm(slope, shares.mT, out=found[2])
        found = found.reshape(3, n, heads, d // heads, t).permute(0, 2, 3, 1, 4)
        of_logarithms = of_products.sum(2).reshape(n, heads, t).sum(1)
        return found.reshape(3 * d, n * t), of_logarithms, None
