"""How vesin cuts space into boxes to search for neighbours, and what it cannot cut.

vesin lays boxes of at least the cutoff over the cell. When there are more than :data:`MOST`, it
makes fewer of the same proportions, each number rounded down: with none left along an axis it
divides by zero, and the process is gone. Along an open axis every box is compared with all
others, which has no end for atoms far apart.
"""

from __future__ import annotations

import numpy as np

from pet_flows.errors import StructureError

#: boxes that vesin (0.6) makes; and what is taken for as many, because cells change on the way
MOST, ALMOST = 1e5, 0.8e5
#: boxes that must be left along an axis for rounding down, three times over, to leave one
ENOUGH = 4
#: comparisons of boxes, some 5 ns each where they are empty
MOST_COMPARED = 2e9
#: Å; models have longer cutoffs, and searches for the nearest atoms go as far as this
SHORTEST = 3.5
#: Å; atoms farther from the origin do not have their last digits, and vesin counts cells in int32
FARTHEST = 1e8


def refuse_unsearchable(
    cell: np.ndarray, pbc: np.ndarray, positions: np.ndarray, cutoff: float = SHORTEST
) -> None:
    """Refuse what vesin dies of or never comes back from.

    Parameters
    ----------
    cell, pbc
        ``(3, 3)`` Å, rows, as vesin will have it, not skewed; ``(3,)`` bool. Rows of open axes
        do not count.
    positions
        ``(N, 3)`` Å.
    cutoff
        Å; what passes at one cutoff passes at all longer ones.

    Raises
    ------
    StructureError
        ``not_searchable``.
    """
    pbc = np.asarray(pbc, dtype=bool)
    if np.abs(positions).max() > FARTHEST:
        raise StructureError(
            "not_searchable",
            f"An atom is {np.abs(positions).max():.1e} Å from the origin; check the positions and "
            "their units.",
        )
    sizes = extents(cell, pbc, positions)
    counts = np.maximum(1.0, np.trunc(sizes / cutoff))
    total = counts.prod()
    left = counts * min(1.0, (MOST / total) ** (1 / 3))
    span = np.ceil(np.maximum(1.0, cutoff * left / sizes))
    if pbc.any():
        span = np.where(pbc, span, np.maximum(span, left - 1))
    compared = (left * (2 * span + 1)).prod()
    if (total > ALMOST and left.min() < ENOUGH) or compared > MOST_COMPARED:
        lengths = " × ".join(f"{size:.3g}" for size in sizes)
        what = "its atoms are spread over" if not pbc.any() else "the structure measures"
        raise StructureError(
            "not_searchable",
            f"Neighbours cannot be searched for: {what} {lengths} Å, too long for its width; check "
            "cell, positions and their units, or take out vacuum.",
        )


def extents(cell: np.ndarray, pbc: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """What is cut into boxes, (3,) Å: heights of the cell, of open axes the extent of the atoms."""
    # vesin takes the Cartesian axis of the same number for an open one
    sizes = np.maximum(1.0, 1.01 * np.ptp(positions, axis=0))
    if pbc.any():
        sizes[pbc] = 1.0 / np.linalg.norm(np.linalg.pinv(cell[pbc]), axis=0)
    return sizes


def completed(cell: np.ndarray, periodic: np.ndarray) -> np.ndarray:
    """Cell ``(3, 3)`` with unit normals in place of its open axes, so that it has a volume."""
    if periodic.all():
        return cell
    box = np.array(cell, dtype=float)
    normals = np.linalg.svd(box[periodic])[2] if periodic.any() else np.eye(3)
    box[~periodic] = normals[periodic.sum() :]
    return box
