"""Force constants of a crystal: supercell, displaced cells, least squares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, NacParams, get_dynamical_matrix
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import Primitive, get_primitive_matrix, get_supercell

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import StandardCell, standard_cell
from pet_flows.errors import StructureError
from pet_flows.properties.phonon.displacements import displacements
from pet_flows.properties.phonon.least_squares import solve
from pet_flows.properties.phonon.masses import masses
from pet_flows.properties.phonon.pairs import Pairs, Places
from pet_flows.properties.phonon.supercells import supercell_matrix

#: Å; the crystal has been made exact before
_EXACT = 1e-5


@dataclass(frozen=True)
class Harmonic:
    """A crystal with its supercell and the displacements that determine its force constants.

    Attributes
    ----------
    primitive
        Primitive cell.
    supercell
        ``matrix @ cell``, the copies of each atom of the primitive cell together.
    matrix
        ``(3, 3)`` int, rows: the transpose of phonopy's.
    shortest
        Å, shortest lattice vector of the supercell.
    group
        Of the primitive cell.
    standard
        Its conventional cell.
    moved
        ``(d,)`` int, displaced atoms of the supercell.
    vectors
        ``(d, 3)`` Å.
    cells
        phonopy's primitive cell and supercell, in which atoms are as in the two above.
    """

    primitive: Atoms
    supercell: Atoms
    matrix: np.ndarray
    shortest: float
    group: SpaceGroup
    standard: StandardCell
    moved: np.ndarray
    vectors: np.ndarray
    cells: tuple[Primitive, PhonopyAtoms]

    def dynamics(
        self, force_constants: np.ndarray, nac: NacParams | None = None
    ) -> DynamicalMatrix:
        """Phonopy's dynamical matrix of force constants ``(n, N, 3, 3)`` eV/Å²."""
        primitive, supercell = self.cells
        return get_dynamical_matrix(force_constants, supercell, primitive, nac)

    def displaced(self) -> list[np.ndarray]:
        """Positions ``(N, 3)`` of each displaced supercell."""
        cells = []
        for atom, vector in zip(self.moved, self.vectors, strict=True):
            positions = self.supercell.positions.copy()
            positions[atom] += vector
            cells.append(positions)
        return cells


def harmonic(primitive: Atoms, displacement: float, min_length: float, max_atoms: int) -> Harmonic:
    """Supercell and displacements of a primitive cell whose symmetry is exact.

    Parameters
    ----------
    primitive
        Three periodic axes.
    displacement, min_length
        Å.
    max_atoms
        Of the supercell.
    """
    primitive, standard = _standard(primitive)
    group = SpaceGroup.find(primitive, _EXACT)
    if len(group.primitive.atoms) < len(primitive):
        raise StructureError(
            "no_symmetry",
            f"Atoms of the primitive cell repeat within {_EXACT:g} Å, but not exactly; choose a "
            "larger symprec, so that they do.",
        )
    cell = primitive.cell.array
    matrix, shortest = supercell_matrix(
        cell, group.rotations, np.rint(standard.basis).astype(int), min_length,
        max(1, max_atoms // len(primitive)),
    )  # fmt: skip
    return _displaced(primitive, matrix, shortest, group, standard, displacement)


def strained(crystal: Harmonic, primitive: Atoms, displacement: float) -> Harmonic:
    """The same crystal at another volume: its operations and the same multiples of its vectors.

    Parameters
    ----------
    crystal
        Where supercell and space group were found.
    primitive
        ``crystal.primitive`` with another cell and positions of the same symmetry, atoms in the
        same order.
    displacement
        Å.
    """
    supercell = crystal.matrix @ primitive.cell.array
    shortest = float(np.linalg.norm(minkowski_reduce(supercell)[0], axis=1).min())
    return _displaced(
        primitive, crystal.matrix, shortest, crystal.group, crystal.standard, displacement
    )


def _displaced(
    primitive: Atoms,
    matrix: np.ndarray,
    shortest: float,
    group: SpaceGroup,
    standard: StandardCell,
    displacement: float,
) -> Harmonic:
    """Supercell and displacements of a crystal whose symmetry is known."""
    wanted = displacements(group, primitive.cell.array, displacement)
    # not by Phonopy, which would look for the symmetry of both
    repeated = get_supercell(phonopy_atoms(primitive), matrix.T)
    cut = _Cut(repeated, np.linalg.inv(matrix.T))
    copies = cut.p2s_map
    supercell = Atoms(
        numbers=repeated.numbers, positions=repeated.positions, cell=repeated.cell, pbc=True
    )
    return Harmonic(
        primitive=primitive,
        supercell=supercell,
        matrix=matrix,
        shortest=shortest,
        group=group,
        standard=standard,
        moved=np.array([copies[atom] for atom, _ in wanted]),
        vectors=np.array([vector for _, vector in wanted]),
        cells=(cut, repeated),
    )


class _Cut(Primitive):
    """phonopy's primitive cell of a supercell in which the copies of each atom stand together.

    phonopy looks for the atom that each translation takes each atom to among all positions, which
    takes longer than all the rest.
    """

    def _get_atomic_permutations(self, supercell: PhonopyAtoms) -> np.ndarray:
        matrix = np.rint(np.linalg.inv(self.primitive_matrix).T).astype(int)
        fractional = supercell.scaled_positions @ matrix
        cells = np.rint(fractional - fractional[self.s2p_map]).astype(int)
        copies = len(cells) // len(self.p2s_map)
        together = cells.reshape(-1, copies, 3)
        atoms = np.repeat(np.arange(len(together)), copies)
        return Places(matrix, together).find(atoms, cells + together[0][:, None])


def phonopy_atoms(atoms: Atoms) -> PhonopyAtoms:
    """A cell as phonopy takes it."""
    return PhonopyAtoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        masses=masses(atoms.numbers),
    )


def _standard(primitive: Atoms) -> tuple[Atoms, StandardCell]:
    """The primitive cell in the usual basis of its centring, right-handed, not rotated or shifted.

    Meshes and supercells are then the same from whatever cell one starts. With it the conventional
    cell in terms of it, whose basis is of whole numbers.
    """
    cell, scaled = primitive.cell.array, primitive.get_scaled_positions(wrap=False)
    found = standard_cell(cell, scaled, primitive.numbers, _EXACT)
    if found is None:
        raise StructureError(
            "no_symmetry", "No symmetry is found in this cell: check whether atoms overlap."
        )
    conventional = np.rint(found.basis)
    centring: Any = found.international[0]
    basis = np.rint(np.asarray(get_primitive_matrix(centring)).T @ conventional)
    if abs(abs(np.linalg.det(basis)) - 1.0) > 1e-6:
        return primitive, replace(found, basis=conventional)
    basis *= np.sign(np.linalg.det(basis @ cell))
    standard = primitive.copy()
    standard.set_cell(basis @ cell)
    return standard, replace(found, basis=np.rint(conventional @ np.linalg.inv(basis)))


def fit(crystal: Harmonic, forces: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Compact force constants, exact in the space group, permutation and acoustic sum rules.

    See :func:`.least_squares.solve`.

    Parameters
    ----------
    forces
        ``(d, N, 3)`` eV/Å, of the displaced supercells.
    residual
        ``(N, 3)`` eV/Å, of the supercell without displacements; subtracted.

    Returns
    -------
    ndarray
        ``(n, N, 3, 3)`` eV/Å², first index the primitive cell's atoms.
    """
    primitive, n = crystal.primitive, len(crystal.primitive)
    copies = len(crystal.supercell) // n
    apart = crystal.supercell.positions - np.repeat(primitive.positions, copies, 0)
    cells = np.rint(apart @ np.linalg.inv(primitive.cell.array)).astype(int)
    pairs = Pairs.of(
        crystal.group, primitive.cell.array, crystal.matrix, cells.reshape(n, copies, 3)
    )
    independent = crystal.group.orbits()
    return solve(pairs, independent, crystal.moved // copies, crystal.vectors, forces - residual)
