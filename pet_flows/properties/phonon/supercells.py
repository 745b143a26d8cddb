"""Supercells that keep the symmetry of their crystal: the smallest one that is long enough."""

from __future__ import annotations

from itertools import product

import numpy as np
from ase.geometry import minkowski_reduce

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
    best = np.eye(3, dtype=int), _shortest(np.eye(3, dtype=int), short, lengths, min_length)
    for matrix in _candidates(cell, conventional, min_length, max_cells):
        if not _symmetric(matrix, rotations):
            continue
        length = _shortest(matrix, short, lengths, min_length)
        if length >= min_length:
            return matrix, _length(matrix, cell)
        if length > best[1] + 1e-6:
            best = matrix, length
    return best


def _candidates(
    cell: np.ndarray, conventional: np.ndarray, min_length: float, max_cells: int
) -> list[np.ndarray]:
    """Superlattices by size; of equal ones the most compact first."""
    found: dict[tuple[int, ...], tuple[int, float, np.ndarray]] = {}
    bases = [np.eye(3, dtype=int), *(np.array(c) @ conventional for c in _CENTRINGS)]
    for basis in bases:
        size = abs(round(float(np.linalg.det(basis))))
        edges = np.linalg.norm(basis @ cell, axis=1)
        heights = size * abs(np.linalg.det(cell)) / _faces(basis @ cell)
        most = [int(np.ceil(min_length / h)) + 1 for h in heights]
        for n in product(*(range(1, m + 1) for m in most)):
            cells = size * int(np.prod(n))
            if cells > max_cells:
                continue
            matrix = np.array(n)[:, None] * basis
            found.setdefault(
                tuple(matrix.ravel()), (cells, float((np.array(n) * edges).max()), matrix)
            )
    ordered = sorted(found.items(), key=lambda item: (item[1][0], round(item[1][1], 6), item[0]))
    return [matrix for _, (_, _, matrix) in ordered]


def _faces(rows: np.ndarray) -> np.ndarray:
    """Areas of the faces opposite to each row."""
    crossed = np.cross(np.roll(rows, -1, axis=0), np.roll(rows, -2, axis=0))
    return np.linalg.norm(crossed, axis=1)


def _symmetric(matrix: np.ndarray, rotations: np.ndarray) -> bool:
    """Whether every operation maps the superlattice onto itself."""
    images = matrix @ rotations @ np.linalg.inv(matrix)
    return bool(np.abs(images - np.rint(images)).max() < 1e-6)


def _lattice_vectors(cell: np.ndarray, length: float) -> np.ndarray:
    """(k, 3) int, half of the nonzero lattice vectors shorter than ``length``."""
    heights = abs(np.linalg.det(cell)) / _faces(cell)
    most = np.ceil(length / heights).astype(int)
    grid = np.array(list(product(*(range(-m, m + 1) for m in most))))
    grid = grid[len(grid) // 2 + 1 :]
    return grid[np.linalg.norm(grid @ cell, axis=1) < length - 1e-6]


def _shortest(matrix: np.ndarray, short: np.ndarray, lengths: np.ndarray, limit: float) -> float:
    """Length of the shortest superlattice vector, or ``limit`` if none is shorter."""
    fraction = short @ np.linalg.inv(matrix)
    inside = np.abs(fraction - np.rint(fraction)).max(1, initial=0.0) < 1e-6
    return float(lengths[inside].min(initial=limit))


def _length(matrix: np.ndarray, cell: np.ndarray) -> float:
    """Length of the shortest vector of a superlattice."""
    return float(np.linalg.norm(minkowski_reduce(matrix @ cell)[0], axis=1).min())
