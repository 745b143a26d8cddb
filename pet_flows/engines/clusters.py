"""Which part of a structure each orientation has to be evaluated on.

Where a rotation has weight for a few atoms only, as frames of ecse have, the others need not be
evaluated in it: the energies of these few depend on what lies within as many bonds as the model
passes messages. Cutting that out is exact, and makes the cost of a large cell grow with its size
instead of the square of it. Energies of the other atoms of a cluster are wrong, and have weight
zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.sparse import coo_matrix, csr_matrix

from pet_flows.engines.graphs import Graphs, Pairs, together
from pet_flows.engines.rows import Rows


@dataclass(frozen=True)
class Parts:
    """What the copies of a batch have to be evaluated on, P graphs.

    Attributes
    ----------
    graphs
        Whole structures, or some of their atoms in the same cell.
    sites
        ``(n,)`` int, which site of the batch each atom of the graphs is.
    owners
        ``(C,)`` int, on which graph each copy is evaluated.
    """

    graphs: Graphs
    sites: np.ndarray
    owners: np.ndarray


def parts(graphs: Graphs, weights: torch.Tensor, rows: Rows, hops: int | None) -> Parts:
    """Cut structures into what their copies have to be evaluated on.

    Parameters
    ----------
    graphs
        The whole structures; their first neighbour list, full, is that of the model.
    weights
        ``(W,)`` of the copies' atoms.
    rows
        Whose these are.
    hops
        Bonds within which the atoms lie that an energy depends on; None if that is not known,
        and nothing is cut.
    """
    sites = np.arange(len(graphs.numbers))
    used = weights.numpy() != 0
    if hops is None or used.all():
        return Parts(graphs, sites, rows.owners)
    graphs = replace(graphs, pairs=graphs.pairs[:1])
    pieces: list[Graphs] = []
    chosen: list[np.ndarray] = []
    owners = np.zeros(len(rows.owners), dtype=int)
    first_copy = np.cumsum(rows.copies) - rows.copies
    for s, (k, n) in enumerate(zip(rows.copies.tolist(), rows.sites.tolist(), strict=True)):
        whole = graphs.take(np.array([s]))
        own = used[rows.first[first_copy[s]] :][: k * n].reshape(k, n)
        for field, copies in _fields(whole, own, hops):
            owners[first_copy[s] + copies] = len(pieces)
            pieces.append(whole if field.all() else _cut(whole, field))
            chosen.append(rows.first_site[s] + np.nonzero(field)[0])
    return Parts(together(pieces), np.concatenate(chosen), owners)


def _fields(graph: Graphs, used: np.ndarray, hops: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Atoms ``(n,)`` bool of one structure to evaluate, and the copies ``(k,)`` int it is for.

    ``used`` is ``(K, n)`` bool, where the weights are not zero.
    """
    if used.all():
        return [(used[0], np.arange(len(used)))]
    patterns, of_copy = np.unique(used, axis=0, return_inverse=True)
    fields, of_pattern = np.unique(_seen(graph, patterns, hops), axis=0, return_inverse=True)
    of_copy = of_pattern.reshape(-1)[of_copy.reshape(-1)]
    return [(field, np.nonzero(of_copy == number)[0]) for number, field in enumerate(fields)]


def _seen(graph: Graphs, users: np.ndarray, hops: int) -> np.ndarray:
    """Atoms ``(P, N)`` bool within ``hops`` bonds of any of some users ``(P, N)`` bool."""
    first, second = graph.pairs[0].first.numpy(), graph.pairs[0].second.numpy()
    n = len(graph.numbers)
    bonds = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(n, n)).tocsr()
    seen = csr_matrix(users)
    for _ in range(hops):
        seen = seen + seen @ bonds
    return seen.toarray() > 0


def _cut(graph: Graphs, field: np.ndarray) -> Graphs:
    """The atoms of a field ``(N,)`` bool, in the same cell, with the bonds between them."""
    chosen = torch.from_numpy(field)
    place = torch.cumsum(chosen, 0) - 1
    pairs = graph.pairs[0]
    inside = chosen[pairs.first] & chosen[pairs.second]
    bonds = Pairs(
        place[pairs.first[inside]], place[pairs.second[inside]], pairs.shift[inside],
        np.array([int(inside.sum())]),
    )  # fmt: skip
    return Graphs(
        graph.numbers[chosen], graph.positions[chosen], graph.cells, graph.pbc,
        np.array([int(field.sum())]), (bonds,), graph.electrons,
    )  # fmt: skip
