"""Atoms on top of each other: the one search for them, without PyTorch (which vesin brings)."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree

from pet_flows.geometry.boxes import completed

#: Å; atoms closer than this are one atom written twice (H2, the shortest bond, has 0.74)
OVERLAP = 0.5
#: atoms of which all pairs are sooner looked at than a tree is made
FEW = 48

_AROUND = np.array(list(product((-1, 0, 1), repeat=3)))


class Pair(NamedTuple):
    """Two atoms, or an atom and its own image."""

    first: int
    second: int
    """equal to `first` for an image of the same atom"""
    distance: float
    """Å"""


def closest_pair(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, within: float = OVERLAP
) -> Pair | None:
    """The two atoms or images nearest to each other, if they are nearer than ``within``.

    Parameters
    ----------
    positions
        ``(N, 3)`` Å, wrapped or not.
    cell, pbc
        ``(3, 3)`` Å, rows, however skewed, of which those of open axes do not count and the others
        are independent; ``(3,)`` bool.
    within
        Å.
    """
    periodic = np.array(pbc, dtype=bool)
    box = completed(np.array(cell, dtype=float), periodic)
    inverse, heights = _heights(box)
    own: Pair | None = None
    # of cells this high no shorter lattice vector nor second image can be within
    images = _AROUND[13:14]
    if (heights[periodic] <= 2 * within).any():
        if periodic.sum() > 1:
            box[periodic] = minkowski_reduce(box, pbc=periodic)[0][periodic]
            inverse, heights = _heights(box)
        images = _AROUND[~_AROUND[:, ~periodic].any(1)]
        shortest = float(np.linalg.norm(box[periodic], axis=1).min())
        if shortest < within:
            own = Pair(0, 0, shortest)
    scaled = positions @ inverse
    pairs = _every_pair(len(scaled)) if len(scaled) <= FEW else _near(
        scaled, periodic, heights, within
    )  # fmt: skip
    if not len(pairs):
        return own
    offsets = scaled[pairs[:, 0]] - scaled[pairs[:, 1]]
    offsets -= np.rint(offsets) * periodic
    vectors = (offsets[:, None] + images) @ box
    squares = np.einsum("pia,pia->pi", vectors, vectors).min(1)
    nearest = int(squares.argmin())
    first, second = sorted(pairs[nearest].tolist())
    found = Pair(first, second, float(np.sqrt(squares[nearest])))
    best = found if own is None or found.distance < own.distance else own
    return best if best.distance < within else None


@lru_cache(maxsize=FEW + 1)
def _every_pair(n: int) -> np.ndarray:
    """``(n (n - 1) / 2, 2)`` int."""
    return np.stack(np.triu_indices(n, 1), 1)


def _near(
    scaled: np.ndarray, periodic: np.ndarray, heights: np.ndarray, within: float
) -> np.ndarray:
    """Pairs ``(p, 2)`` int, all that may be nearer to each other than ``within`` among them."""
    inside = scaled - np.floor(scaled) * periodic
    inside[:, periodic] = np.where(inside[:, periodic] >= 1.0, 0.0, inside[:, periodic])
    # along the normals of the cell's faces two atoms are no farther apart than they are
    tree = cKDTree(inside * heights, boxsize=np.where(periodic, heights, 0.0))
    pairs: np.ndarray = tree.query_pairs(within, p=np.inf, output_type="ndarray")
    return pairs


def _heights(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse of a cell, and the distances ``(3,)`` between its faces."""
    inverse = np.linalg.inv(cell)
    return inverse, 1.0 / np.sqrt((inverse * inverse).sum(0))
