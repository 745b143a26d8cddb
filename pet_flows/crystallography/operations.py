"""Operations of a primitive cell onto itself, among orthogonal matrices that are given.

Found by how far atoms are from the places they should be on (residuals in Å): no guessing of space
groups, no standard settings.
"""

from __future__ import annotations

import numpy as np

from pet_flows.crystallography.rarest import rarest_class
from pet_flows.crystallography.sites import EXACT, PLACES, Sites


def find_operations(
    numbers: np.ndarray,
    cell: np.ndarray,
    positions: np.ndarray,
    matrices: np.ndarray,
    tolerance: float = EXACT,
) -> tuple[np.ndarray, np.ndarray]:
    """Which orthogonal matrices, with some translation, map a primitive structure onto itself.

    Parameters
    ----------
    numbers, cell, positions
        ``(n,)``; ``(3, 3)`` and ``(n, 3)`` in Å, a primitive cell.
    matrices
        ``(m, 3, 3)``, candidates g for ``x → x g + t``.
    tolerance
        Å.

    Returns
    -------
    tuple
        Indices ``(k,)`` of the operations and their permutations ``(k, n)``:
        ``x_i g + t = x_perm[i]``.
    """
    sites = Sites(numbers, cell, positions)
    like = rarest_class(sites.numbers, sites.cell, positions, tolerance)
    candidates = np.nonzero(lattice_residual(sites.cell, matrices) <= tolerance)[0]
    rotated = positions @ matrices[candidates] @ sites.inverse
    shifts = sites.fractional[like] - rotated[:, like[0], None]
    indices: list[int] = []
    permutations: list[np.ndarray] = []
    at_once = max(1, PLACES // (len(like) * len(sites)))
    for start in range(0, len(candidates), at_once):
        block = slice(start, start + at_once)
        places = rotated[block, None] + shifts[block, :, None]
        found, perms = sites.match(places.reshape(-1, len(sites), 3), tolerance)
        # one translation is enough of each operation
        which, first = np.unique(found // len(like), return_index=True)
        indices.extend(candidates[block][which])
        permutations.extend(perms[first])
    return np.array(indices, dtype=int), np.array(permutations, dtype=int)


def lattice_residual(cell: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """How far, in Å, orthogonal matrices ``(m, 3, 3)`` are from mapping a lattice onto itself."""
    integers = cell @ matrices @ np.linalg.inv(cell)
    return np.abs((integers - np.rint(integers)) @ cell).max((1, 2))
