"""Raw models over a function of edge vectors, as message-passing potentials are.

Neighbours are ours, shared by all orientations of a structure; the gradient with respect to the
unrotated edges gives back-rotated forces and virials.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.raw import Copies, RawResult, default_dtype
from pet_flows.engines.surroundings import Lists
from pet_flows.geometry.ragged import owners_of, rows_of, starts_of


@dataclass(frozen=True)
class Edges:
    """All copies of a call as one graph, on the device of the model."""

    numbers: torch.Tensor
    """(R,) int64"""
    first: torch.Tensor
    """(p,) int64, row that each edge starts from"""
    second: torch.Tensor
    """(p,) int64, row that it leads to"""
    shift: torch.Tensor
    """(p, 3) int64, cells that the second atom is moved by"""
    vectors: torch.Tensor
    """(p, 3) Å, rotated"""
    copy: torch.Tensor
    """(R,) int64, of which copy each row is"""


class EdgeRaw:
    """A potential whose energies are a function of edge vectors within one cutoff.

    Parameters
    ----------
    energies
        Gives ``(R,)`` eV of :class:`Edges`, differentiable in their vectors.
    cutoff
        Å.
    n_layers
        Message passings.
    atomic_types
        Atomic numbers that it knows.
    dtype, device
        Of the model.
    hops
        Bonds within which an energy's atoms lie; None if cutting them out is not known to be exact.
    """

    def __init__(
        self,
        energies: Callable[[Edges], torch.Tensor],
        cutoff: float,
        n_layers: int,
        atomic_types: frozenset[int],
        dtype: torch.dtype,
        device: torch.device,
        hops: int | None = None,
    ):
        self._energies = energies
        self.cutoff = cutoff
        self.n_layers = n_layers
        self.atomic_types = atomic_types
        self.dtype = dtype
        self.device = device
        self.hops = hops

    @property
    def lists(self) -> Lists:
        """One, full."""
        return ((self.cutoff, True),)

    @property
    def general(self) -> MetatomicRaw | None:
        """None: energies are all that it gives."""
        return None

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Nothing: all terms are inside the model."""
        return None

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """One call of the model over all copies given."""
        graphs, pairs = copies.graphs, copies.graphs.pairs[0]
        counts = pairs.counts[copies.owners]
        chosen = torch.from_numpy(rows_of(starts_of(pairs.counts)[copies.owners], counts))
        moved = starts_of(copies.sizes) - graphs.starts[copies.owners]
        offset = torch.from_numpy(np.repeat(moved, counts))
        of_edge = torch.from_numpy(owners_of(counts))
        first, second = pairs.first[chosen] + offset, pairs.second[chosen] + offset
        vectors = graphs.vectors(0)[chosen]
        device = self.device
        edges = vectors.to(device, self.dtype).requires_grad_(gradients)
        rotations = copies.rotations.to(device, self.dtype)[of_edge.to(device)]
        with torch.set_grad_enabled(gradients), default_dtype(self.dtype):
            energies = self._energies(
                Edges(
                    graphs.numbers[copies.atoms].to(device),
                    first.to(device),
                    second.to(device),
                    pairs.shift[chosen].to(device),
                    torch.bmm(edges[:, None], rotations)[:, 0],
                    copies.of_row.to(device),
                )
            )
        found = energies.detach().double().cpu()
        if not gradients:
            return RawResult(found, None, None)
        total = (energies * copies.weights.to(energies)).sum()
        g = torch.zeros_like(edges)
        if len(edges):
            (g,) = torch.autograd.grad(total, edges)
        g = g.double().cpu()
        dx = torch.zeros(len(found), 3, dtype=torch.float64)
        dx.index_add_(0, second, g).index_add_(0, first, -g)
        virials = torch.zeros(len(copies.owners), 3, 3, dtype=torch.float64)
        virials.index_add_(0, of_edge, vectors.detach()[:, :, None] * g[:, None, :])
        return RawResult(found, dx, virials)
