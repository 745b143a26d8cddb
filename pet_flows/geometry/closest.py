"""Atoms on top of each other: the one search for them, without PyTorch (which vesin brings)."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from ase.geometry import minkowski_reduce
from scipy.spatial import cKDTree

from pet_flows.geometry.boxes import completed
from pet_flows.geometry.faces import faces_of

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
    faces = faces_of(box)
    own: Pair | None = None
    # of cells this high no shorter lattice vector nor second image can be within
    images = None
    if min(np.array(faces.heights)[periodic], default=np.inf) <= 2 * within:
        if periodic.sum() > 1:
            box[periodic] = minkowski_reduce(box, pbc=periodic)[0][periodic]
            faces = faces_of(box)
        images = _AROUND[~_AROUND[:, ~periodic].any(1)]
        shortest = float(np.linalg.norm(box[periodic], axis=1).min())
        if shortest < within:
            own = Pair(0, 0, shortest)
    if len(positions) == 1:
        return own
    scaled = positions @ faces.inverse
    one, other = _every_pair(len(scaled)) if len(scaled) <= FEW else _near(
        scaled, periodic, np.array(faces.heights), within
    )  # fmt: skip
    if not len(one):
        return own
    offsets = scaled.take(one, 0) - scaled.take(other, 0)
    offsets -= np.rint(offsets) * periodic
    if images is None:
        vectors = offsets @ box
        squares = (vectors * vectors).sum(1)
    else:
        vectors = (offsets[:, None] + images) @ box
        squares = (vectors * vectors).sum(2).min(1)
    nearest = int(squares.argmin())
    first, second = sorted((int(one[nearest]), int(other[nearest])))
    found = Pair(first, second, float(np.sqrt(squares[nearest])))
    best = found if own is None or found.distance < own.distance else own
    return best if best.distance < within else None


@lru_cache(maxsize=FEW + 1)
def _every_pair(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Both ``(n (n - 1) / 2,)`` int."""
    return np.triu_indices(n, 1)


def _near(
    scaled: np.ndarray, periodic: np.ndarray, heights: np.ndarray, within: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both ``(p,)`` int of pairs, among them all that may be nearer to each other than that."""
    inside = scaled - np.floor(scaled) * periodic
    inside[:, periodic] = np.where(inside[:, periodic] >= 1.0, 0.0, inside[:, periodic])
    # along the normals of the cell's faces two atoms are no farther apart than they are
    tree = cKDTree(inside * heights, boxsize=np.where(periodic, heights, 0.0))
    pairs: np.ndarray = tree.query_pairs(within, p=np.inf, output_type="ndarray")
    return pairs[:, 0], pairs[:, 1]
