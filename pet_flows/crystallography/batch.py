"""Operations of many structures side by side, so that a batch takes as many steps as one.

Rows are what an operation does to an atom of the primitive cell: of every structure, of every one
of its operations, of every atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pet_flows.crystallography.means import Means
from pet_flows.crystallography.primitive import Primitive
from pet_flows.geometry.ragged import (
    largest_by,
    owners_of,
    row_products,
    side_by_side,
    starts_of,
    sum_by,
)


class Symmetric(Protocol):
    """What is needed of a structure's symmetry."""

    @property
    def primitive(self) -> Primitive:
        """How its cell is built."""
        ...

    @property
    def permutations(self) -> np.ndarray:
        """``(m, n)`` int, of the atoms of the primitive cell."""
        ...


class SymmetryBatch:
    """Symmetries of S structures of N atoms together, E of them in the primitive cells (sites).

    Attributes
    ----------
    n_atoms, n_sites, n_operations
        ``(S,)`` int.
    bases
        ``(S, 3, 3)``, of the primitive cells.
    atoms, image
        ``(E,)`` int, which atom each site is; ``(N,)`` int, which site each atom repeats.
    of_atom, of_site, of_operation
        ``(N,)``, ``(E,)``, ``(M,)`` int, whose they are.
    operation, site, target
        ``(R,)`` int, of the rows: which operation takes which site to which.
    """

    def __init__(self, members: Sequence[Symmetric]):
        primitives = [member.primitive for member in members]
        self.n_atoms = np.array([len(p.image) for p in primitives])
        self.n_sites = np.array([len(p.atoms) for p in primitives])
        self.n_operations = np.array([len(member.permutations) for member in members])
        self.bases = np.stack([p.basis for p in primitives])
        self.of_atom, self.of_site = owners_of(self.n_atoms), owners_of(self.n_sites)
        self.of_operation = owners_of(self.n_operations)
        first_site = starts_of(self.n_sites)
        self.atoms = side_by_side([p.atoms for p in primitives], starts_of(self.n_atoms))
        self.image = side_by_side([p.image for p in primitives], first_site)
        n_rows = self.n_operations * self.n_sites
        owner = owners_of(n_rows)
        place = np.arange(len(owner)) - starts_of(n_rows)[owner]
        n = self.n_sites[owner]
        self.operation = starts_of(self.n_operations)[owner] + place // n
        self.site = first_site[owner] + place % n
        self.target = side_by_side([m.permutations.ravel() for m in members], first_site)

    def __len__(self) -> int:
        return len(self.n_atoms)

    @property
    def of_row(self) -> np.ndarray:
        """``(R,)`` int, whose each row is."""
        return self.of_operation[self.operation]

    def over_copies(self, values: np.ndarray) -> np.ndarray:
        """Mean of values ``(N, ...)`` over the atoms that repeat the same site, ``(E, ...)``."""
        if len(self.atoms) == len(self.image):
            return values[self.atoms]
        share = (self.n_sites / self.n_atoms)[self.of_site]
        summed = sum_by(self.image, values, len(self.atoms))
        return summed * share.reshape(-1, *(1,) * (values.ndim - 1))

    def moved(self, values: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        """Vectors ``(E, 3)`` of the sites under operations ``(M, 3, 3)``, by row."""
        return row_products(values.take(self.site, 0), matrices.take(self.operation, 0))

    def means(self, matrices: np.ndarray) -> Means:
        """Means over the operations, whose matrices are ``(M, 3, 3)``."""
        return Means(self.n_operations, self.operation, self.site, self.target, matrices)

    def residual(
        self, positions: np.ndarray, cells: np.ndarray, matrices: np.ndarray
    ) -> np.ndarray:
        """``(S,)`` Å, by how far each structure misses its symmetry, translations included.

        Parameters
        ----------
        positions, cells
            ``(N, 3)`` and ``(S, 3, 3)`` Å.
        matrices
            ``(M, 3, 3)`` orthogonal, of the operations, whose translations are those of the first
            atoms.
        """
        lattices = self.bases @ cells
        inverses = np.linalg.inv(lattices)
        missed = np.zeros(len(self))
        if len(self.atoms) < len(self.image):
            off = positions - positions[self.atoms][self.image]
            distances = _off_lattice(off, lattices, inverses, self.of_atom)
            missed = largest_by(self.n_atoms, distances)
        of = self.of_operation
        integers = lattices[of] @ matrices @ inverses[of]
        off_cells = np.abs((integers - np.rint(integers)) @ lattices[of]).max((1, 2))
        missed = np.maximum(missed, largest_by(self.n_operations, off_cells))
        own = positions[self.atoms]
        off = self.moved(own, matrices) - own.take(self.target, 0)
        first = starts_of(self.n_sites[of])  # the row of each operation's first site
        off -= off.take(first, 0).take(self.operation, 0)
        distances = _off_lattice(off, lattices, inverses, self.of_row)
        return np.maximum(missed, largest_by(self.n_operations * self.n_sites, distances))


def _off_lattice(
    vectors: np.ndarray, lattices: np.ndarray, inverses: np.ndarray, of: np.ndarray
) -> np.ndarray:
    """``(R,)`` Å, length of vectors up to lattice vectors of the structures whose they are."""
    fractional = row_products(vectors, inverses.take(of, 0))
    fractional -= np.rint(fractional)
    rest = row_products(fractional, lattices.take(of, 0))
    return np.sqrt(np.einsum("ra,ra->r", rest, rest))
