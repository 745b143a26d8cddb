"""Orientations that a crystal's own operations make equal, evaluated once.

An operation g of the structure, ``x_i g + t = x_perm(i)``, makes ``f_perm(i)(X gᵀ Q) = f_i(X Q)``:
the copies Q and gᵀ Q say the same, of atoms that are exchanged. One copy of each such orbit is
enough, with the size of its orbit as multiplicity, and energies, forces and stress are averaged
over the operations afterwards. A perfect close-packed metal then takes a few evaluations instead
of hundreds.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from pet_flows.crystallography.lattice import closed, pseudo_symmetry, reduced
from pet_flows.crystallography.operations import find_operations
from pet_flows.crystallography.sites import EXACT

#: largest strain of an operation of the lattice; what is left of round-off in its cell
EQUAL = 1e-7
#: within which rotations and weights of copies are the same; they hold to round-off
SAME = 1e-6


def own_operations(
    numbers: np.ndarray, cell: np.ndarray, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """All operations of a primitive cell, exact to 1e-9 Å.

    Returns
    -------
    tuple
        Orthogonal matrices ``(m, 3, 3)`` and permutations ``(m, n)``, ``x_i g + t = x_perm[i]``;
        the identity alone where what is found is not a group.
    """
    integers, matrices = _of_lattice(np.ascontiguousarray(cell, dtype=float).tobytes())
    found, permutations = find_operations(numbers, cell, positions, matrices, EXACT)
    if len(found) < 2 or not closed(integers[found]):
        return np.eye(3)[None], np.arange(len(numbers))[None]
    return matrices[found], permutations


@lru_cache(maxsize=256)
def _of_lattice(cell: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Integer and orthogonal ``(m, 3, 3)`` of a lattice: a cell often stays as it is."""
    basis = reduced(np.frombuffer(cell).reshape(3, 3))
    integers = pseudo_symmetry(basis, EQUAL)[0]
    left, _, right = np.linalg.svd(np.linalg.solve(basis, integers @ basis))
    return integers, left @ right


def multiplicities(
    rotations: np.ndarray, weights: np.ndarray, matrices: np.ndarray, permutations: np.ndarray
) -> np.ndarray:
    """For how many copies each stands, zero where another stands for it.

    Different pairs of neighbours can make the same frame with the same weights; such copies go
    together, since no matrix tells which is the image of which.

    Parameters
    ----------
    rotations, weights
        ``(K, 3, 3)`` and ``(K, n)``, mirror partners included.
    matrices, permutations
        Operations, from :func:`own_operations`.

    Returns
    -------
    numpy.ndarray
        ``(K,)`` int: the energy is ``Σ_k multiplicity_k Σ_i W_ik f_i(X Q_k)``. All ones if the
        copies are no union of orbits (an arbitrary axis of a linear environment).
    """
    k, n = weights.shape
    # a few numbers in place of a row of weights: random, so that rows that differ do so here
    digits = np.random.default_rng(0).normal(size=(n, 3))
    places = np.concatenate([rotations.reshape(k, 9), weights @ digits], 1)
    tree = cKDTree(places)
    same = tree.query_pairs(SAME, output_type="ndarray")
    # the first of all copies that are the same, or linked by such: never some of a set only
    kind, first = np.arange(k), np.arange(k)
    if len(same):
        _, first, label = np.unique(_linked(same, k), return_index=True, return_inverse=True)
        kind = first[label]
    links = [same]
    for g in generators(matrices):
        # the weight of atom i becomes that of perm(i)
        rotated = [(matrices[g].T @ rotations).reshape(k, 9), weights @ digits[permutations[g]]]
        distance, nearest = tree.query(np.concatenate(rotated, 1))
        if distance.max() > SAME:
            return np.ones(k, dtype=int)
        links.append(np.stack([np.arange(k), nearest], 1))
    orbit = _linked(np.concatenate(links), k)
    size = np.bincount(orbit[first])
    least = np.full(len(size), k)
    np.minimum.at(least, orbit, kind)
    many = np.where(least[orbit] == kind, size[orbit], 0)
    return many if many.sum() == k else np.ones(k, dtype=int)


def _linked(pairs: np.ndarray, k: int) -> np.ndarray:
    """``(k,)`` int, from 0 on: which of k are linked by pairs ``(p, 2)`` have the same number."""
    links = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(k, k))
    found: np.ndarray = connected_components(links, directed=False)[1]
    return found


def generators(matrices: np.ndarray) -> list[int]:
    """Few of the operations of a group ``(m, 3, 3)`` of which all the others are products."""
    # one number for each operation and product, of two directions that no operation favours
    one, two = np.array([0.5177, 0.2913, -0.8044]), np.array([0.3301, -0.9107, 0.2482])
    own = one @ matrices @ two
    order = np.argsort(own)
    steps = np.diff(own[order])
    if len(own) < 2 or steps.min() < 1e-9:
        return list(range(len(matrices)))
    middles = own[order][:-1] + steps / 2
    product = order[np.searchsorted(middles, (one @ matrices) @ (matrices @ two).T)]
    known, chosen = np.abs(matrices - np.eye(3)).max((1, 2)) < SAME, []
    for g in range(len(own)):
        if known[g]:
            continue
        chosen.append(g)
        known[g] = True
        while True:
            more = known.copy()
            more[product[np.ix_(known, known)]] = True
            if (more == known).all():
                break
            known = more
    return chosen


def reduce_copies(
    rotations: torch.Tensor,
    weights: torch.Tensor,
    numbers: np.ndarray,
    cell: np.ndarray,
    positions: np.ndarray,
) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor] | None]:
    """Copies that are left, their weights times multiplicities, and the operations.

    No operations where no copy is left out: then nothing has to be averaged. What passes for an
    operation holds to 1e-9 Å, so that a structure on its way through a symmetric one meets a step
    in energy of at most that times what the forces on the copies differ by, some 1e-9 eV.
    """
    matrices, permutations = own_operations(numbers, cell, positions)
    if len(matrices) == 1:
        return rotations, weights, None
    many = multiplicities(
        rotations.detach().numpy(), weights.detach().numpy(), matrices, permutations
    )
    if many.all():
        return rotations, weights, None
    kept = torch.from_numpy(np.nonzero(many)[0])
    share = weights[kept] * torch.from_numpy(many)[kept, None]
    return rotations[kept], share, (torch.tensor(matrices), torch.tensor(permutations))
