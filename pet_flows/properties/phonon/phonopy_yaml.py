"""The arrays of a phonon record as a Phonopy object, and as a ``phonopy.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.masses import masses
from pet_flows.properties.phonon.nonanalytical import nac_params

#: Å; a supercell that phonopy builds again lies on the stored one, or their atoms differ in order
_SAME = 1e-6


def to_phonopy(arrays: Mapping[str, np.ndarray]) -> Phonopy:
    """Phonopy with the force constants of a phonon record, for whatever phonopy can do.

    Parameters
    ----------
    arrays
        Blob ``phonon`` of an :class:`~pet_flows.properties.outcome.Outcome` or of a stored record
        (``ResultStore.blob(key, "phonon")``). Born charges are taken along where it has them.

    Raises
    ------
    PetFlowsError
        These are not the arrays of a phonon record, or this version of phonopy orders the atoms of
        a supercell differently.
    """
    needed = ("force_constants", "supercell_matrix", "primitive_cell", "primitive_positions")
    if missing := [name for name in (*needed, "primitive_numbers") if name not in arrays]:
        raise PetFlowsError(
            f"These arrays hold no {', '.join(missing)}: give the blob 'phonon' of a phonon record."
        )
    phonopy = Phonopy(
        PhonopyAtoms(
            numbers=arrays["primitive_numbers"],
            cell=arrays["primitive_cell"],
            positions=arrays["primitive_positions"],
            masses=masses(arrays["primitive_numbers"]),
        ),
        supercell_matrix=arrays["supercell_matrix"],
        primitive_matrix="P",
    )
    if "supercell_positions" in arrays:
        built = phonopy.supercell
        apart = (built.positions - arrays["supercell_positions"]) @ np.linalg.inv(built.cell)
        if np.abs((apart - np.rint(apart)) @ built.cell).max() > _SAME:
            raise PetFlowsError(
                "phonopy orders the atoms of this supercell differently from the version that "
                "computed it; use the version in the record's provenance."
            )
    if "born_charges" in arrays:
        phonopy.nac_params = nac_params(arrays["born_charges"], arrays["dielectric"])
    phonopy.force_constants = arrays["force_constants"]
    return phonopy


def write_phonopy_yaml(arrays: Mapping[str, np.ndarray], path: str | Path) -> Path:
    """Write a file that ``phonopy.load`` reads: cells, force constants and Born charges.

    Parameters
    ----------
    arrays
        As for :func:`to_phonopy`.
    path
        Usually ``phonopy.yaml``; what is there is replaced.

    Returns
    -------
    Path
        Absolute.
    """
    path = Path(path).absolute()
    to_phonopy(arrays).save(path, settings={"force_constants": True, "displacements": False})
    return path
