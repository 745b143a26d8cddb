"""Which part of a structure each orientation has to be evaluated on.

Where a rotation has weight for a few atoms only, as frames of ecse have, the others need not be
evaluated in it: the energies of these few depend on what lies within as many bonds as the model
passes messages. Cutting that out is exact, and makes the cost of a large cell grow with its size
instead of the square of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pet_flows.engines.raw import Graph


@dataclass(frozen=True)
class Part:
    """Copies of a structure that are evaluated on the same graph.

    Attributes
    ----------
    graph
        The whole structure, or a cluster cut out of it.
    copies
        ``(k,)`` int, which of the plan's rotations.
    atoms
        ``(n,)`` int, the atom of the structure that each atom of the graph is; periodic images
        are atoms of their own. None for the whole structure.
    centres
        ``(u,)`` int, the atoms of the graph whose energies count; None for all.
    """

    graph: Graph
    copies: torch.Tensor
    atoms: torch.Tensor | None = None
    centres: torch.Tensor | None = None

    @property
    def served(self) -> torch.Tensor | slice:
        """Atoms of the structure whose energies count."""
        if self.atoms is None or self.centres is None:
            return slice(None)
        return self.atoms[self.centres]

    def weights(self, weights: torch.Tensor, copies: torch.Tensor) -> torch.Tensor:
        """Weights ``(k, n)`` of the graph's atoms, from those ``(K, N)`` of the structure's."""
        if self.atoms is None:
            return weights[copies]
        own = torch.zeros(len(copies), len(self.graph), dtype=weights.dtype)
        own[:, self.centres] = weights[copies][:, self.served]
        return own


def parts(graph: Graph, weights: torch.Tensor, hops: int | None) -> list[Part]:
    """Cut a structure into what its copies have to be evaluated on.

    Parameters
    ----------
    graph
        The whole structure; its first neighbour list, full, is that of the model.
    weights
        ``(K, N)`` of the copies' atoms.
    hops
        Message passings of the model, how many neighbours of neighbours an energy depends on;
        None if that is not known, and nothing is cut.

    Returns
    -------
    list of Part
        Every copy once; on the whole structure where a cluster would not be smaller.
    """
    n = len(graph)
    used = weights.numpy() > 0
    full = used.all(1)
    if hops is None or full.all():
        return [Part(graph, torch.arange(len(weights)))]
    patterns, of_row = np.unique(used, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    field = _Field(graph, hops)
    whole = full.copy()
    found = []
    for p, pattern in enumerate(patterns):
        rows = np.nonzero(of_row == p)[0]
        cluster = None if pattern.all() else field.cluster(np.nonzero(pattern)[0], n)
        if cluster is None:
            whole[rows] = True
        else:
            found.append(Part(cluster[0], torch.from_numpy(rows), *cluster[1:]))
    if whole.any():
        found.insert(0, Part(graph, torch.from_numpy(np.nonzero(whole)[0])))
    return found


class _Field:
    """Receptive fields of atoms; a site (atom, cell shift) is one integer, shifts add up."""

    def __init__(self, graph: Graph, hops: int):
        first, second, shift = (t.numpy() for t in graph.pairs[0])
        order = np.argsort(first, kind="stable")
        self._graph = graph
        self._hops = hops
        n = len(graph)
        self._count = np.bincount(first, minlength=n)
        self._start = np.cumsum(self._count) - self._count
        # a site at most ``hops`` shifts from home, users of one frame as far from each other
        reach = 4 * (hops + 1) * (1 + int(np.abs(shift).max(initial=0)))
        self._radix = n * (2 * reach + 1) ** np.arange(3)
        self._reach = reach
        self._step = second[order] + shift[order] @ self._radix
        self._fields: dict[int, np.ndarray] = {}

    def cluster(
        self, users: np.ndarray, limit: int
    ) -> tuple[Graph, torch.Tensor, torch.Tensor] | None:
        """Graph, atoms and centres of what users see together; None if that is ``limit`` atoms."""
        home = self._seen(int(users[0]))
        places = np.array([self._nearest(home, int(u)) for u in users])
        sites = np.unique(
            np.concatenate(
                [self._seen(int(u)) + (p - u) for u, p in zip(users, places, strict=True)]
            )
        )
        if len(sites) >= limit:
            return None
        owner, there = self._neighbours(sites)
        second = np.searchsorted(sites, there)
        inside = sites[np.minimum(second, len(sites) - 1)] == there
        atoms, shifts = self._decoded(sites)
        graph = self._graph
        chosen = torch.from_numpy(atoms)
        images = torch.from_numpy(shifts).to(graph.cell.dtype) @ graph.cell
        none = torch.zeros(int(inside.sum()), 3, dtype=torch.int64)
        cut = Graph(
            graph.numbers[chosen],
            graph.positions[chosen] + images,
            torch.zeros_like(graph.cell),
            torch.zeros_like(graph.pbc),
            ((torch.from_numpy(owner[inside]), torch.from_numpy(second[inside]), none),),
        )
        return cut, chosen, torch.from_numpy(np.searchsorted(sites, places))

    def _seen(self, atom: int) -> np.ndarray:
        """Sites within ``hops`` bonds of an atom at home, sorted."""
        if atom not in self._fields:
            sites = np.array([atom])
            for _ in range(self._hops):
                sites = np.union1d(sites, self._neighbours(sites)[1])
            self._fields[atom] = sites
        return self._fields[atom]

    def _neighbours(self, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Index of the site, and neighbour, of every bond of some sites."""
        atoms, _ = self._decoded(sites)
        counts = self._count[atoms]
        owner = np.repeat(np.arange(len(sites)), counts)
        place = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        return owner, self._step[self._start[atoms][owner] + place] + (sites - atoms)[owner]

    def _nearest(self, home: np.ndarray, user: int) -> int:
        """The image of a user that the first user sees with the smallest shift; at home if none."""
        atoms, shifts = self._decoded(home)
        images = np.nonzero(atoms == user)[0]
        if not len(images):
            return user
        return int(home[images[np.abs(shifts[images]).sum(1).argmin()]])

    def _decoded(self, sites: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Atoms ``(m,)`` and shifts ``(m, 3)`` of sites."""
        n, base = len(self._graph), 2 * self._reach + 1
        lifted = sites + self._reach * self._radix.sum()
        rest, atoms = np.divmod(lifted, n)
        digits = []
        for _ in range(3):
            rest, digit = np.divmod(rest, base)
            digits.append(digit - self._reach)
        return atoms, np.stack(digits, 1)
