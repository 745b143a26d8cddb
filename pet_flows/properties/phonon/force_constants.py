"""Force constants of a crystal: supercell, displaced cells, symfc's projection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive_matrix
from symfc import Symfc
from symfc.utils.utils import SymfcAtoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import standard_cell
from pet_flows.errors import StructureError
from pet_flows.properties.phonon.displacements import displacements
from pet_flows.properties.phonon.supercells import supercell_matrix

#: Å; the crystal has been made exact before
_EXACT = 1e-5
#: largest difference of two orthogonal matrices that are one operation
_SAME = 1e-10


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
    moved
        ``(d,)`` int, displaced atoms of the supercell.
    vectors
        ``(d, 3)`` Å.
    phonopy
        With everything but the force constants.
    bases
        Of the force constants, the last that symfc made, with the Cartesian operations it belongs
        to; filled by :func:`fit`. The same crystal at other volumes shares it.
    """

    primitive: Atoms
    supercell: Atoms
    matrix: np.ndarray
    shortest: float
    group: SpaceGroup
    moved: np.ndarray
    vectors: np.ndarray
    phonopy: Phonopy
    bases: list[tuple[np.ndarray, Any]] = field(default_factory=list)

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
    primitive, conventional = _standard(primitive)
    group = SpaceGroup.find(primitive, _EXACT)
    if len(group.primitive.atoms) < len(primitive):
        raise StructureError(
            "no_symmetry",
            f"Atoms of the primitive cell repeat within {_EXACT:g} Å, but not exactly; choose a "
            "larger symprec, so that they do.",
        )
    cell = primitive.cell.array
    matrix, shortest = supercell_matrix(
        cell, group.rotations, conventional, min_length, max(1, max_atoms // len(primitive))
    )
    return _displaced(primitive, matrix, shortest, group, displacement)


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
    other = _displaced(primitive, crystal.matrix, shortest, crystal.group, displacement)
    return replace(other, bases=crystal.bases)


def _displaced(
    primitive: Atoms,
    matrix: np.ndarray,
    shortest: float,
    group: SpaceGroup,
    displacement: float,
) -> Harmonic:
    """Supercell and displacements of a crystal whose symmetry is known."""
    wanted = displacements(group, primitive.cell.array, displacement)
    phonopy = Phonopy(
        PhonopyAtoms(
            numbers=primitive.numbers,
            cell=primitive.cell.array,
            scaled_positions=primitive.get_scaled_positions(wrap=False),
        ),
        supercell_matrix=matrix.T,
        primitive_matrix="P",
        is_symmetry=False,  # ours is passed where it is needed; finding it again takes 0.3 s
    )
    copies = phonopy.primitive.p2s_map
    supercell = Atoms(
        numbers=phonopy.supercell.numbers,
        positions=phonopy.supercell.positions,
        cell=phonopy.supercell.cell,
        pbc=True,
    )
    return Harmonic(
        primitive=primitive,
        supercell=supercell,
        matrix=matrix,
        shortest=shortest,
        group=group,
        moved=np.array([copies[atom] for atom, _ in wanted]),
        vectors=np.array([vector for _, vector in wanted]),
        phonopy=phonopy,
    )


def _standard(primitive: Atoms) -> tuple[Atoms, np.ndarray]:
    """The primitive cell in the usual basis of its centring, right-handed, not rotated or shifted.

    Meshes and supercells are then the same from whatever cell one starts. With it ``(3, 3)`` int,
    rows: the conventional cell in terms of it.
    """
    cell, scaled = primitive.cell.array, primitive.get_scaled_positions(wrap=False)
    found = standard_cell(cell, scaled, primitive.numbers, _EXACT)
    if found is None:
        raise StructureError(
            "no_symmetry", "No symmetry is found in this cell: check whether atoms overlap."
        )
    conventional = np.rint(found.basis).astype(int)
    centring: Any = found.international[0]
    basis = np.rint(np.asarray(get_primitive_matrix(centring)).T @ conventional)
    if abs(abs(np.linalg.det(basis)) - 1.0) > 1e-6:
        return primitive, conventional
    basis *= np.sign(np.linalg.det(basis @ cell))
    standard = primitive.copy()
    standard.set_cell(basis @ cell)
    return standard, np.rint(conventional @ np.linalg.inv(basis)).astype(int)


def fit(crystal: Harmonic, forces: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """Compact force constants, exact in the space group, permutation and acoustic sum rules.

    Least squares in symfc's symmetry-adapted basis (A. Seko and A. Togo, Phys. Rev. B 110,
    214302 (2024)).

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
    supercell = crystal.supercell
    shifts = np.zeros((len(crystal.moved), len(supercell), 3))
    shifts[np.arange(len(crystal.moved)), crystal.moved] = crystal.vectors
    solver = Symfc(
        SymfcAtoms(
            cell=supercell.cell.array,
            scaled_positions=supercell.get_scaled_positions(wrap=False),
            numbers=supercell.numbers,
        ),
        spacegroup_operations=_supercell_operations(crystal),
    )
    solver.displacements = shifts
    solver.forces = np.ascontiguousarray(forces - residual[None])
    # half the time of a fit, and at other volumes only Cartesian operations could make it another
    operations = crystal.group.operations(crystal.primitive.cell.array)
    known = [basis for of, basis in crystal.bases if np.abs(of - operations).max() < _SAME]
    if known:
        solver.basis_set = known[0]
    else:
        solver.compute_basis_set(max_order=2)
        crystal.bases[:] = [(operations, solver.basis_set)]
    solver.solve(max_order=2, is_compact_fc=True)
    return np.ascontiguousarray(solver.force_constants[2])


def _supercell_operations(crystal: Harmonic) -> dict[str, np.ndarray]:
    """Pure translations and one operation for each point operation, in the supercell's fractions.

    symfc uses no others: all products with translations, which spglib would list, take it ten
    times as long and change nothing.
    """
    matrix, (own, translations) = crystal.matrix, crystal.group.columns
    copies = len(crystal.supercell) // len(crystal.primitive)
    inverse = np.linalg.inv(matrix)
    first = crystal.supercell.get_scaled_positions(wrap=False)[:copies]
    rotations = np.rint(inverse.T @ own @ matrix.T).astype("intc")
    translations = translations @ inverse
    others = ~(own == np.eye(3, dtype=int)).all((1, 2))
    unit = np.broadcast_to(np.eye(3, dtype="intc"), (copies, 3, 3))
    return {
        "rotations": np.ascontiguousarray(np.concatenate([unit, rotations[others]])),
        "translations": np.concatenate([first - first[0], translations[others]]),
    }
