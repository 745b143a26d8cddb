"""Layers of PET as a CPU likes them: cutoffs are one row of an attention, not a square of it.

metatrain's layers repeat the cutoff factors of an atom's neighbours for each of them, and take
logarithms and gradients of all; what comes out is the same to round-off. The weights are those of
the layers they are made of.
"""

from __future__ import annotations

import copy
from typing import Any

import torch


def lean(backend: Any) -> Any:
    """A PET backend with such layers, which shares all weights with the one that is given."""
    return _with(backend, gnn_layers=torch.nn.ModuleList(map(_Layer, backend.gnn_layers)))


def _with(module: Any, **children: torch.nn.Module) -> Any:
    """A module with other children; the one that is given stays as it is."""
    other = copy.copy(module)
    other._modules = {**module._modules, **children}
    return other


class _Layer(torch.nn.Module):
    """metatrain's CartesianTransformer."""

    def __init__(self, layer: Any):
        super().__init__()
        self.layer = layer
        self.trans = _with(
            layer.trans,
            layers=torch.nn.ModuleList(
                _with(each, attention=_Attention(each.attention)) for each in layer.trans.layers
            ),
        )

    def forward(
        self,
        nodes: torch.Tensor,
        messages: torch.Tensor,
        kinds: torch.Tensor,
        vectors: torch.Tensor,
        mask: torch.Tensor,
        distances: torch.Tensor,
        factors: torch.Tensor,
        manual: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features ``(n, d)`` and ``(n, t, d)`` of atoms and their neighbours, as it gives them.

        Factors ``(n, t)`` are zero where the mask is.
        """
        layer = self.layer
        edges = layer.edge_embedder(torch.cat([vectors, distances[:, :, None]], 2))
        parts = [edges, messages]
        if not layer.is_first:
            parts.insert(1, layer.neighbor_embedder(kinds))
        tokens = layer.compress(torch.cat(parts, 2))
        row = torch.nn.functional.pad(factors, (1, 0), value=1.0)[:, None]
        of_nodes, of_edges = self.trans(nodes[:, None], tokens, row, manual)
        return of_nodes.squeeze(1), of_edges


class _Attention(torch.nn.Module):
    """metatrain's AttentionBlock; cutoff factors are a row ``(n, 1, t)`` for each atom."""

    def __init__(self, block: Any):
        super().__init__()
        self.block = block

    def forward(self, x: torch.Tensor, factors: torch.Tensor, manual: bool) -> torch.Tensor:
        """``(n, t, d)``."""
        block = self.block
        n, t, width = x.shape
        heads, dim = block.num_heads, block.head_dim
        each = block.input_linear(x).reshape(n, t, 3, heads, dim).permute(2, 0, 3, 1, 4)
        queries, keys, values = each.reshape(3, n * heads, t, dim).unbind(0)
        row = torch.log(torch.clamp(factors, block.epsilon))
        row = row.expand(n, heads, t).reshape(n * heads, 1, t)
        scale = 1.0 / (dim**0.5 * block.temperature)
        shares = torch.baddbmm(row, queries, keys.mT, alpha=scale).softmax(-1)
        found = torch.bmm(shares, values).reshape(n, heads, t, dim).transpose(1, 2)
        return block.output_linear(found.reshape(n, t, width))
