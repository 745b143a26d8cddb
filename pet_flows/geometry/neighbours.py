"""The one search for neighbours: any cell, however skewed, long or open."""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import numpy as np
import vesin
from ase.geometry import minkowski_reduce

from pet_flows.errors import StructureError
from pet_flows.geometry.boxes import FARTHEST, SHORTEST, completed, refuse_unsearchable
from pet_flows.geometry.faces import faces_of, lengths_of

#: Å; a cell and atoms within this are always searchable
ROOMY = 100.0
#: least height over length of a lattice vector that counts as not skewed
UPRIGHT = 0.3


class Neighbours(NamedTuple):
    """Pairs of atoms nearer to each other than a cutoff."""

    first: np.ndarray
    """``(p,)`` int"""
    second: np.ndarray
    """``(p,)`` int"""
    shifts: np.ndarray
    """``(p, 3)`` int, cells that the second atom is moved by"""
    lengths: np.ndarray
    """``(p,)`` Å"""


def find_neighbours(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, full: bool = True
) -> Neighbours:
    """Pairs of atoms within a cutoff, periodic images included.

    Parameters
    ----------
    positions
        ``(N, 3)`` Å, wrapped or not.
    cell, pbc
        ``(3, 3)`` Å, rows, of which those of open axes do not count; ``(3,)`` bool.
    cutoff
        Å, at least 1.
    full
        Whether each pair is given in both directions.

    Raises
    ------
    StructureError
        ``not_searchable``: atoms or cell are too long for their width; ``degenerate_cell``;
        ``not_finite``; ``empty``.
    """
    periodic = np.asarray(pbc, dtype=bool)
    points, outside, box, change = _placed(positions, cell, periodic, cutoff)
    if periodic.any():  # vesin makes its own box around molecules
        box = completed(box, periodic)
    search = vesin.NeighborList(cutoff=cutoff, full_list=full)
    i, j, shifts, lengths = search.compute(
        points=points, box=box, periodic=periodic, quantities="ijSd"
    )
    i, j, shifts = (np.asarray(column, dtype=np.int64) for column in (i, j, shifts))
    if outside is not None:
        shifts = shifts + (outside[i] - outside[j]).astype(np.int64)
    return Neighbours(i, j, shifts if change is None else shifts @ change, np.asarray(lengths))


def check_searchable(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> None:
    """Refuse a structure whose neighbours no model can search for.

    Parameters
    ----------
    positions, cell, pbc
        As for :func:`find_neighbours`.

    Raises
    ------
    StructureError
        As :func:`find_neighbours`.
    """
    _placed(positions, cell, np.asarray(pbc, dtype=bool), SHORTEST)


def _placed(
    positions: np.ndarray, cell: np.ndarray, periodic: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Atoms in a box that vesin can search.

    Returns
    -------
    points, outside, box, change
        Positions ``(N, 3)`` Å and the cells ``(N, 3)`` that they were moved by, if any; the box
        ``(3, 3)`` and what gives it from the cell, if it is another (see :func:`_compact`).
    """
    points = np.ascontiguousarray(positions, dtype=np.float64)
    if not len(points):
        raise StructureError("empty", "The structure has no atoms: check what was given.")
    given = np.asarray(cell, dtype=np.float64)
    if not (np.isfinite(points).all() and np.isfinite(given[periodic]).all()):
        raise StructureError(
            "not_finite", "A position or a lattice vector is not finite: correct the structure."
        )
    box, change = _compact(given, periodic)
    outside = None
    if not max(np.abs(box).max(), np.abs(points).max()) < ROOMY:
        if periodic.any() and np.abs(points).max() < FARTHEST:
            outside = np.floor(points @ np.linalg.pinv(box[periodic])) @ np.eye(3)[periodic]
            points = points - outside @ box
        refuse_unsearchable(box, periodic, points, cutoff)
    return points, outside, box, change


def _compact(cell: np.ndarray, periodic: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Box of the same lattice that is not skewed, and its vectors in those of ``cell``, if new.

    vesin takes very long over skewed ones, and dies of those whose vectors are not independent.
    """
    if periodic.all():
        with suppress(ZeroDivisionError):  # of what has no volume, up to round-off
            heights = faces_of(cell).heights
            if all(h > UPRIGHT * n for h, n in zip(heights, lengths_of(cell), strict=True)):
                return np.ascontiguousarray(cell).copy(), None
    if periodic.any() and np.linalg.matrix_rank(cell[periodic]) < periodic.sum():
        raise StructureError(
            "degenerate_cell",
            "The lattice vectors along periodic axes are not independent; check the cell.",
        )
    axes = np.where(periodic[:, None], cell, 0.0)
    if periodic.sum() < 2:
        return axes, None
    box, change = minkowski_reduce(axes, pbc=periodic)
    return np.ascontiguousarray(box), np.rint(change).astype(np.int64)
