"""What the force constants of a crystal say, as a record keeps it."""

from __future__ import annotations

from typing import Any

import numpy as np

from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.density import density_of_states, thermal_displacements
from pet_flows.properties.phonon.force_constants import Harmonic
from pet_flows.properties.phonon.irreps import label
from pet_flows.properties.phonon.modes import bands, mesh_modes


def measured(crystal: Harmonic, forces: np.ndarray) -> dict[str, np.ndarray]:
    """Force constants with their cells, and what they were made of.

    Parameters
    ----------
    crystal
        With force constants in its ``phonopy``.
    forces
        ``(1 + d, N, 3)`` eV/Å, of the perfect supercell first.
    """
    return {
        "force_constants": np.array(crystal.phonopy.force_constants),
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


def analyse(
    crystal: Harmonic, settings: PhononSettings
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Modes, stability and thermal properties of a crystal whose phonopy has force constants.

    Parameters
    ----------
    crystal
        With force constants, and Born charges where a correction is wanted, in its ``phonopy``.
    settings
        Mesh, temperatures, tolerance, what is asked for.

    Returns
    -------
    result, arrays
        As :func:`.phonon.phonon` yields them, but for what belongs to the displacements.
    """
    phonopy = crystal.phonopy
    modes = mesh_modes(
        phonopy,
        crystal.group,
        settings.mesh or settings.mesh_length,
        eigenvectors=settings.dos,
    )
    lowest, highest = modes.range
    imaginary = modes.imaginary(settings.tolerance)
    label(phonopy, modes.symmetry, imaginary)
    result = {
        "min_frequency": lowest,
        "max_frequency": highest,
        "has_imaginary_modes": bool(imaginary),
        "tolerance": settings.tolerance,
        "imaginary": imaginary,
        "mesh": modes.mesh.tolist(),
        "has_nac": phonopy.nac_params is not None,
        "zero_point_energy_per_atom": modes.zero_point_energy(),
        "thermal": modes.thermal(settings.temperatures),
    }
    arrays = {
        "mesh_qpoints": modes.qpoints,
        "mesh_weights": modes.weights,
        "mesh_frequencies": modes.frequencies,
    }
    if phonopy.nac_params is not None:
        arrays["born_charges"] = phonopy.nac_params["born"]
        arrays["dielectric"] = phonopy.nac_params["dielectric"]
    if settings.dos:
        arrays |= density_of_states(modes, crystal.group, settings.dos_spacing, settings.dos_sigma)
        arrays["temperatures"] = np.array(settings.temperatures)
        arrays["thermal_displacements"] = thermal_displacements(
            modes, crystal.group, phonopy.primitive, settings.temperatures
        )
    if settings.band_structure:
        arrays |= bands(phonopy, settings.band_spacing)
    return result, arrays
