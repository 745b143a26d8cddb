"""The space group of a structure at a tolerance: spglib's word, asked only where it matters.

spglib needs 10 to 40 ms to match a cubic space group, moyopy a tenth of that. The two differ
where a symmetry is broken by about the tolerance, and near ties of lattices without right angles.
So moyopy is asked on both sides of the tolerances; a structure on which it says twice the same
has nothing there on which spglib could decide otherwise, and spglib is asked about the rest.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import Any

import moyopy
import numpy as np
import spglib

#: how far beside the given tolerances nothing may change
BESIDE = (0.1, 3.0)
#: triclinic and monoclinic lattices can come near a tie that the two see differently
FIRST_ORTHORHOMBIC = 16

# it reports each supercell, whose number of operations is not asked for here
logging.getLogger("moyo").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Found:
    """A space group and its operations, ``f' = R f + t`` for columns of fractional coordinates."""

    number: int
    international: str
    rotations: np.ndarray
    """(m, 3, 3) int"""
    translations: np.ndarray
    """(m, 3)"""


def space_groups(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, *tolerances: float
) -> list[Found | None]:
    """Space group at each tolerance, None where none is found.

    Parameters
    ----------
    lattice, fractional, numbers
        ``(3, 3)`` Å, rows; ``(N, 3)``; ``(N,)``. Operations are of this cell: those that its shape
        does not have (a 2×1×1 supercell of a cubic crystal) are left out.
    tolerances
        Å.
    """
    plain = _plain(lattice, fractional, numbers, min(tolerances), max(tolerances))
    if plain is not None:
        return [plain] * len(tolerances)
    return [_spglib(lattice, fractional, numbers, tolerance) for tolerance in tolerances]


def _plain(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, least: float, most: float
) -> Found | None:
    """Space group of a structure that has the same one on both sides of all tolerances."""
    cell = moyopy.Cell(lattice.tolist(), fractional.tolist(), np.asarray(numbers).tolist())
    found = []
    for tolerance in (BESIDE[0] * least, BESIDE[1] * most):
        try:
            found.append(moyopy.MoyoDataset(cell, symprec=tolerance))
        except ValueError:
            return None
        if found[-1].number < FIRST_ORTHORHOMBIC:
            return None
    exact, loose = found
    if exact.number != loose.number or len(exact.operations) != len(loose.operations):
        return None
    kind: Any = spglib.get_spacegroup_type(exact.hall_number)
    return Found(
        int(exact.number),
        str(kind.international_short),
        np.array(exact.operations.rotations, dtype=int),
        np.array(exact.operations.translations, dtype=float),
    )


def _spglib(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> Found | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces its future on every call
        try:
            cell: Any = (lattice, fractional, numbers)
            found = spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except Exception:  # spglib raises different types in different releases
            return None
    if found is None:
        return None
    return Found(
        int(found.number), str(found.international),
        np.asarray(found.rotations, dtype=int), np.asarray(found.translations),
    )  # fmt: skip
