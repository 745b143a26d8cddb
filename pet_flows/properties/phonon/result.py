"""What the force constants of a crystal say, as a record keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, DynamicalMatrixNAC, NacParams

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import StandardCell, standard_cell
from pet_flows.errors import StructureError
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.density import density_of_states, thermal_displacements
from pet_flows.properties.phonon.force_constants import Harmonic
from pet_flows.properties.phonon.irreps import label
from pet_flows.properties.phonon.mesh import EXACT
from pet_flows.properties.phonon.modes import bands, mesh_modes


def measured(
    crystal: Harmonic, force_constants: np.ndarray, forces: np.ndarray
) -> dict[str, np.ndarray]:
    """Force constants with their cells, and what they were made of.

    Parameters
    ----------
    crystal
        With its displacements.
    force_constants
        ``(n, N, 3, 3)`` eV/Å².
    forces
        ``(1 + d, N, 3)`` eV/Å, of the perfect supercell first.
    """
    return {
        "force_constants": force_constants,
        "supercell_matrix": crystal.matrix.T,
        "supercell_cell": crystal.supercell.cell.array,
        "supercell_positions": crystal.supercell.positions,
        "supercell_numbers": crystal.supercell.numbers,
        "primitive_cell": crystal.primitive.cell.array,
        "primitive_positions": crystal.primitive.positions,
        "primitive_numbers": crystal.primitive.numbers,
        "displaced_atoms": crystal.moved,
        "displacements": crystal.vectors,
        "forces": forces[1:],
        "residual_forces": forces[0],
    }


def charges(nac: NacParams | None) -> dict[str, np.ndarray]:
    """Born charges ``(n, 3, 3)`` in e and dielectric tensor, where there are some."""
    return {} if nac is None else {"born_charges": nac["born"], "dielectric": nac["dielectric"]}


def analyse(
    dynamics: DynamicalMatrix,
    group: SpaceGroup,
    settings: PhononSettings,
    standard: StandardCell | None = None,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Modes, stability and thermal properties of a crystal whose force constants are known.

    Parameters
    ----------
    dynamics
        phonopy's dynamical matrix, with Born charges where a correction is wanted.
    group
        Of the primitive cell, which force constants and charges obey.
    settings
        Mesh, temperatures, tolerance, what is asked for.
    standard
        The conventional cell in terms of the primitive one, sought where it is not given.

    Returns
    -------
    result, arrays
        As :func:`.phonon.phonon` yields them, but for what belongs to the displacements.
    """
    modes = mesh_modes(
        dynamics, group, settings.mesh or settings.mesh_length,
        eigenvectors=settings.dos, tetrahedra=settings.dos and settings.dos_sigma is None,
    )  # fmt: skip
    lowest, highest = modes.range
    imaginary = modes.imaginary(settings.tolerance)
    standard = standard or _standard(dynamics)
    label(dynamics, group, imaginary, standard)
    result = {
        "min_frequency": lowest,
        "max_frequency": highest,
        "has_imaginary_modes": bool(imaginary),
        "tolerance": settings.tolerance,
        "imaginary": imaginary,
        "mesh": modes.mesh.tolist(),
        "has_nac": isinstance(dynamics, DynamicalMatrixNAC),
        "zero_point_energy_per_atom": modes.zero_point_energy(),
        "thermal": modes.thermal(settings.temperatures),
    }
    arrays = {
        "mesh_qpoints": modes.qpoints,
        "mesh_weights": modes.weights,
        "mesh_frequencies": modes.frequencies,
    }
    if settings.dos:
        arrays |= density_of_states(modes, group, settings.dos_spacing, settings.dos_sigma)
        arrays["temperatures"] = np.array(settings.temperatures)
        arrays["thermal_displacements"] = thermal_displacements(
            modes, group, dynamics.primitive, settings.temperatures
        )
    if settings.band_structure:
        arrays |= bands(dynamics, settings.band_spacing, standard)
    return result, arrays


def _standard(dynamics: DynamicalMatrix) -> StandardCell:
    cell = dynamics.primitive
    found = standard_cell(cell.cell, cell.scaled_positions, cell.numbers, EXACT)
    if found is None:
        raise StructureError(
            "no_symmetry", "No symmetry is found in this cell: check whether atoms overlap."
        )
    return found
