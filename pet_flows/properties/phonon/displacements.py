"""Finite displacements: the fewest model evaluations that determine all force constants."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from pet_flows.crystallography.group import SpaceGroup


def displacements(
    group: SpaceGroup, cell: np.ndarray, length: float
) -> list[tuple[int, np.ndarray]]:
    """Displacements ``(atom of the primitive cell, (3,) vector in Å)`` that suffice.

    For each independent atom, directions are chosen whose images under the atom's site symmetry
    span space, together with their opposites: even orders and residual forces then cancel as in
    a central difference. Among all such choices the one is taken whose displaced cells keep the
    most symmetry, because the number of rotations that a symmetrized potential has to evaluate is
    inverse to what is kept; an opposite that the site symmetry provides is not computed.

    Parameters
    ----------
    group
        Of a primitive cell.
    cell
        ``(3, 3)`` Å, rows, that cell.
    length
        Å.
    """
    operations = group.operations(cell)
    # orthonormal, and rotating with the cell: the first along its first vector, the second in the
    # plane of the first two
    axes = np.linalg.solve(np.linalg.cholesky(cell @ cell.T), cell)
    chosen = []
    for atom in group.orbits().tolist():
        site = operations[group.permutations[:, atom] == atom]
        for direction in _directions(site, axes):
            chosen.append((atom, length * direction))
            if not _has_opposite(site, direction):
                chosen.append((atom, -length * direction))
    return chosen


def _directions(site: np.ndarray, axes: np.ndarray) -> list[np.ndarray]:
    """The cheapest unit vectors whose images under the operations ``(k, 3, 3)`` span space."""
    candidates = _candidates(site, axes)
    cost = _costs(site, candidates)
    best: tuple[float, tuple[int, ...]] | None = None
    for number in (1, 2, 3):
        if best is not None and number * cost.min() >= best[0] - 1e-9:
            break
        for some in combinations(range(len(candidates)), number):
            total = float(sum(cost[i] for i in some))
            if best is not None and total >= best[0] - 1e-9:
                continue
            images = np.concatenate([candidates[i] @ site for i in some])
            if np.linalg.eigvalsh(images.T @ images)[0] > 1e-3:
                best = total, some
    assert best is not None
    return [candidates[i] for i in best[1]]


def _candidates(site: np.ndarray, crystal: np.ndarray) -> np.ndarray:
    """Axes and mirror normals of the operations, and vectors that complete them: ``(k, 3)``.

    These come from the crystal's own axes: the laboratory's would make the error of a finite
    displacement depend on how the crystal is rotated.
    """
    proper = site * np.sign(np.linalg.det(site))[:, None, None]
    proper = proper[np.abs(proper - np.eye(3)).max((1, 2)) >= 1e-6]
    values, vectors = np.linalg.eig(proper.swapaxes(1, 2))
    which = np.abs(values - 1.0).argmin(1)
    axes = _directions_of(vectors[np.arange(len(which)), :, which].real)
    one, two = np.triu_indices(len(axes), 1)
    crossed = np.cross(axes[one], axes[two])
    completed = [
        np.concatenate([axis[None], np.cross(axes, axis).reshape(-1, 3)]) for axis in crystal
    ]
    return _directions_of(np.concatenate([axes, crossed, *completed]))


def _directions_of(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors of those that have a direction, of equal and opposite ones the first."""
    norms = np.linalg.norm(vectors, axis=1)
    units = vectors[norms >= 1e-6] / norms[norms >= 1e-6, None]
    leading = np.argmax(np.abs(units) > 1e-6, axis=1)
    units = units * np.sign(units[np.arange(len(units)), leading])[:, None]
    equal = np.abs(units[:, None] - units).max(2, initial=0.0) < 1e-6
    return units[~np.tril(equal, -1).any(1)]


def _costs(site: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Evaluations ``(k,)`` for each direction; one that keeps no symmetry takes one or two."""
    images = directions @ site
    kept = (np.linalg.norm(images - directions, axis=2) < 1e-6).sum(0)
    opposite = (np.linalg.norm(images + directions, axis=2) < 1e-6).any(0)
    return np.where(opposite, 1.0, 2.0) / kept


def _has_opposite(site: np.ndarray, direction: np.ndarray) -> bool:
    return bool((np.linalg.norm(direction @ site + direction, axis=1) < 1e-6).any())
