"""What the International Tables say: conventional cells, point groups, symbols; spglib has them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib

from pet_flows.crystallography.spacegroups import dataset, is_sound


@dataclass(frozen=True)
class StandardCell:
    """The conventional cell of a crystal, in the standard setting of its space group.

    Attributes
    ----------
    number, international
        Of the space group.
    basis
        ``(3, 3)``, the conventional cell is ``basis @ cell``, neither rotated nor strained: its
        lengths and angles are those of the crystal as it is.
    """

    number: int
    international: str
    basis: np.ndarray


def standard_cell(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> StandardCell | None:
    """Conventional cell of a structure; None where no symmetry is found or it is impossible.

    Parameters
    ----------
    lattice, fractional, numbers
        ``(3, 3)`` Å, rows; ``(N, 3)``; ``(N,)``.
    tolerance
        Å.
    """
    if not is_sound(lattice, fractional):
        return None
    found = dataset(lattice, fractional, numbers, tolerance)
    if found is None:
        return None
    # spglib: (a, b, c) = (a_std, b_std, c_std) P with vectors as columns
    basis = np.linalg.inv(found.transformation_matrix).T
    return StandardCell(int(found.number), str(found.international), basis)


def point_group(rotations: np.ndarray) -> tuple[str, np.ndarray]:
    """Symbol of a point group and the basis in which the tables write it.

    Parameters
    ----------
    rotations
        ``(m, 3, 3)`` int W, rows, in the basis of any lattice.

    Returns
    -------
    tuple
        The international symbol, and ``(3, 3)`` B, rows: the operations are ``B W B⁻¹`` there.
    """
    found = spglib.get_pointgroup(np.ascontiguousarray(rotations.transpose(0, 2, 1)))
    assert found is not None
    return str(found[0]).strip(), np.array(found[2], dtype=float).T


def full_symbols() -> dict[str, str]:
    """Hall symbol → full international one (``P 2_1/n 2_1/m 2_1/a``) of the 530 settings."""
    kinds: list[Any] = [spglib.get_spacegroup_type(number) for number in range(1, 531)]
    return {str(kind.hall_symbol): str(kind.international_full) for kind in kinds}


def number_of_operations(
    rotations: np.ndarray, translations: np.ndarray, cell: np.ndarray
) -> int | None:
    """Find which of the 230 space groups a complete list of operations is.

    Parameters
    ----------
    rotations, translations
        ``(n, 3, 3)`` integers and ``(n, 3)``, for fractional positions.
    cell
        Vectors (3, 3) in Å, one in a row.

    Returns
    -------
    Number in the International Tables, of the hand that it has; None where spglib finds none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces its future on every call
        try:
            found: Any = spglib.get_spacegroup_type_from_symmetry(
                np.rint(rotations).astype("intc"), translations, lattice=cell, symprec=1e-2
            )
        except Exception:  # spglib raises different types in different releases
            return None
    return None if found is None else int(found.number)
