"""Force constants by least squares among those that symmetry and sum rules allow.

The forces in a displaced cell are those of the pairs of one atom: without sum rules every orbit of
pairs is a problem of nine numbers by itself. The acoustic sum rule of each independent atom,
``Σ_J Φ_iJ = 0``, ties them together through nine multipliers, so that time and memory grow with
the number of pairs.
"""

from __future__ import annotations

import numpy as np

from pet_flows.geometry.ragged import owners_of, starts_of, sum_by
from pet_flows.properties.phonon.pairs import Pairs

#: eigenvalues that are no more than this, as parts of the largest, are round-off
_NONE = 1e-9


def solve(
    pairs: Pairs,
    independent: np.ndarray,
    moved: np.ndarray,
    vectors: np.ndarray,
    forces: np.ndarray,
) -> np.ndarray:
    """Force constants of the nearest forces, exact in symmetry, exchange and sum rules.

    Minimizes ``Σ |f + u Φ|²`` over all atoms of all displaced cells, as symfc does in a basis of
    what is allowed (A. Seko and A. Togo, Phys. Rev. B 110, 214302 (2024)).

    Parameters
    ----------
    pairs
        Of the crystal.
    independent
        ``(k,)`` int, an atom of the primitive cell for each orbit of atoms.
    moved
        ``(d,)`` int, displaced atoms, of the primitive cell.
    vectors
        ``(d, 3)`` Å.
    forces
        ``(d, N, 3)`` eV/Å, without those of the cell that is not displaced.

    Returns
    -------
    ndarray
        ``(n, N, 3, 3)`` eV/Å².

    Raises
    ------
    LinAlgError
        The displacements do not determine them.
    """
    size = forces.shape[1]
    inverses, tensors = _free(pairs, moved, vectors, forces)
    atoms, rules = _sum_rules(pairs, independent, size)
    k = len(independent)
    normal = np.zeros((k * k, 9, 9))
    broken = np.zeros((k, 9))
    for s in range(2):
        own = rules[:, s] @ inverses
        broken += sum_by(atoms[:, s], (rules[:, s] @ tensors[:, :, None])[:, :, 0], k)
        for t in range(2):
            index = atoms[:, s] * k + atoms[:, t]
            normal += sum_by(index, own @ rules[:, t].transpose(0, 2, 1), k * k)
    square = normal.reshape(k, k, 9, 9).transpose(0, 2, 1, 3).reshape(9 * k, 9 * k)
    # some of the rules follow from others
    multipliers = np.linalg.pinv(square, rcond=_NONE, hermitian=True) @ broken.ravel()
    pull = np.einsum("osab,osa->ob", rules, multipliers.reshape(k, 9)[atoms])
    tensors = tensors - (inverses @ pull[:, :, None])[:, :, 0]
    return np.ascontiguousarray(pairs.expanded(tensors).reshape(-1, size, 3, 3))


def _free(
    pairs: Pairs, moved: np.ndarray, vectors: np.ndarray, forces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Without sum rules: inverses ``(O, 9, 9)`` of the normal equations, tensors ``(O, 9)``."""
    size, count = forces.shape[1], len(pairs.allowed)
    which = (moved[:, None] * size + np.arange(size)).ravel()
    u = np.repeat(vectors, size, 0)
    orbit = pairs.orbit[which]
    # u Φ is measured along all three axes, whose sum of squares knows no direction
    square = sum(
        sum_by(orbit, a[:, :, None] * a[:, None, :], count)
        for a in (pairs.pulled(which, u, np.broadcast_to(axis, u.shape)) for axis in np.eye(3))
    )
    right = -sum_by(orbit, pairs.pulled(which, u, forces.reshape(-1, 3)), count)
    allowed = pairs.allowed
    values, axes = np.linalg.eigh(allowed @ square @ allowed)
    known = values > _NONE * values.max(initial=0.0)
    if (known.sum(1) < np.rint(np.trace(allowed, axis1=1, axis2=2))).any():
        raise np.linalg.LinAlgError("the displacements do not determine all force constants")
    weights = np.where(known, 1.0 / np.where(known, values, 1.0), 0.0)
    inverses = (axes * weights[:, None, :]) @ axes.transpose(0, 2, 1)
    return inverses, (inverses @ right[:, :, None])[:, :, 0]


def _sum_rules(pairs: Pairs, independent: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """What the tensor of each orbit adds to the sums of independent atoms, of which it has two.

    Returns
    -------
    atoms, rules
        ``(O, 2)`` int, places among the independent atoms; ``(O, 2, 9, 9)``, zero without a second.
    """
    count = len(pairs.allowed)
    which = (independent[:, None] * size + np.arange(size)).ravel()
    keys = pairs.orbit[which] * len(independent) + owners_of(np.full(len(independent), size))
    order = np.argsort(keys, kind="stable")
    both, counts = np.unique(keys, return_counts=True)
    sums = np.add.reduceat(pairs.tensors(which[order]), starts_of(counts))
    orbit, atom = np.divmod(both, len(independent))
    slot = np.arange(len(both)) - np.searchsorted(orbit, orbit)
    atoms, rules = np.zeros((count, 2), dtype=int), np.zeros((count, 2, 9, 9))
    atoms[orbit, slot], rules[orbit, slot] = atom, sums
    return atoms, rules
