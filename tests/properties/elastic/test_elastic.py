"""The elastic property on ASE's EMT: physics against energies, pressures and turned inputs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.spacegroup import crystal
from ase.units import GPa
from pymatgen.core.tensors import Tensor
from scipy.spatial.transform import Rotation

from pet_flows.engines.evaluation import System
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax
from tests.properties.stub import AsePotential

TIGHT = RelaxSettings(fmax=1e-7, smax=1e-9)
#: GPa × strain²: what fourth order leaves at 0.2 %, with some margin
ROUND = 1e-3


def relaxed(*crystals: Atoms) -> list[Atoms]:
    done = {o.index: o for o in relax(crystals, AsePotential(), TIGHT)}
    assert all(o.state == "ok" for o in done.values())
    return [done[n].atoms for n in range(len(crystals))]


@pytest.fixture(scope="module")
def copper() -> Atoms:
    return relaxed(bulk("Cu", a=3.6))[0]


@pytest.fixture(scope="module")
def hexagonal() -> Atoms:
    return relaxed(bulk("Au", "hcp", a=2.85, c=4.7))[0]


def one(atoms: Atoms, **settings: object) -> Outcome:
    (outcome,) = elastic([atoms], AsePotential(), ElasticSettings(**settings))
    return outcome


def tensor_of(outcome: Outcome, name: str = "tensor") -> np.ndarray:
    assert outcome.state == "ok", outcome.message
    get_property("elastic").result.model_validate(outcome.result)
    return np.array(outcome.result[name])


def energy(atoms: Atoms, deform: np.ndarray) -> float:
    """eV, of the cell h (1 + deform)."""
    moved = atoms.copy()
    moved.set_cell(atoms.cell.array @ (np.eye(3) + deform), scale_atoms=True)
    moved.calc = EMT()
    return float(moved.get_potential_energy())


def curvature(atoms: Atoms, strain: np.ndarray, h: float = 0.002) -> float:
    """GPa, second derivative of the energy density along a strain, fourth order."""
    e = [energy(atoms, n * h * strain) for n in (-2, -1, 0, 1, 2)]
    second = (-e[0] + 16 * e[1] - 30 * e[2] + 16 * e[3] - e[4]) / (12 * h**2)
    return second / atoms.get_volume() / GPa


def test_cubic_constants_are_the_second_derivatives_of_the_energy(copper: Atoms) -> None:
    tensor = tensor_of(one(copper))
    c11, c12, c44 = tensor[0, 0], tensor[0, 1], tensor[3, 3]
    axial, shear = np.diag([1.0, 0, 0]), np.zeros((3, 3))
    shear[1, 2] = shear[2, 1] = 0.5
    assert c11 == pytest.approx(curvature(copper, axial), rel=1e-4)
    assert 3 * (c11 + 2 * c12) == pytest.approx(curvature(copper, np.eye(3)), rel=1e-4)
    assert c44 == pytest.approx(curvature(copper, shear), rel=1e-4)


def test_a_cubic_tensor_is_cubic_to_round_off(copper: Atoms) -> None:
    outcome = one(copper)
    tensor = tensor_of(outcome)
    c11, c12, c44 = tensor[0, 0], tensor[0, 1], tensor[3, 3]
    exact = np.diag([c11 - c12] * 3 + [c44] * 3)
    exact[:3, :3] += c12
    np.testing.assert_allclose(tensor, exact, atol=1e-11)
    np.testing.assert_allclose(tensor, tensor.T, atol=0)
    assert outcome.result["residual"] < 1e-9


def test_a_few_cells_are_enough(copper: Atoms) -> None:
    """Two strains of a cubic crystal; a shear needs one sign. No atom is free: no step is taken."""
    potential = AsePotential()
    (outcome,) = elastic([copper], potential)
    assert outcome.result["n_strains"] == 6
    assert potential.evaluator.evaluated == outcome.n_evaluations == 7


def test_a_turned_crystal_has_the_turned_tensor(hexagonal: Atoms) -> None:
    """Rotated, mirrored, and in another cell."""
    turn = Rotation.random(random_state=3).as_matrix()
    turned, mirrored = hexagonal.copy(), hexagonal.copy()
    turned.set_cell(hexagonal.cell.array @ turn, scale_atoms=True)
    mirrored.set_cell(-hexagonal.cell.array @ turn, scale_atoms=True)
    larger = turned.repeat((2, 1, 1))
    settings = {"fmax": 1e-8}
    tensor = Tensor.from_voigt(tensor_of(one(hexagonal, **settings)))
    expected = tensor.rotate(turn.T).voigt  # pymatgen's rotations act on columns
    standard = tensor_of(one(hexagonal, **settings), "tensor_ieee")
    for other in (turned, mirrored, larger):
        outcome = one(other, **settings)
        np.testing.assert_allclose(tensor_of(outcome), expected, atol=1e-4)
        np.testing.assert_allclose(tensor_of(outcome, "tensor_ieee"), standard, atol=1e-4)
    assert not np.allclose(expected, standard, atol=1.0)


def test_strains_without_symmetry_give_the_same(hexagonal: Atoms) -> None:
    """All six strains, ions relaxed with no symmetry to help them, a general fit."""
    reduced = one(hexagonal, fmax=1e-8)
    general = one(hexagonal, fmax=1e-8, fix_symmetry=False)
    assert (reduced.result["n_strains"], general.result["n_strains"]) == (10, 24)
    np.testing.assert_allclose(tensor_of(general), tensor_of(reduced), atol=ROUND)
    clamped = one(hexagonal, relax_ions=False)
    assert tensor_of(clamped)[0, 0] > tensor_of(reduced)[0, 0] + 0.5
    assert clamped.n_evaluations == 11
    assert clamped.result["ions_relaxed"] is False


def test_under_pressure_the_bulk_modulus_is_still_that_of_the_pressure(copper: Atoms) -> None:
    """Wallace's coefficients: (B11 + 2 B12) / 3 = −V dp/dV, where second derivatives of the
    energy are off by the pressure."""
    squeezed = copper.copy()
    squeezed.set_cell(copper.cell.array * 0.97, scale_atoms=True)
    refused = one(squeezed)
    assert (refused.state, refused.reason) == ("failed", "not_relaxed")
    assert "relax" in refused.message
    outcome = one(squeezed, max_stress=50.0)
    tensor = tensor_of(outcome)
    assert any("is under a stress" in warning for warning in outcome.warnings)

    def pressure(scale: float) -> float:
        moved = squeezed.copy()
        moved.set_cell(squeezed.cell.array * scale, scale_atoms=True)
        moved.calc = EMT()
        return -float(moved.get_stress()[:3].mean()) / GPa

    assert outcome.result["residual_stress"] == pytest.approx(pressure(1.0), rel=1e-6)
    h = 1e-3  # of the length: dV / V = 3 h
    bulk_modulus = -(8 * (pressure(1 + h) - pressure(1 - h))
                     - (pressure(1 + 2 * h) - pressure(1 - 2 * h))) / (12 * 3 * h)  # fmt: skip
    assert (tensor[0, 0] + 2 * tensor[0, 1]) / 3 == pytest.approx(bulk_modulus, rel=1e-5)
    assert pressure(1.0) > 0.05 * bulk_modulus


def test_an_unstable_crystal_is_a_result() -> None:
    (cube,) = relaxed(Atoms("Cu", cell=2.4 * np.eye(3), pbc=True))
    outcome = one(cube)
    tensor = tensor_of(outcome)
    found = outcome.result
    assert found["stable"] is False
    assert found["min_eigenvalue"] == pytest.approx(
        min(tensor[0, 0] - tensor[0, 1], 2 * tensor[3, 3])
    )
    assert found["min_eigenvalue"] < 0
    assert found["k_voigt"] == pytest.approx((tensor[0, 0] + 2 * tensor[0, 1]) / 3)
    assert found["k_vrh"] is found["young"] is found["debye_temperature"] is None
    assert any("unstable" in warning for warning in outcome.warnings)


def test_bad_structures_fail_alone(copper: Atoms, hexagonal: Atoms) -> None:
    nothing = copper.copy()
    nothing.positions[0, 0] = np.nan
    given = [copper, bulk("Xe", "fcc", a=6.0), nothing, fcc111("Cu", (1, 1, 3), vacuum=8),
             bulk("Cu", a=3.4), hexagonal, relaxed(bulk("Ag", a=4.1))[0]]  # fmt: skip
    potential = AsePotential()
    last = given[-1].get_volume()

    def one_strain_of_silver(system: System) -> bool:
        return 47 in system.numbers and abs(np.linalg.det(system.cell)) > 1.0015 * last

    potential.evaluator.refuse = one_strain_of_silver
    seen = []
    outcomes = {
        o.index: o for o in elastic(given, potential, progress=lambda *words: seen.append(words))
    }
    assert sorted(outcomes) == list(range(7))
    reasons = [outcomes[n].reason for n in range(7)]
    assert reasons == [
        None, "unknown_element", "not_finite_input", "not_periodic", "not_relaxed", None,
        "not_finite",
    ]  # fmt: skip
    assert outcomes[6].n_evaluations == 6  # of seven cells the refused one is missing
    # nobody notices who else was in the batch
    np.testing.assert_allclose(tensor_of(outcomes[0]), tensor_of(one(copper)), atol=1e-9)
    np.testing.assert_allclose(tensor_of(outcomes[5]), tensor_of(one(hexagonal)), atol=1e-9)
    assert (0, 7, 7) in seen


def test_ions_that_fall_into_another_structure_are_refused() -> None:
    """Rutile of atoms that attract each other is kept by its symmetry alone."""
    potential = AsePotential(partial(LennardJones, sigma=2.3, epsilon=0.4, rc=7.0, smooth=True))
    rutile = crystal(
        ["Cu", "Ag"],
        [(0, 0, 0), (0.3, 0.3, 0)],
        spacegroup=136,
        cellpar=[4.48, 4.48, 5.38, *[90] * 3],
    )
    (relaxation,) = relax([rutile], potential, RelaxSettings(fmax=1e-4))
    assert relaxation.state == "ok"
    (outcome,) = elastic([relaxation.atoms], potential)
    assert (outcome.state, outcome.reason) == ("failed", "unstable_ions")
    assert "0.1 and 0.2 %" in outcome.message
    # it does fall, where nothing but a little noise is done to it
    moved = relaxation.atoms.copy()
    moved.rattle(0.01, seed=1)
    free = RelaxSettings(fmax=1e-4, fix_symmetry=False, relax_cell=False)
    (fallen,) = relax([moved], potential, free)
    assert fallen.result["energy_per_atom"] < relaxation.result["energy_per_atom"] - 0.01
    # as far as clamped ions know, the crystal is one like others
    (clamped,) = elastic([relaxation.atoms], potential, ElasticSettings(relax_ions=False))
    assert clamped.state == "ok"


def test_ions_out_of_steps_are_unconverged(hexagonal: Atoms) -> None:
    outcome = one(hexagonal, steps=1, fmax=1e-9)
    assert (outcome.state, outcome.reason) == ("unconverged", "steps_exhausted")
    assert "steps" in outcome.message
    get_property("elastic").result.model_validate(outcome.result)
