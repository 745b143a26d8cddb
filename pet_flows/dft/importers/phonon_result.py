"""Force constants that somebody else calculated → result and arrays of our ``phonon``."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.primitive import find_primitive
from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.masses import masses
from pet_flows.properties.phonon.mesh import EXACT
from pet_flows.properties.phonon.nonanalytical import nac_params
from pet_flows.properties.phonon.result import analyse, charges

#: Å; crystals were relaxed to about this, and phonopy takes no less
_SYMPREC = 1e-4
#: Å; atoms of two supercells that are one
_SAME = 1e-3


def phonon_result(
    phonopy: Phonopy, settings: PhononSettings | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What the force constants of another calculation say, on our mesh and path, in our units.

    Only force constants are taken, so that units and normalization of thermal properties, DOS and
    tolerances of other programs do not matter.

    Parameters
    ----------
    phonopy
        With force constants (eV/Å²), full or compact, and Born charges where it has some.
    settings
        Mesh, path, temperatures and tolerance; by default those of a record.

    Returns
    -------
    result, arrays
        Of ``phonon``, but for what belongs to displacements, and its blob. Everything is of the
        primitive cell.

    Raises
    ------
    PetFlowsError
        There are no force constants, or they fit no primitive cell.
    """
    own = in_primitive_cell(phonopy)
    constants, dynamics = own.force_constants, own.dynamical_matrix
    assert constants is not None
    assert dynamics is not None
    # no wider: modes of the mesh are those of all its images only where force constants agree
    group = SpaceGroup.find(_atoms(own.primitive), EXACT)
    result, arrays = analyse(dynamics, group, settings or PhononSettings())
    arrays |= charges(own.nac_params) | {
        "force_constants": np.array(constants),
        "supercell_matrix": np.array(own.supercell_matrix),
        "supercell_cell": np.array(own.supercell.cell),
        "supercell_positions": np.array(own.supercell.positions),
        "supercell_numbers": np.array(own.supercell.numbers),
        "primitive_cell": np.array(own.unitcell.cell),
        "primitive_positions": np.array(own.unitcell.positions),
        "primitive_numbers": np.array(own.unitcell.numbers),
    }
    matrix = np.rint(own.supercell_matrix).astype(int).tolist()
    return {**result, "supercell_matrix": matrix}, arrays


def in_primitive_cell(phonopy: Phonopy) -> Phonopy:
    """The same force constants, compact, of a supercell of the primitive cell itself.

    A record has them so. phonopy's primitive cell stays as it is, unless it repeats.

    Raises
    ------
    PetFlowsError
        See `phonon_result`.
    """
    if phonopy.force_constants is None:
        raise PetFlowsError(
            "There are no force constants, and no forces to make them of: export them, as phonopy "
            "does with phonopy.save(settings={'force_constants': True})."
        )
    given = phonopy.primitive
    found = find_primitive(given.numbers, given.cell, given.positions, _SYMPREC)
    atoms = np.asarray(found.atoms)
    cell = found.basis @ given.cell
    rows = phonopy.supercell.cell @ np.linalg.inv(cell)
    if np.abs(rows - np.rint(rows)).max() > 1e-3:
        raise PetFlowsError(
            "The supercell of the force constants is none of the primitive cell: check "
            "supercell_matrix and primitive_matrix."
        )
    own = Phonopy(
        PhonopyAtoms(
            numbers=given.numbers[atoms],
            cell=cell,
            positions=given.positions[atoms],
            masses=masses(given.numbers[atoms]),
        ),
        supercell_matrix=np.rint(rows).astype(int).T,
        primitive_matrix="P",
    )
    own.force_constants = _compact(phonopy, own)
    if phonopy.nac_params is not None:
        born, dielectric = phonopy.nac_params["born"], phonopy.nac_params["dielectric"]
        own.nac_params = nac_params(np.asarray(born)[atoms], np.asarray(dielectric))
    return own


def _compact(phonopy: Phonopy, own: Phonopy) -> np.ndarray:
    """Force constants ``(n, N, 3, 3)`` in the order of the other supercell's atoms."""
    constants = np.array(phonopy.force_constants)
    if constants.shape[0] != constants.shape[1]:
        constants = compact_fc_to_full_fc(phonopy.primitive, constants)
    theirs, ours = phonopy.supercell, own.supercell
    fractions = (ours.positions[:, None] - theirs.positions[None]) @ np.linalg.inv(ours.cell)
    apart = np.linalg.norm((fractions - np.rint(fractions)) @ ours.cell, axis=2)
    same = apart.argmin(1)
    if (
        len(set(same.tolist())) != len(theirs)
        or apart.min(1).max() > _SAME
        or (theirs.numbers[same] != ours.numbers).any()
    ):
        raise PetFlowsError(
            "The atoms of the supercell of the force constants are not copies of the primitive "
            "cell: check that they belong to one calculation."
        )
    first = same[own.primitive.p2s_map]
    return np.ascontiguousarray(constants[first][:, same])


def _atoms(cell: PhonopyAtoms) -> Atoms:
    return Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
