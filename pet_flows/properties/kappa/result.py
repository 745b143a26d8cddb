"""Conductivity and lifetimes from force constants of second and third order."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import StructureError
from pet_flows.properties.kappa.declaration import ConductivitySettings

if TYPE_CHECKING:
    from phono3py import Phono3py


#: W/m/K; above what any crystal has at any temperature where three-phonon scattering counts
UNSCATTERED = 1e6


def analyse(
    phono3py: Phono3py, settings: ConductivitySettings
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Solve Boltzmann's equation in the relaxation-time approximation.

    Parameters
    ----------
    phono3py
        With force constants of both orders.
    settings
        Mesh, temperatures, isotopes.

    Returns
    -------
    result, arrays
        As :func:`.kappa.conductivity` yields them, but for what belongs to displacements.

    Raises
    ------
    StructureError
        ``mesh_not_symmetric``; ``no_scattering``: modes that meet no others, or Γ alone.
    """
    try:
        phono3py.mesh_numbers = settings.mesh or settings.mesh_length
    except RuntimeError as error:
        raise StructureError(
            "mesh_not_symmetric",
            f"The mesh {settings.mesh} does not have the crystal's symmetry; give mesh_length "
            "instead.",
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of translations at Γ and of numbers that break symmetry
        # without the averages the result depends by 5 % on how the crystal is oriented
        phono3py.init_phph_interaction(
            symmetrize_tetrahedra=True,
            exclude_gamma_acoustic=True,
            average_degenerate_weights=True,
        )
        phono3py.run_thermal_conductivity(
            temperatures=settings.temperatures, is_isotope=settings.isotopes
        )
    found = phono3py.thermal_conductivity
    # xx, yy, zz, yz, xz, xy
    kappa = found.kappa[0][:, [[0, 5, 4], [5, 1, 3], [4, 3, 2]]]
    if not np.abs(kappa).max() < UNSCATTERED:
        raise StructureError(
            "no_scattering",
            f"Some modes meet no others on the mesh {np.array(found.mesh_numbers).tolist()} and "
            f"conduct heat without end ({np.abs(kappa).max():.1e} W/m/K); raise mesh_length, "
            "and check that the crystal is stable.",
        )
    frequencies = np.array(found.frequencies)
    acoustic = np.zeros(frequencies.shape, dtype=bool)
    for q in np.nonzero((np.abs(found.qpoints) < 1e-9).all(1))[0]:
        acoustic[q, np.argsort(np.abs(frequencies[q]), kind="stable")[:3]] = True
    if acoustic.all():
        raise StructureError(
            "no_scattering", "A mesh of Γ alone has no modes that conduct heat; raise mesh_length."
        )
    lowest = float(frequencies[~acoustic].min())
    result = {
        "kappa": [
            {"T": t, "tensor": k.tolist(), "mean": float(np.trace(k)) / 3}
            for t, k in zip(settings.temperatures, kappa, strict=True)
        ],
        "mesh": np.array(found.mesh_numbers).tolist(),
        "isotopes": settings.isotopes,
        "min_frequency": lowest,
        "has_imaginary_modes": lowest < -settings.tolerance,
        "has_nac": phono3py.nac_params is not None,
    }
    arrays = {
        "second_order": np.array(phono3py.fc2),
        "third_order": np.array(phono3py.fc3),
        "primitive_cell": phono3py.primitive.cell,
        "primitive_positions": phono3py.primitive.positions,
        "primitive_numbers": phono3py.primitive.numbers,
        "supercell_matrix": np.array(phono3py.phonon_supercell_matrix),
        "third_supercell_matrix": np.array(phono3py.supercell_matrix),
        "temperatures": np.array(settings.temperatures),
        "qpoints": np.array(found.qpoints),
        "weights": np.array(found.grid_weights),
        "frequencies": frequencies,
        "gamma": np.array(found.gamma[0]),
        "group_velocities": np.array(found.group_velocities),
    }
    if settings.isotopes:
        arrays["gamma_isotope"] = np.array(found.gamma_isotope[0])
    return result, arrays
