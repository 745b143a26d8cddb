"""What no potential can evaluate: cells without a volume, atoms on top of each other."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pet_flows.errors import StructureError
from pet_flows.geometry.closest import closest_pair
from pet_flows.geometry.faces import lengths_of, volume_of

#: Å; longer lattice vectors are no crystal's
LONGEST = 1e5
#: Å³, Å² or Å along the periodic axes, and as a part of the product of the vectors' lengths
LEAST_CONTENT, LEAST_SHARE = 1e-3, 1e-9
#: Å³; a periodic cell with less volume than this for each atom is not a crystal
LEAST_VOLUME = 1.0


def refuse_flat(cell: np.ndarray, pbc: Sequence[bool] | np.ndarray) -> None:
    """Refuse a cell whose periodic axes are not independent, or too long for any crystal.

    Parameters
    ----------
    cell, pbc
        ``(3, 3)`` Å, rows, finite; ``(3,)`` bool.

    Raises
    ------
    StructureError
        ``degenerate_cell``.
    """
    if np.abs(cell).max() > LONGEST:
        raise StructureError(
            "degenerate_cell",
            f"A lattice vector is longer than {LONGEST:.0e} Å; check the cell and its units.",
        )
    periodic = np.asarray(pbc, dtype=bool)
    if not periodic.any():
        return
    content = content_of(cell, periodic)
    whole = lengths_of(np.asarray(cell, dtype=float))
    lengths = prod(
        length for length, is_periodic in zip(whole, periodic, strict=True) if is_periodic
    )
    if content < LEAST_CONTENT or content <= LEAST_SHARE * lengths:
        raise StructureError(
            "degenerate_cell",
            f"The lattice vectors along periodic axes enclose {content:.3g} Å^{periodic.sum()}; "
            "check the cell and its units: they have to be independent.",
        )


def refuse_crowded(
    symbols: Sequence[str],
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: Sequence[bool] | np.ndarray,
) -> None:
    """Refuse atoms that have no space.

    Parameters
    ----------
    symbols, positions
        Of ``N`` atoms; ``(N, 3)`` Å.
    cell, pbc
        As for :func:`refuse_flat`, which they have passed.

    Raises
    ------
    StructureError
        ``degenerate_cell`` or ``overlapping_atoms``.
    """
    periodic = np.asarray(pbc, dtype=bool)
    pair = closest_pair(positions, cell, periodic)
    if pair is not None and pair.first == pair.second:
        raise StructureError(
            "overlapping_atoms",
            f"The cell repeats every {pair.distance:.3f} Å, so that an atom lies on its own image; "
            "check the cell and its units.",
        )
    if pair is not None:
        i, j, distance = pair
        raise StructureError(
            "overlapping_atoms",
            f"Two atoms lie on top of each other: {symbols[i]} (atom {i}) and {symbols[j]} (atom "
            f"{j}) are {distance:.3f} Å apart; remove one of the two, or correct the cell.",
        )
    if not periodic.all():
        return
    volume = content_of(cell, periodic)
    if volume / len(positions) < LEAST_VOLUME:
        raise StructureError(
            "degenerate_cell",
            f"The cell has {volume:.3g} Å³ for {len(positions)} atoms; check it and its units.",
        )


def content_of(cell: np.ndarray, periodic: np.ndarray) -> float:
    """Volume, area or length that the periodic axes enclose, in Å to their number."""
    if periodic.all():
        return abs(volume_of(np.asarray(cell, dtype=float)))
    return float(np.linalg.svd(np.asarray(cell, dtype=float)[periodic], compute_uv=False).prod())
