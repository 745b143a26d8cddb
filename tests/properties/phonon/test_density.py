"""Densities of states and thermal displacements, against phonopy and against equipartition."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import kB
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.phonon.thermal_displacement import ThermalDisplacementMatrices

from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.modes import ZERO
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from tests.properties.stub import AsePotential

MESH = (5, 5, 5)
TEMPERATURES = (0.0, 300.0, 2000.0)
SMALL = PhononSettings(
    min_length=6.0, mesh=MESH, band_structure=False, temperatures=TEMPERATURES, dos_sigma=0.15
)
LAYERED = Atoms(  # L1_0
    "CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.8, 2.8, 3.6], pbc=True
)
HEXAGONAL = bulk("Cu", "hcp", a=2.56, c=4.15)
WEIGHTS = {"layered": LAYERED, "hcp": HEXAGONAL, "fcc": bulk("Cu", cubic=True)}


def compute(emt: AsePotential, atoms: Atoms, **changes: object) -> Outcome:
    outcome = next(phonon([atoms], emt, SMALL.model_copy(update=changes)))
    assert outcome.state == "ok", outcome.message
    return outcome


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("sigma", [0.15, None], ids=["gaussian", "tetrahedra"])
def test_projected_dos_of_phonopy_on_the_whole_mesh(
    emt: AsePotential, name: str, sigma: float | None
) -> None:
    blob = compute(emt, WEIGHTS[name], dos_sigma=sigma).blobs["phonon"]
    points, ours = blob["frequency_points"], blob["projected_dos"]
    whole = to_phonopy(blob)
    whole.run_mesh(MESH, is_gamma_center=True, is_mesh_symmetry=False, with_eigenvectors=True)
    whole.run_projected_dos(
        sigma=sigma,
        use_tetrahedron_method=sigma is None,
        freq_min=points[0],
        freq_max=points[-1],
        freq_pitch=points[1] - points[0],
    )
    theirs = whole.projected_dos.projected_dos
    assert ours.shape == (len(blob["primitive_numbers"]), len(points))
    assert blob["total_dos"] == pytest.approx(ours.sum(0))
    assert ours == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_dos_integrates_to_three_states_for_each_atom(emt: AsePotential, name: str) -> None:
    blob = compute(emt, WEIGHTS[name]).blobs["phonon"]
    integral = np.trapezoid(blob["projected_dos"], blob["frequency_points"], axis=1)
    assert integral == pytest.approx(3.0, abs=1e-5)
    sharp = compute(emt, WEIGHTS[name], mesh=(10, 10, 10), dos_sigma=None, dos_spacing=0.01).blobs[
        "phonon"
    ]
    integral = np.trapezoid(sharp["total_dos"], sharp["frequency_points"])
    assert integral == pytest.approx(3 * len(blob["primitive_numbers"]), rel=2e-3)


@pytest.mark.parametrize("name", WEIGHTS)
def test_displacements_of_phonopy_on_the_whole_mesh(emt: AsePotential, name: str) -> None:
    blob = compute(emt, WEIGHTS[name]).blobs["phonon"]
    whole = to_phonopy(blob)
    whole.run_mesh(MESH, is_gamma_center=True, is_mesh_symmetry=False, with_eigenvectors=True)
    theirs = ThermalDisplacementMatrices(whole.mesh, freq_min=ZERO, exclude_gamma_acoustic=True)
    theirs.temperatures = np.array(TEMPERATURES)
    theirs.run()
    assert blob["temperatures"].tolist() == list(TEMPERATURES)
    assert blob["thermal_displacements"] == pytest.approx(
        theirs.thermal_displacement_matrices.real, rel=1e-6, abs=1e-9
    )


def test_equipartition_at_high_temperature(emt: AsePotential) -> None:
    """⟨u u⟩ = kT Φ⁻¹, masses and mesh forgotten: the mesh is that of the supercell."""
    hot = 30000.0
    first = compute(emt, HEXAGONAL)
    matrix = np.array(first.result["supercell_matrix"])
    assert (matrix == np.diag(np.diag(matrix))).all()
    mesh = tuple(int(m) for m in np.diag(matrix))
    blob = compute(emt, HEXAGONAL, mesh=mesh, temperatures=(hot,)).blobs["phonon"]
    crystal = to_phonopy(blob)
    full = compact_fc_to_full_fc(crystal.primitive, crystal.force_constants)
    size = len(crystal.supercell) * 3
    inverse = np.linalg.pinv(full.swapaxes(1, 2).reshape(size, size), rcond=1e-8, hermitian=True)
    for index, atom in enumerate(crystal.primitive.p2s_map):
        own = slice(3 * atom, 3 * atom + 3)
        assert blob["thermal_displacements"][0, index] == pytest.approx(
            kB * hot * inverse[own, own], rel=1e-4, abs=1e-6
        )


def test_heat_capacity_is_that_of_the_dos(emt: AsePotential) -> None:
    """C_v = k ∫ g(ω) (x / 2 sinh(x / 2))² dω, and 3R for each atom when it is hot."""
    outcome = compute(
        emt, bulk("Cu"), mesh=(16, 16, 16), temperatures=(300.0, 20000.0), dos_sigma=0.02,
        dos_spacing=0.01,
    )  # fmt: skip
    blob, gas = outcome.blobs["phonon"], 8.314462618
    points, dos = blob["frequency_points"], blob["total_dos"]
    x = np.where(points > 0.1, points, np.inf) * 4.135667696e-3 / (kB * 300.0)
    kernel = np.where(np.isfinite(x), (np.minimum(x, 50) / 2 / np.sinh(np.minimum(x, 50) / 2)), 0)
    warm, hot = outcome.result["thermal"]
    assert warm["cv"] == pytest.approx(gas * np.trapezoid(dos * kernel**2, points), rel=2e-3)
    assert hot["cv"] == pytest.approx(3 * gas, rel=1e-3)


def test_an_unstable_crystal_has_its_imaginary_modes_below_zero(emt: AsePotential) -> None:
    outcome = compute(emt, bulk("Cu", "diamond", a=5.2))
    blob = outcome.blobs["phonon"]
    below = blob["frequency_points"] < -0.5
    assert blob["total_dos"][below].max() > 0.1
    assert np.trapezoid(blob["total_dos"], blob["frequency_points"]) == pytest.approx(6, abs=1e-5)
    assert np.isfinite(blob["thermal_displacements"]).all()
    # what is left of the two atoms is equal by symmetry
    squares = np.trace(blob["thermal_displacements"], axis1=2, axis2=3)
    assert squares[:, 0] == pytest.approx(squares[:, 1])


def test_no_temperatures_are_no_failure(emt: AsePotential) -> None:
    outcome = compute(emt, HEXAGONAL, temperatures=())
    assert outcome.result["thermal"] == []
    assert outcome.blobs["phonon"]["thermal_displacements"].shape == (0, 2, 3, 3)


@pytest.mark.parametrize("name", WEIGHTS)
def test_thermal_properties_of_phonopy(emt: AsePotential, name: str) -> None:
    found = compute(emt, WEIGHTS[name], temperatures=(0.0, 1.0, 300.0, 2000.0))
    blob, rows = found.blobs["phonon"], found.result["thermal"]
    whole = to_phonopy(blob)
    whole.run_mesh(MESH, is_gamma_center=True, is_mesh_symmetry=False)
    whole.run_thermal_properties(
        temperatures=[row["T"] for row in rows], cutoff_frequency=ZERO, exclude_gamma_acoustic=True
    )
    theirs = whole.get_thermal_properties_dict()
    names = {"f": "free_energy", "s": "entropy", "cv": "heat_capacity"}
    for own, other in names.items():
        expected = theirs[other] / len(blob["primitive_numbers"])
        assert [row[own] for row in rows] == pytest.approx(expected, rel=1e-8, abs=1e-10)
