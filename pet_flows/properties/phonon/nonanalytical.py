"""Born charges and dielectric tensor of a structure, brought to its primitive cell."""

from __future__ import annotations

import warnings

import numpy as np
from ase import Atoms
from phonopy.harmonic.dynamical_matrix import NacParams
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from pet_flows.crystallography.primitive import find_primitive
from pet_flows.errors import StructureError
from pet_flows.properties.phonon.declaration import NonAnalytical

#: e; charges that break symmetry or sum rule by more are worth a warning (phonopy's own limit)
_BROKEN = 0.1
#: Å; of cells that have been made exact
_EXACT = 1e-5


def check_nac(nac: NonAnalytical, n_atoms: int) -> None:
    """Refuse values that cannot be those of a structure of ``n_atoms``.

    Raises
    ------
    StructureError
        ``born_charges`` or ``dielectric``.
    """
    if len(nac.born_charges) != n_atoms:
        raise StructureError(
            "born_charges",
            f"There are Born charges of {len(nac.born_charges)} atoms for a structure of "
            f"{n_atoms}; give one tensor for each atom, in its order.",
        )
    tensor = np.array(nac.dielectric)
    if np.linalg.eigvalsh((tensor + tensor.T) / 2)[0] <= 0.0:
        raise StructureError(
            "dielectric", "The dielectric tensor is not positive definite; check its values."
        )


def primitive_nac(
    nac: NonAnalytical, atoms: Atoms, primitive: PhonopyAtoms
) -> tuple[NacParams, tuple[str, ...]]:
    """Values of a primitive cell that obey its space group and the acoustic sum rule.

    A primitive cell is cut out without being rotated, so tensors stay what they are.

    Parameters
    ----------
    nac
        Of the structure.
    atoms
        The structure, exactly symmetric.
    primitive
        Its primitive cell, the first copy of each atom (:func:`.primitive.find_primitive`).

    Returns
    -------
    tuple
        phonopy's ``nac_params`` (``born (n, 3, 3)`` in e, ``dielectric (3, 3)``), and warnings.
    """
    image = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions).image
    given = np.array(nac.born_charges)
    born = np.zeros((len(primitive), 3, 3))
    np.add.at(born, image, given)
    born /= np.bincount(image)[:, None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of charges that break symmetry: said below, in a sentence
        exact, dielectric = symmetrize_borns_and_epsilon(
            born, np.array(nac.dielectric), primitive, symprec=_EXACT
        )
    apart = float(np.abs(given - exact[image]).max())
    notes: tuple[str, ...] = ()
    if apart > _BROKEN:
        notes = (
            f"The Born charges break the crystal's symmetry or their sum rule by {apart:.2f} e; "
            "they were made to obey both.",
        )
    return nac_params(exact, dielectric), notes


def nac_params(born: np.ndarray, dielectric: np.ndarray) -> NacParams:
    """Born charges ``(n, 3, 3)`` in e and dielectric tensor ``(3, 3)`` as phonopy takes them."""
    factor = get_calculator_physical_units().nac_factor
    return {"born": np.array(born), "dielectric": np.array(dielectric), "factor": factor}
