"""Supercells that keep the symmetry of their crystal: the smallest one that is long enough."""

from __future__ import annotations

import numpy as np
from ase.geometry import minkowski_reduce

#: superlattices that are asked about together; most searches end within the first
_AT_ONCE = 64
#: lattices that a P lattice holds without giving up a cubic or hexagonal symmetry
_CENTRINGS = (
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((0, 1, 1), (1, 0, 1), (1, 1, 0)),
    ((-1, 1, 1), (1, -1, 1), (1, 1, -1)),
    ((2, 1, 0), (-1, 1, 0), (0, 0, 1)),
)


def supercell_matrix(
    cell: np.ndarray,
    rotations: np.ndarray,
    conventional: np.ndarray,
    min_length: float,
    max_cells: int,
) -> tuple[np.ndarray, float]:
    """Smallest supercell with every lattice vector at least ``min_length``.

    Only superlattices that every operation maps onto themselves are considered, because a
    supercell of lower symmetry needs more displacements and splits degenerate modes.

    Parameters
    ----------
    cell
        ``(3, 3)`` Å, rows, a primitive cell.
    rotations
        ``(m, 3, 3)`` int, point operations W in its basis, for rows.
    conventional
        ``(3, 3)`` int, rows, the conventional cell in terms of the primitive one.
    min_length
        Å.
    max_cells
        Primitive cells that the supercell may hold.

    Returns
    -------
    tuple
        Integer matrix M with ``supercell = M @ cell``, and the length in Å of its shortest
        lattice vector: below ``min_length`` if no supercell of ``max_cells`` is long enough; then
        it is the one with the longest.
    """
    short = _lattice_vectors(cell, min_length)
    lengths = np.linalg.norm(short @ cell, axis=1)
    unit = np.eye(3, dtype=int)
    best = unit, float(_shortest(unit[None], short, lengths, min_length)[0])
    candidates = _candidates(cell, conventional, min_length, max_cells)
    for start in range(0, len(candidates), _AT_ONCE):
        some = _symmetric(candidates[start : start + _AT_ONCE], rotations)
        for matrix, length in zip(some, _shortest(some, short, lengths, min_length), strict=True):
            if length >= min_length:
                return matrix, _length(matrix, cell)
            if length > best[1] + 1e-6:
                best = matrix, float(length)
    return best


def _candidates(
    cell: np.ndarray, conventional: np.ndarray, min_length: float, max_cells: int
) -> np.ndarray:
    """Superlattices ``(k, 3, 3)`` by size; of equal ones the most compact first."""
    found, sizes, longest = [], [], []
    bases = [np.eye(3, dtype=int), *(np.array(c) @ conventional for c in _CENTRINGS)]
    for basis in bases:
        size = abs(round(float(np.linalg.det(basis))))
        edges = np.linalg.norm(basis @ cell, axis=1)
        heights = size * abs(np.linalg.det(cell)) / _faces(basis @ cell)
        most = np.ceil(min_length / heights).astype(int) + 1
        multiples = np.indices(most).reshape(3, -1).T + 1
        cells = size * multiples.prod(1)
        multiples, cells = multiples[cells <= max_cells], cells[cells <= max_cells]
        found.append(multiples[:, :, None] * basis)
        sizes.append(cells)
        longest.append((multiples * edges).max(1, initial=0.0))
    matrices = np.concatenate(found)
    entries = matrices.reshape(-1, 9).T[::-1]
    order = np.lexsort([*entries, np.round(np.concatenate(longest), 6), np.concatenate(sizes)])
    return matrices[order]


def _faces(rows: np.ndarray) -> np.ndarray:
    """Areas of the faces opposite to each row."""
    crossed = np.cross(np.roll(rows, -1, axis=0), np.roll(rows, -2, axis=0))
    return np.linalg.norm(crossed, axis=1)


def _symmetric(matrices: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Those of the superlattices ``(k, 3, 3)`` that every operation maps onto themselves."""
    images = matrices[:, None] @ rotations @ np.linalg.inv(matrices)[:, None]
    found: np.ndarray = matrices[np.abs(images - np.rint(images)).max((1, 2, 3)) < 1e-6]
    return found


def _lattice_vectors(cell: np.ndarray, length: float) -> np.ndarray:
    """(k, 3) int, half of the nonzero lattice vectors shorter than ``length``."""
    heights = abs(np.linalg.det(cell)) / _faces(cell)
    most = np.ceil(length / heights).astype(int)
    grid = np.indices(2 * most + 1).reshape(3, -1).T - most
    grid = grid[len(grid) // 2 + 1 :]
    return grid[np.linalg.norm(grid @ cell, axis=1) < length - 1e-6]


def _shortest(
    matrices: np.ndarray, short: np.ndarray, lengths: np.ndarray, limit: float
) -> np.ndarray:
    """Lengths ``(k,)`` of the shortest superlattice vectors, ``limit`` where none is shorter."""
    fraction = short @ np.linalg.inv(matrices)
    inside = np.abs(fraction - np.rint(fraction)).max(2, initial=0.0) < 1e-6
    found: np.ndarray = np.where(inside, lengths, limit).min(1, initial=limit)
    return found


def _length(matrix: np.ndarray, cell: np.ndarray) -> float:
    """Length of the shortest vector of a superlattice."""
    return float(np.linalg.norm(minkowski_reduce(matrix @ cell)[0], axis=1).min())
