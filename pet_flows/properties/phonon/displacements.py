"""Finite displacements: the fewest model evaluations that determine all force constants."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True)
class Operations:
    """Space group of a primitive cell, one operation for each point operation.

    Attributes
    ----------
    rotations
        ``(m, 3, 3)`` int, in fractional coordinates, columns: ``x' = W x + w``.
    translations
        ``(m, 3)`` w.
    permutations
        ``(m, n)`` int: operation takes atom i to atom ``permutations[m, i]``.
    turns
        ``(m, 3, 3)`` orthogonal, Cartesian, columns: ``v' = turns v``.
    axes
        ``(3, 3)`` orthonormal rows that turn with the cell: the first along its first vector, the
        second in the plane of the first two.
    """

    rotations: np.ndarray
    translations: np.ndarray
    permutations: np.ndarray
    turns: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(
        cls, cell: np.ndarray, scaled: np.ndarray, rotations: np.ndarray, translations: np.ndarray
    ) -> Operations:
        """Operations with their permutations of the atoms at fractional positions ``scaled``."""
        moved = np.einsum("mab,nb->mna", rotations, scaled) + translations[:, None]
        offset = moved[:, :, None, :] - scaled[None, None]
        offset = (offset - np.rint(offset)) @ cell
        permutations = (offset**2).sum(-1).argmin(-1)
        turns = cell.T @ rotations @ np.linalg.inv(cell.T)
        axes = np.linalg.solve(np.linalg.cholesky(cell @ cell.T), cell)
        return cls(rotations, translations, permutations, turns, axes)

    def independent(self) -> list[int]:
        """One atom of each orbit."""
        return sorted(set(self.permutations.min(0).tolist()))

    def site(self, atom: int) -> np.ndarray:
        """(k, 3, 3) Cartesian operations that leave an atom where it is."""
        return self.turns[self.permutations[:, atom] == atom]


def displacements(operations: Operations, length: float) -> list[tuple[int, np.ndarray]]:
    """Displacements ``(atom of the primitive cell, (3,) vector in Å)`` that suffice.

    For each independent atom, directions are chosen whose images under the atom's site symmetry
    span space, together with their opposites: even orders and residual forces then cancel as in
    a central difference. Among all such choices the one is taken whose displaced cells keep the
    most symmetry, because the number of rotations that a symmetrized potential has to evaluate is
    inverse to what is kept; an opposite that the site symmetry provides is not computed.
    """
    chosen = []
    for atom in operations.independent():
        for direction in _directions(operations.site(atom), operations.axes):
            chosen.append((atom, length * direction))
            if not _has_opposite(operations.site(atom), direction):
                chosen.append((atom, -length * direction))
    return chosen


def _directions(site: np.ndarray, axes: np.ndarray) -> list[np.ndarray]:
    """The cheapest unit vectors whose images under the site's operations span space."""
    candidates = _candidates(site, axes)
    cost = [_cost(site, d) for d in candidates]
    best: tuple[float, tuple[int, ...]] | None = None
    for number in (1, 2, 3):
        for some in combinations(range(len(candidates)), number):
            total = sum(cost[i] for i in some)
            if best is not None and total >= best[0] - 1e-9:
                continue
            images = np.concatenate([site @ candidates[i] for i in some])
            if np.linalg.eigvalsh(images.T @ images)[0] > 1e-3:
                best = total, some
    assert best is not None
    return [candidates[i] for i in best[1]]


def _candidates(site: np.ndarray, crystal: np.ndarray) -> list[np.ndarray]:
    """Axes and mirror normals of the operations, and vectors that complete them.

    These come from the crystal's own axes: the laboratory's would make the error of a finite
    displacement depend on how the crystal is turned.
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

    for turn in site:
        proper = turn * np.sign(np.linalg.det(turn))
        if np.abs(proper - np.eye(3)).max() < 1e-6:
            continue
        values, vectors = np.linalg.eig(proper)
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
    kept = int((np.linalg.norm(site @ direction - direction, axis=1) < 1e-6).sum())
    return (1.0 if _has_opposite(site, direction) else 2.0) / kept


def _has_opposite(site: np.ndarray, direction: np.ndarray) -> bool:
    return bool((np.linalg.norm(site @ direction + direction, axis=1) < 1e-6).any())
