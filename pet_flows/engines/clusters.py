"""Which part of a structure each orientation has to be evaluated on.

Where a rotation has weight for a few atoms only, as frames of ecse have, the others need not be
evaluated in it: the energies of these few depend on what lies within as many bonds as the model
passes messages. Cutting that out is exact, and makes the cost of a large cell grow with its size
instead of the square of it. Energies of the other atoms of a cluster are wrong, and have weight
zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix

from pet_flows.engines.raw import Graph


@dataclass(frozen=True)
class Part:
    """Copies of a structure that are evaluated on the same graph.

    Attributes
    ----------
    graph
        The whole structure, or some of its atoms in the same cell.
    copies
        ``(k,)`` int, which of the plan's rotations.
    atoms
        ``(n,)`` int, the atoms of the structure that are in the graph; None for all.
    """

    graph: Graph
    copies: torch.Tensor
    atoms: torch.Tensor | None = None

    def weights(self, weights: torch.Tensor, copies: torch.Tensor) -> torch.Tensor:
        """Weights ``(k, n)`` of the graph's atoms, from those ``(K, N)`` of the structure's."""
        chosen = weights[copies]
        return chosen if self.atoms is None else chosen[:, self.atoms]


def parts(graph: Graph, weights: torch.Tensor, hops: int | None) -> list[Part]:
    """Cut a structure into what its copies have to be evaluated on.

    Parameters
    ----------
    graph
        The whole structure; its first neighbour list, full, is that of the model.
    weights
        ``(K, N)`` of the copies' atoms.
    hops
        Bonds within which the atoms lie that an energy depends on; None if that is not known,
        and nothing is cut.

    Returns
    -------
    list of Part
        Every copy once.
    """
    used = weights.numpy() != 0
    if hops is None or used.all():
        return [Part(graph, torch.arange(len(weights)))]
    patterns, of_copy = np.unique(used, axis=0, return_inverse=True)
    fields, of_pattern = np.unique(_seen(graph, patterns, hops), axis=0, return_inverse=True)
    of_copy = of_pattern.reshape(-1)[of_copy.reshape(-1)]
    found = []
    for number, field in enumerate(fields):
        copies = torch.from_numpy(np.nonzero(of_copy == number)[0])
        if field.all():
            found.append(Part(graph, copies))
        else:
            atoms = torch.from_numpy(np.nonzero(field)[0])
            found.append(Part(_cut(graph, field), copies, atoms))
    return found


def _seen(graph: Graph, users: np.ndarray, hops: int) -> np.ndarray:
    """Atoms ``(P, N)`` bool within ``hops`` bonds of any of some users ``(P, N)`` bool."""
    first, second, _ = (t.numpy() for t in graph.pairs[0])
    n = len(graph)
    bonds = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n)).tocsr()
    seen = csr_matrix(users)
    for _ in range(hops):
        seen = seen + seen @ bonds
    return seen.toarray() > 0


def _cut(graph: Graph, field: np.ndarray) -> Graph:
    """The atoms of a field ``(N,)`` bool, in the same cell, with the bonds between them."""
    chosen = torch.from_numpy(field)
    place = torch.cumsum(chosen, 0) - 1
    first, second, shift = graph.pairs[0]
    inside = chosen[first] & chosen[second]
    return Graph(
        graph.numbers[chosen],
        graph.positions[chosen],
        graph.cell,
        graph.pbc,
        ((place[first[inside]], place[second[inside]], shift[inside]),),
    )
