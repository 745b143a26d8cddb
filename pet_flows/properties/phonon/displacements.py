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
    cost = [_cost(site, d) for d in candidates]
    best: tuple[float, tuple[int, ...]] | None = None
    for number in (1, 2, 3):
        for some in combinations(range(len(candidates)), number):
            total = sum(cost[i] for i in some)
            if best is not None and total >= best[0] - 1e-9:
                continue
            images = np.concatenate([candidates[i] @ site for i in some])
            if np.linalg.eigvalsh(images.T @ images)[0] > 1e-3:
                best = total, some
    assert best is not None
    return [candidates[i] for i in best[1]]


def _candidates(site: np.ndarray, crystal: np.ndarray) -> list[np.ndarray]:
    """Axes and mirror normals of the operations, and vectors that complete them.

    These come from the crystal's own axes: the laboratory's would make the error of a finite
    displacement depend on how the crystal is rotated.
    """
    found: list[np.ndarray] = []

    def add(vector: np.ndarray) -> None:
        norm = np.linalg.norm(vector)
        if norm < 1e-6:
            return
        unit = vector / norm
        unit = unit * np.sign(unit[np.argmax(np.abs(unit) > 1e-6)])
        if not any(np.abs(unit - other).max() < 1e-6 for other in found):
            found.append(unit)

    for operation in site:
        proper = operation * np.sign(np.linalg.det(operation))
        if np.abs(proper - np.eye(3)).max() < 1e-6:
            continue
        values, vectors = np.linalg.eig(proper.T)
        add(vectors[:, int(np.argmin(np.abs(values - 1.0)))].real)
    axes = list(found)
    for a, b in combinations(axes, 2):
        add(np.cross(a, b))
    for axis in crystal:
        add(axis)
        for a in axes:
            add(np.cross(a, axis))
    return found


def _cost(site: np.ndarray, direction: np.ndarray) -> float:
    """Evaluations for a direction, in units of what a displacement without symmetry needs."""
    kept = int((np.linalg.norm(direction @ site - direction, axis=1) < 1e-6).sum())
    return (1.0 if _has_opposite(site, direction) else 2.0) / kept


def _has_opposite(site: np.ndarray, direction: np.ndarray) -> bool:
    return bool((np.linalg.norm(direction @ site + direction, axis=1) < 1e-6).any())
