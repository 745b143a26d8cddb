"""Cells of a calculation of phonopy that left no YAML: POSCAR beside forces or force constants."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import phonopy
from phonopy.interface.vasp import read_vasp
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.crystallography.spacegroups import space_groups
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from phonopy import Phonopy

FORCES, CONSTANTS = "FORCE_SETS", "FORCE_CONSTANTS"
#: the unit cell, that which says so first
UNIT_CELLS = ("POSCAR-unitcell", "POSCAR")
SUPERCELL = "SPOSCAR"
#: what ``--map`` calls the supercell, as phonopy's own option is called
DIM = "dim"

_GIVE = f"give it with --map {DIM}=2x2x2, as it was for phonopy"


def phonopy_of_forces(file: Path, dim: str | None) -> Phonopy:
    """Force constants of the forces in a file, with Born charges beside it.

    Parameters
    ----------
    file
        FORCE_SETS or FORCE_CONSTANTS, in the folder that is the present one.
    dim
        Supercell, `supercell_matrix`; by default it is found, `found_supercell`.

    Raises
    ------
    PetFlowsError
        There is no unit cell, or its supercell is not known.
    """
    name = next((one for one in UNIT_CELLS if Path(one).is_file()), None)
    if name is None:
        raise PetFlowsError(
            f"{file.name} has neither a YAML file of phonopy nor {' or '.join(UNIT_CELLS)} beside "
            "it: put one there."
        )
    if dim is not None:
        matrix = supercell_matrix(dim)
    else:
        matrix = found_supercell(read_vasp(name), _n_atoms(file), name, file.name)
    are_constants = file.name == CONSTANTS
    return phonopy.load(
        unitcell_filename=name,
        supercell_matrix=matrix,
        force_sets_filename=None if are_constants else file.name,
        force_constants_filename=file.name if are_constants else None,
        fc_calculator="symfc",
        log_level=0,
    )


def supercell_matrix(written: str) -> np.ndarray:
    """Matrix ``(3, 3)`` of ``2x2x2``, ``2 2 2`` or nine numbers by rows.

    Raises
    ------
    PetFlowsError
        It is none.
    """
    parts = re.split(r"[\sx×]+", written.strip())
    if len(parts) in (3, 9) and all(re.fullmatch(r"-?\d+", part) for part in parts):
        numbers = np.array(parts, int)
        matrix = np.diag(numbers) if len(parts) == 3 else numbers.reshape(3, 3)
        if round(np.linalg.det(matrix)) > 0:
            return matrix
    raise PetFlowsError(
        f"--map {DIM} must be three whole numbers such as 2x2x2, or nine (got {written!r})."
    )


def found_supercell(
    cell: PhonopyAtoms, n_atoms: int, name: str, forces: str = FORCES
) -> np.ndarray:
    """Supercell matrix ``(3, 3)``: that of SPOSCAR, or the only one that atoms and symmetry leave.

    Looked for are diagonal ones with so many atoms that keep the crystal's point group.

    Parameters
    ----------
    cell
        Unit cell.
    n_atoms
        Of the supercell.
    name, forces
        Of the files of the unit cell and of the forces.

    Raises
    ------
    PetFlowsError
        There is none, or several.
    """
    if Path(SUPERCELL).is_file():
        rows = read_vasp(SUPERCELL).cell @ np.linalg.inv(cell.cell)
        matrix = np.rint(rows).astype(int)
        if np.abs(rows - matrix).max() < 1e-3:
            return matrix.T
    n, rest = divmod(n_atoms, len(cell))
    if rest or n < 2:
        raise PetFlowsError(
            f"{forces} is of {n_atoms} atoms, and {name} holds {len(cell)}, which make no "
            f"supercell of them: put the unit cell there as {UNIT_CELLS[0]}, or {_GIVE}."
        )
    fitting = [d for d in _diagonals(n) if _keeps_symmetry(cell, d)]
    if len(fitting) != 1:
        listed = " or ".join("x".join(map(str, d)) for d in fitting) or "none that is diagonal"
        raise PetFlowsError(
            f"The supercell of {n_atoms} atoms could be {listed} of the {len(cell)} in {name}: "
            f"{_GIVE}."
        )
    return np.diag(fitting[0])


def _n_atoms(file: Path) -> int:
    """Atoms of the supercell, which end the first line of either file."""
    with file.open(errors="replace") as lines:
        parts = next((line.split() for line in lines if line.strip()), [])
    # force constants may be of the atoms of a primitive cell alone, whose number is the first
    most = 2 if file.name == CONSTANTS else 1
    if not 1 <= len(parts) <= most or not all(part.isdecimal() for part in parts):
        raise PetFlowsError(
            f"{file.name} does not begin with its number of atoms: write it with phonopy, or "
            f"{_GIVE}."
        )
    return int(parts[-1])


def _diagonals(n: int) -> list[tuple[int, int, int]]:
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    return [(a, b, n // a // b) for a in divisors for b in divisors if n // a % b == 0]


def _keeps_symmetry(cell: PhonopyAtoms, diagonal: tuple[int, int, int]) -> bool:
    """Whether rotations of the crystal map the lattice of the supercell onto itself."""
    (found,) = space_groups(cell.cell, cell.scaled_positions, cell.numbers, 1e-4)
    if found is None:
        return False
    d = np.array(diagonal)
    moved = found.rotations * d[None, :, None] / d[None, None, :]  # of rows
    return bool(np.abs(moved - np.rint(moved)).max() < 1e-6)
