"""The space group of one structure: find it, make it exact, and keep a geometry and forces in it.

The one type of a space group: relaxations, elastic tensors, phonons and audits all use it.

Operations are sought on the primitive cell, whatever supercell they are used on, and origin, cell
setting and orientation are kept (:mod:`.projection`). Charges, oxidation states and magnetic
moments do not count: only what the potential sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.crystallography.lattice import multiply, table_of
from pet_flows.crystallography.primitive import Primitive, find_primitive
from pet_flows.crystallography.projection import Projection
from pet_flows.crystallography.sites import EXACT, Sites
from pet_flows.crystallography.spacegroups import off_lattice, space_groups
from pet_flows.errors import StructureError

#: Å, of :meth:`SpaceGroup.find`
SYMPREC = 1e-2


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """Space-group operations on the atoms of one structure, cell setting and origin as given.

    Attributes
    ----------
    number, international
        Of the space group.
    primitive
        How the cell is built from its primitive cell.
    rotations
        ``(m, 3, 3)`` int, W in the primitive basis for rows: ``f_i W + t = f_perm[i] + n``.
    permutations
        ``(m, n)`` int, of the atoms of the primitive cell.
    shifts
        ``(m, n, 3)``, ``n_i − n̄`` of :func:`_shifts`: lattice vectors that operations add,
        relative to the centroid.
    fractional
        ``(N, 3)`` snapped positions of all atoms in the primitive basis, against which later
        positions are unwrapped.
    """

    number: int
    international: str
    primitive: Primitive
    rotations: np.ndarray
    permutations: np.ndarray
    shifts: np.ndarray
    fractional: np.ndarray

    def __len__(self) -> int:
        return len(self.rotations)

    @classmethod
    def find(cls, atoms: Atoms, symprec: float = SYMPREC) -> SpaceGroup:
        """Space group of a structure, up to displacements of about ``symprec`` (Å).

        Operations found at a loose tolerance need not form a group; then a smaller one is tried.

        Raises
        ------
        StructureError
            ``symmetry_not_found``: not periodic in three directions, or atoms overlap.
        """
        cell = atoms.cell.array
        if not atoms.pbc.all() or abs(np.linalg.det(cell)) < 1e-9:
            raise StructureError(
                "symmetry_not_found",
                "A space group needs three independent periodic lattice vectors: check the cell, "
                "or give a crystal.",
            )
        for tolerance in (symprec, 0.3 * symprec, 0.1 * symprec, 0.01 * symprec, 1e-6):
            primitive = find_primitive(atoms.numbers, cell, atoms.positions, max(tolerance, EXACT))
            found = _group(atoms, primitive, tolerance)
            if found is not None:
                return found
        raise StructureError(
            "symmetry_not_found",
            "No space group fits this structure at any tolerance: check whether atoms overlap.",
        )

    @property
    def translations(self) -> np.ndarray:
        """``(m, 3)`` t in the primitive basis, ``f W + t`` for the origin of the structure."""
        centroid = self.fractional[self.primitive.atoms].mean(0)
        # of the first atom n_i is zero
        return centroid - centroid @ self.rotations - self.shifts[:, 0]

    @property
    def columns(self) -> tuple[np.ndarray, np.ndarray]:
        """``(m, 3, 3)`` R and ``(m, 3)`` t of ``f' = R f + t``, as phonopy and symfc write it."""
        return np.ascontiguousarray(self.rotations.transpose(0, 2, 1)), self.translations

    def subgroup(self, which: np.ndarray) -> SpaceGroup:
        """Some of the operations, ``(m,)`` bool or ``(k,)`` int, that are a group by themselves.

        Number and symbol remain those of the whole group.
        """
        return replace(
            self,
            rotations=self.rotations[which],
            permutations=self.permutations[which],
            shifts=self.shifts[which],
        )

    def in_cell(self, primitive: Primitive, fractional: np.ndarray) -> SpaceGroup:
        """The same of another cell of the crystal, exactly symmetric.

        Parameters
        ----------
        primitive
            How that cell is built from this primitive cell, its sites in the same order, whatever
            lattice vectors are between theirs and these.
        fractional
            ``(N, 3)``, positions of its atoms in the primitive basis.
        """
        shifts = _shifts(fractional[primitive.atoms], self.rotations, self.permutations)
        return replace(self, primitive=primitive, fractional=fractional, shifts=shifts)

    def orbits(self) -> np.ndarray:
        """``(k,)`` int, one atom of the primitive cell for each set that operations exchange."""
        return np.unique(self.permutations.min(0))

    @cached_property
    def projection(self) -> Projection:
        """What projects on this group alone."""
        return Projection([self])

    def operations(self, cell: np.ndarray) -> np.ndarray:
        """``(m, 3, 3)`` orthogonal Q for ``x → x Q`` in a cell ``(3, 3)`` of this symmetry."""
        return self.projection.operations(np.asarray(cell, dtype=float)[None])

    def project_cell(self, cell: np.ndarray) -> np.ndarray:
        """Nearest cell ``(3, 3)`` of this symmetry, without rotating it."""
        return self.projection.cells(np.asarray(cell, dtype=float)[None])[0]

    def symmetrize_forces(self, forces: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Average of forces ``(N, 3)`` eV/Å over all operations and translations."""
        return self.projection.forces(forces, np.asarray(cell, dtype=float)[None])

    def symmetrize_stress(self, stress: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Average of a stress ``(3, 3)`` over the point group."""
        cells = np.asarray(cell, dtype=float)[None]
        return self.projection.stresses(np.asarray(stress)[None], cells)[0]

    def placed(self, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cell ``(3, 3)`` and positions ``(N, 3)`` Å of what this was found of, made exact.

        Of the cell as it was; `Projection.positions` asks where the atoms are by now.
        """
        exact = self.project_cell(cell)
        return exact, self.fractional @ (self.primitive.basis @ exact)

    def residual(self, positions: np.ndarray, cell: np.ndarray) -> float:
        """By how far a structure ``(N, 3)``, ``(3, 3)`` misses this symmetry, at most, in Å.

        Measured by how far the cell is from one that the operations keep, and atoms from where
        they were made exact: nearer than that no operation need be looked at.
        """
        lattice = self.primitive.basis @ cell
        moved = positions @ np.linalg.inv(lattice) - self.fractional
        moved -= moved[:1]
        moved -= np.rint(moved)
        missed = moved @ lattice
        atoms = 2 * float(np.sqrt((missed * missed).sum(1).max()))
        return max(atoms, off_lattice(self.rotations.astype(float), lattice))

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "number": self.number,
            "international": self.international,
            "atoms": self.primitive.atoms.tolist(),
            "supercell": self.primitive.supercell.tolist(),
            "image": self.primitive.image.tolist(),
            "rotations": self.rotations.tolist(),
            "permutations": self.permutations.tolist(),
            "shifts": self.shifts.tolist(),
            "fractional": self.fractional.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SpaceGroup:
        """Inverse of :meth:`as_dict`.

        Raises
        ------
        StructureError
            ``symmetry_not_found``: the operations are no group, so that a mean over them would
            not have their symmetry.
        """
        basis = np.linalg.inv(np.array(data["supercell"], dtype=float))
        found = cls(
            data["number"],
            data["international"],
            Primitive(np.array(data["atoms"]), basis, np.array(data["image"])),
            *(np.array(data[k]) for k in ("rotations", "permutations", "shifts", "fractional")),
        )
        if not _is_group(found.rotations, found.permutations):
            raise StructureError(
                "symmetry_not_found",
                f"The {len(found)} operations given for space group {found.number} are not a "
                "group, because a product of two of them is missing or moves atoms elsewhere: "
                "compute the calculation that they come from again.",
            )
        return found


def _group(atoms: Atoms, primitive: Primitive, tolerance: float) -> SpaceGroup | None:
    """Space group on a primitive cell; None if what is found is not a group."""
    lattice = primitive.basis @ atoms.cell.array
    numbers = atoms.numbers[primitive.atoms]
    every = atoms.positions @ np.linalg.inv(lattice)
    reference = every[primitive.atoms]
    own = every
    if len(reference) < len(every):
        offset = np.rint(every - reference[primitive.image])
        mean = np.zeros_like(reference)
        np.add.at(mean, primitive.image, every - offset)
        own = mean * (len(reference) / len(every))
    (answer,) = space_groups(lattice, own, numbers, tolerance)
    if answer is None:
        return None
    rotations = answer.rotations
    if len({w.tobytes() for w in rotations}) < len(rotations):
        return None  # there is a smaller cell still: tolerances disagree, try another
    permutations = answer.permutations
    if permutations is None:
        sites = Sites(numbers, lattice, own @ lattice)
        places = own @ rotations + answer.translations[:, None, :]
        _, permutations = sites.match(places, 10 * tolerance + 1e-6)
    if not _is_group(rotations, permutations):
        return None
    shifts = _shifts(own, rotations, permutations)
    group = SpaceGroup(
        answer.number, answer.international, primitive,
        rotations, permutations, shifts, every,
    )  # fmt: skip
    snapped = group.projection.average(every)
    # a projection that is not the same twice was none; of operations that hold exactly it is one
    exactly = answer.permutations is not None
    if not exactly and np.abs(group.projection.average(snapped) - snapped).max() > 1e-9:
        return None
    exact = replace(group, fractional=snapped)
    exact.__dict__["projection"] = group.projection.around(snapped)
    return exact


def _is_group(rotations: np.ndarray, permutations: np.ndarray) -> bool:
    """Whether operations ``(m, 3, 3)`` int, ``(m, n)`` contain their products, atoms included."""
    if len(rotations) != len(permutations) or not len(rotations):
        return False
    # the products of this one and then each of the others: f_i W V + … = f_q(p(i))
    table = table_of(rotations)
    return bool(table.min() >= 0) and multiply(permutations, table)


def _shifts(own: np.ndarray, rotations: np.ndarray, permutations: np.ndarray) -> np.ndarray:
    """(m, n, 3): ``n_i − n̄`` of ``u_i W = u_perm(i) + (n_i − n̄)``, u relative to the centroid.

    Only differences between atoms are defined by positions relative to the centroid, so the
    integers are taken against the first atom of each operation.
    """
    centred = own - own.mean(0)
    offset = centred @ rotations - centred[permutations]
    integers = np.rint(offset - offset[:, :1])
    return integers - integers.mean(1, keepdims=True)
