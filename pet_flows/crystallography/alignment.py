"""Two calculations of one crystal: which vectors and which atoms correspond to which.

Cells of one crystal differ in their setting, their orientation and their origin. Of all settings
of the one, that is taken which lies on the other with the least strain and the smallest distances
of the atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from pet_flows.crystallography.lattice import mappings, reduced
from pet_flows.crystallography.primitive import find_primitive
from pet_flows.crystallography.sites import EXACT, Sites
from pet_flows.crystallography.spacegroups import space_groups

#: Å; calculated structures are exact far beyond, printed ones often rounded to 1e-3
SAME_PLACE = 0.01
#: largest strain, the volume aside, between two calculations of one crystal
STRAINED = 0.2
#: distance of two atoms that correspond, over the cube root of the volume per atom
APART = 0.5
#: the same: where atoms are this near, no other setting is better
EXACTLY = 1e-4
#: atoms that are looked at first
SOME = 12


@dataclass(frozen=True, eq=False)
class PrimitiveCell:
    """A crystal as its primitive cell, neither rotated nor shifted.

    Attributes
    ----------
    numbers, cell, positions
        ``(n,)``; ``(3, 3)`` and ``(n, 3)`` in Å.
    atoms
        ``(n,)`` int, which atoms of the structure these are.
    """

    numbers: np.ndarray
    cell: np.ndarray
    positions: np.ndarray
    atoms: np.ndarray

    @classmethod
    def of(cls, structure: Structure, tolerance: float = SAME_PLACE) -> PrimitiveCell:
        """Cut out of an ordered structure with three periodic axes."""
        numbers, cell = np.array(structure.atomic_numbers), np.array(structure.lattice.matrix)
        positions = np.array(structure.cart_coords)
        found = find_primitive(numbers, cell, positions, max(tolerance, EXACT))
        return cls(numbers[found.atoms], found.basis @ cell, positions[found.atoms], found.atoms)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def fractional(self) -> np.ndarray:
        """``(n, 3)``."""
        return self.positions @ np.linalg.inv(self.cell)

    @property
    def volume_per_atom(self) -> float:
        """Å³."""
        return float(abs(np.linalg.det(self.cell))) / len(self)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How one primitive cell lies on another.

    Attributes
    ----------
    basis
        ``(3, 3)`` int of determinant ±1: ``basis @ cell`` corresponds to the cell of the other.
    atoms
        ``(n,)`` int, the atom that corresponds to each of the other.
    strain
        Largest, the ratio of the volumes aside.
    distance
        Å, root mean square over the atoms, in the cell of the other and with one common shift.
    """

    basis: np.ndarray
    atoms: np.ndarray
    strain: float
    distance: float

    def rotation(self, cell: np.ndarray, onto: np.ndarray) -> np.ndarray:
        """``(3, 3)`` orthogonal Q: a vector v of the one is ``v @ Q`` beside the other's.

        The polar part of what takes ``basis @ cell`` to ``onto``.
        """
        u, _, vt = np.linalg.svd(np.linalg.inv(self.basis @ cell) @ onto)
        return np.asarray(u @ vt)


def align(one: PrimitiveCell, onto: PrimitiveCell) -> Alignment | None:
    """Lay a primitive cell onto another of the same crystal; None where they are of two.

    Mirror images are the same crystal here.
    """
    if sorted(one.numbers) != sorted(onto.numbers):
        return None
    size = onto.volume_per_atom ** (1 / 3)
    scale = size / one.volume_per_atom ** (1 / 3)
    short, short_onto = reduced(scale * one.cell), reduced(onto.cell)
    maps, strains = mappings(short, short_onto, STRAINED)
    change = np.rint(short @ np.linalg.inv(scale * one.cell))
    change_onto = np.rint(np.linalg.inv(short_onto @ np.linalg.inv(onto.cell)))
    sites = Sites(onto.numbers, onto.cell, onto.positions)
    symbols, counts = np.unique(onto.numbers, return_counts=True)
    rarest = symbols[counts.argmin()]
    anchor = np.nonzero(onto.numbers == rarest)[0][0]
    order = np.argsort(one.numbers, kind="stable")
    best: tuple[float, Alignment] | None = None
    for mapping, strain in zip(maps, strains, strict=True):
        if best is not None and (strain > best[0] or best[1].distance < EXACTLY * size):
            break
        basis = np.rint(change_onto @ mapping @ change).astype(int)
        fractional = (one.fractional @ np.linalg.inv(basis))[order]
        shifts = sites.fractional[anchor] - fractional[one.numbers[order] == rarest]
        for atoms, distance in _placed(sites, one.numbers[order], fractional, shifts, APART * size):
            cost = float(strain) + distance / size
            if best is None or cost < best[0]:
                found = np.empty(len(one), dtype=int)
                found[atoms] = order
                best = cost, Alignment(basis, found, float(strain), distance)
    return None if best is None else best[1]


def _placed(
    sites: Sites, numbers: np.ndarray, fractional: np.ndarray, shifts: np.ndarray, most: float
) -> list[tuple[np.ndarray, float]]:
    """Atoms nearest to shifted places, and rms distances in Å, where each atom is met once."""
    like = np.argsort(sites.numbers, kind="stable")
    assert (sites.numbers[like] == numbers).all()
    places = fractional + shifts[:, None]
    # some atoms exclude nearly all shifts of a large cell, at a fraction of the price
    some = np.arange(0, len(like), max(1, len(like) // SOME))
    near = (sites.nearest(places[:, some], like[some])[1] <= 2 * most).all(1)
    index, _ = sites.nearest(places[near], like)
    found = []
    for row in index:
        if len(np.unique(row)) < len(row):
            continue
        offset = fractional - sites.fractional[row]
        # whole cells aside, the common shift is a mean on a circle
        offset -= np.angle(np.exp(2j * np.pi * offset).mean(0)) / (2 * np.pi)
        offset -= np.rint(offset)
        apart = np.linalg.norm(offset @ sites.cell, axis=1)
        if apart.max() <= most:
            found.append((row, float(np.sqrt((apart**2).mean()))))
    return found


def group_and_order(structure: Structure, tolerance: float) -> tuple[int, int, int] | None:
    """Space group, how many operations its point group has, and atoms of its primitive cell.

    Parameters
    ----------
    structure
        Ordered, with three periodic axes.
    tolerance
        Å.

    Returns
    -------
    tuple or None
        None where no symmetry is found.
    """
    cell = PrimitiveCell.of(structure, tolerance)
    (found,) = space_groups(cell.cell, cell.fractional, cell.numbers, tolerance)
    if found is None:
        return None
    return found.number, len(found.rotations), len(cell)
