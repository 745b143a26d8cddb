"""PET as a CPU likes it: features are rows, and places, the neighbours of atoms, are columns.

metatrain's backend keeps the features of a place together: its matrices are narrow where they
could be wide, softmax runs along an odd number of neighbours, and cutoffs are repeated for each of
them. Here the same sums are made in another order: factors of norms and of attention are parts of
the weights that follow them, maps of elements are tables, and derivatives are written out
(:mod:`.pet_steps`). What comes out is the same to round-off.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from pet_flows.engines.pet_steps import Added, Attention, Gate, Norm, SiLU, WithReverse

Affine = tuple[torch.Tensor, torch.Tensor]
"""weights ``(rows, features)`` and what is added ``(rows, 1)``"""


class Columns:
    """The energies of a PET backend.

    Parameters
    ----------
    backend
        For which :meth:`supports` is true; its weights are copied.
    key
        Which of its outputs.
    """

    def __init__(self, backend: Any, key: str):
        with torch.no_grad():
            self._nodes = _table(backend.node_embedders[0])
            self._edges = _table(backend.edge_embedder)
            self._layers = [
                _Layer(layer, None if k else self._edges)
                for k, layer in enumerate(backend.gnn_layers)
            ]
            combined = zip(backend.combination_norms, backend.combination_mlps, strict=True)
            self._combined = [
                _Perceptron(norm, mlp[0], SiLU.apply, mlp[2]) for norm, mlp in combined
            ]
            self._of_nodes = _Head(backend.node_heads[key][0], backend.node_last_layers[key][0])
            self._of_edges = _Head(backend.edge_heads[key][0], backend.edge_last_layers[key][0])

    @staticmethod
    def supports(backend: Any, key: str) -> bool:
        """Whether every part of a backend is known here."""
        return (
            backend.featurizer_type == "feedforward"
            and backend.transformer_type == "PreLN"
            and backend.activation in ("SiLU", "SwiGLU")
            and backend.normalization in ("LayerNorm", "RMSNorm")
            and len(backend.node_last_layers[key][0]) == 1
        )

    def energies(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """``(n,)`` of what the backend takes to calculate features.

        Cutoff factors are zero at padded places, which are their own reverses.
        """
        factors = inputs["cutoff_factors"]
        n, width = factors.shape
        kinds = inputs["element_indices_neighbors"].reshape(-1)
        reverse = inputs["reverse_neighbor_index"].reshape(-1)
        vectors = torch.cat([inputs["edge_vectors"], inputs["edge_distances"][:, :, None]], 2)
        vectors = vectors.reshape(n * width, 4).T
        # of each atom itself, and of its neighbours
        logarithms = torch.nn.functional.pad(factors, (1, 0), value=1.0).clamp(1e-15).log()
        nodes = _of_kinds(self._nodes, inputs["element_indices_nodes"])
        edges = _of_kinds(self._edges, kinds)
        for layer, combined in zip(self._layers, self._combined, strict=True):
            nodes, out = layer(nodes, edges, kinds, vectors, logarithms)
            edges = combined(WithReverse.apply(out, reverse), edges + out)
        each = self._of_edges(edges).reshape(n, width)
        return self._of_nodes(nodes)[0] + (each * factors).sum(1)


class _Layer:
    """A CartesianTransformer; messages to the first are the table ``first`` of the elements."""

    def __init__(self, layer: Any, first: torch.Tensor | None):
        embed, added = _affine(layer.edge_embedder)
        merge, merged = _affine(layer.compress[0])
        d = len(embed)
        self._vectors = merge[:, :d] @ embed
        self._messages = None if first is not None else merge[:, 2 * d :].contiguous()
        table = _table(layer.neighbor_embedder) if first is None else first
        self._table = merged + merge[:, :d] @ added + merge[:, d : 2 * d] @ table
        self._second = _affine(layer.compress[2])
        self._blocks = [_Block(each) for each in layer.trans.layers]

    def __call__(
        self,
        nodes: torch.Tensor,
        messages: torch.Tensor,
        kinds: torch.Tensor,
        vectors: torch.Tensor,
        logarithms: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        merged = torch.addmm(_of_kinds(self._table, kinds), self._vectors, vectors)
        if self._messages is not None:
            merged = torch.addmm(merged, self._messages, messages)
        edges = _times(self._second, SiLU.apply(merged))
        for block in self._blocks:
            nodes, edges = block(nodes, edges, logarithms)
        return nodes, edges


class _Block:
    """A TransformerLayer whose norms come first."""

    def __init__(self, layer: Any):
        attention = layer.attention
        self._heads = attention.num_heads
        self._norm, weights, added = _normed(layer.norm_attention, attention.input_linear)
        # queries bring the scale of their products along
        scale = torch.ones_like(added)
        scale[: len(added) // 3] /= attention.head_dim**0.5 * attention.temperature
        self._input = scale * weights, scale * added
        self._output = _affine(attention.output_linear)
        self._edges = _feedforward(layer.norm_mlp, layer.mlp)
        self._expanded = layer.expanded_node_features
        if self._expanded:
            self._contraction = _affine(layer.center_contraction)
            self._expansion = _affine(layer.center_expansion)
            self._nodes = _feedforward(layer.norm_center_features, layer.center_mlp)

    def __call__(
        self, nodes: torch.Tensor, edges: torch.Tensor, logarithms: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        n, t = logarithms.shape
        own = _times(self._contraction, nodes) if self._expanded else nodes
        d = len(own)
        tokens = torch.cat([own[:, :, None], edges.reshape(d, n, t - 1)], 2).reshape(d, n * t)
        each = _times(self._input, self._norm(tokens))
        new = _times(self._output, Attention.apply(each, logarithms, self._heads))
        own, new = new.reshape(d, n, t).split([1, t - 1], 2)
        own, edges = own.reshape(d, n), edges + new.reshape(d, n * (t - 1))
        edges = self._edges(edges, edges)
        if not self._expanded:
            return own, edges
        nodes = Added.apply(nodes, own, *self._expansion)
        return self._nodes(nodes, nodes), edges


class _Perceptron:
    """A norm, a map, an activation, another map; what comes out is added to what is ``beside``."""

    def __init__(self, norm: Any, first: Any, activation: Callable[..., Any], second: Any):
        self._norm, *given = _normed(norm, first)
        self._first = given[0], given[1]
        self._activation = activation
        self._second = _affine(second)

    def __call__(self, x: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        inner = self._activation(_times(self._first, self._norm(x)))
        found: torch.Tensor = Added.apply(beside, inner, *self._second)
        return found


class _Head:
    """Maps with SiLU after each, and the last one to an energy: ``(1, places)``."""

    def __init__(self, head: Any, last: Any):
        self._maps = [_affine(each) for each in head if isinstance(each, torch.nn.Linear)]
        self._last = _affine(next(iter(last.values())))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for each in self._maps:
            x = SiLU.apply(_times(each, x))
        return _times(self._last, x)


def _feedforward(norm: Any, mlp: Any) -> _Perceptron:
    activation = Gate.apply if mlp.is_swiglu else SiLU.apply
    return _Perceptron(norm, mlp.w_in, activation, mlp.w_out)


def _normed(norm: Any, linear: Any) -> tuple[Callable[..., Any], torch.Tensor, torch.Tensor]:
    """A norm without factors, and the weights of the map after it with them."""
    weights, added = _affine(linear)
    centred = isinstance(norm, torch.nn.LayerNorm)
    epsilon = torch.finfo(weights.dtype).eps if norm.eps is None else norm.eps
    if centred:
        added = added + weights @ norm.bias[:, None]
    weights = weights * norm.weight
    if centred:  # what columns lack is their mean, which they come without in the norm's slope
        weights = weights - weights.mean(1, keepdim=True)
    return partial(_norm, epsilon=epsilon, centred=centred), weights, added


def _norm(x: torch.Tensor, epsilon: float, centred: bool) -> torch.Tensor:
    found: torch.Tensor = Norm.apply(x, epsilon, centred)
    return found


def _affine(linear: Any) -> Affine:
    return linear.weight.detach().clone(), linear.bias.detach().clone()[:, None]


def _table(embedding: Any) -> torch.Tensor:
    """``(features, elements)``."""
    found: torch.Tensor = embedding.weight.detach().T.contiguous()
    return found


def _of_kinds(table: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Columns of a table for elements ``(places,)``."""
    return table.gather(1, kinds.expand(len(table), -1))


def _times(affine: Affine, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(affine[1], affine[0], x)
