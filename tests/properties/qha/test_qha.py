from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa, J, kB, mol
from phonopy import Phonopy, run_qha
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.engines.potential import Potential
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.qha import qha
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.relax import relax
from tests.properties.stub import AsePotential

DENSE = (0.0, 10.0, 100.0, 290.0, 295.0, 300.0, 305.0, 310.0, 600.0)
SMALL = QHASettings(min_length=7.0, mesh=(7, 7, 7), temperatures=DENSE)
FEW = SMALL.model_copy(
    update={"volume_step": 0.02, "n_compressed": 2, "n_expanded": 3, "min_length": 5.0}
)
ROOM = DENSE.index(300.0)
#: J/K/mol in eV/K
PER_MOLE = J / mol


@pytest.fixture(scope="module")
def copper() -> Outcome:
    outcome = next(qha([bulk("Cu", a=3.59)], AsePotential(), SMALL))
    assert outcome.state == "ok", outcome.message
    return outcome


def test_the_result_is_as_documented(copper: Outcome) -> None:
    get_property("qha").result.model_validate(copper.result)
    assert copper.result["temperatures"] == list(DENSE)
    assert copper.result["n_volumes"] == len(copper.result["volumes"]) == 9
    assert all(np.isfinite(array).all() for array in copper.blobs["qha"].values())
    # per volume one single point, the perfect supercell, one displaced one
    assert copper.n_evaluations == 27


def test_agrees_with_phonopys_own_run(copper: Outcome) -> None:
    """Force constants from phonopy's displacements, its mesh and its quasi-harmonic driver."""
    phonopys, energies = [], []
    for volume in copper.result["volumes"]:
        atoms = bulk("Cu", a=(4 * volume) ** (1 / 3))
        found = Phonopy(
            PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell.array, positions=atoms.positions),
            supercell_matrix=copper.result["supercell_matrix"],
            primitive_matrix="P",
        )
        found.generate_displacements(distance=0.01, is_plusminus=True)
        forces = []
        for cell in found.supercells_with_displacements or []:
            moved = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
            moved.calc = EMT()
            forces.append(moved.get_forces())
        found.forces = np.array(forces)
        found.produce_force_constants(show_drift=False)
        found.symmetrize_force_constants(show_drift=False)
        phonopys.append(found)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    temperatures = np.arange(0.0, 321.0, 5.0)
    other = run_qha(phonopys, temperatures, energies, mesh=(7, 7, 7), exclude_gamma_acoustic=True)
    for kelvin in (100.0, 300.0):
        ours, theirs = DENSE.index(kelvin), int(np.argmin(np.abs(other.temperatures - kelvin)))
        result = copper.result
        volume = other.equilibrium_volumes[theirs]
        assert result["volume_per_atom"][ours] == pytest.approx(volume, rel=1e-5)
        alpha = other.thermal_expansion[theirs]
        assert result["thermal_expansion"][ours] == pytest.approx(alpha, rel=3e-3)
        modulus = other.bulk_moduli[theirs] / GPa
        assert result["bulk_modulus"][ours] == pytest.approx(modulus, rel=1e-3)
        cp = other.heat_capacity_P.heat_capacities[theirs] / PER_MOLE
        assert result["cp"][ours] == pytest.approx(cp, rel=1e-3)
        gamma = other.gruneisen_parameters[theirs]
        assert result["gruneisen"][ours] == pytest.approx(gamma, rel=5e-3)


def test_expansion_is_the_slope_of_the_volume(copper: Outcome) -> None:
    volumes = np.array(copper.result["volume_per_atom"])
    wide = (volumes[ROOM + 2] - volumes[ROOM - 2]) / 20.0 / volumes[ROOM]
    assert copper.result["thermal_expansion"][ROOM] == pytest.approx(wide, rel=1e-3)


def test_volume_minimizes_the_stored_free_energy(copper: Outcome) -> None:
    blob = copper.blobs["qha"]
    for t in (0, 2, ROOM):
        curve = np.polynomial.Polynomial.fit(blob["volumes"], blob["free_energies"][t], 6)
        lowest = [complex(r).real for r in curve.deriv().roots() if abs(complex(r).imag) < 1e-9]
        inside = [r for r in lowest if blob["volumes"][0] < r < blob["volumes"][-1]]
        assert len(inside) == 1
        assert copper.result["volume_per_atom"][t] == pytest.approx(inside[0], rel=2e-4)
        assert copper.result["free_energy_per_atom"][t] == pytest.approx(curve(inside[0]), abs=1e-5)


def test_heat_capacities_differ_by_what_expansion_costs(copper: Outcome) -> None:
    """C_p - C_v = α² B V T, and γ = α B V / C_v."""
    for t in (2, ROOM, len(DENSE) - 1):
        alpha, modulus, volume, cp, cv, gamma = (
            copper.result[name][t]
            for name in (
                "thermal_expansion", "bulk_modulus", "volume_per_atom", "cp", "cv", "gruneisen",
            )
        )  # fmt: skip
        stiffness = modulus * GPa * volume
        assert cp - cv == pytest.approx(alpha**2 * stiffness * DENSE[t] / PER_MOLE, rel=0.02)
        assert gamma == pytest.approx(alpha * stiffness / (cv * PER_MOLE), rel=1e-6)


def test_limits(copper: Outcome) -> None:
    result = copper.result
    assert result["thermal_expansion"][0] == result["cp"][0] == result["cv"][0] == 0.0
    assert result["gruneisen"][:2] == [None, None]
    assert 0 < result["thermal_expansion"][1] < 1e-2 * result["thermal_expansion"][ROOM]
    # zero-point motion expands the lattice beyond its static minimum
    static = np.polynomial.Polynomial.fit(result["volumes"], result["energies"], 6).deriv()
    assert static(result["volume_per_atom"][0]) > 0
    # Dulong and Petit, without the translations at Γ
    classical = 3 * kB / PER_MOLE * (1 - 1 / 7**3)
    assert 0.97 * classical < result["cv"][-1] < classical
    assert result["cp"][-1] > classical


def test_mode_parameters_are_slopes_of_the_frequencies(copper: Outcome) -> None:
    """-d ln ω / d ln V by hand, where modes are apart enough not to cross."""
    blob = copper.blobs["qha"]
    middle = int(np.argmin(np.abs(blob["volumes"] - bulk("Cu", a=3.59).get_volume())))
    low, here, high = blob["mesh_frequencies"][middle - 1 : middle + 2]
    apart = (np.diff(here, axis=1) > 0.2).all(1)
    assert apart.sum() > 5
    slope = -np.log(high[apart] / low[apart]) / np.log(
        blob["volumes"][middle + 1] / blob["volumes"][middle - 1]
    )
    np.testing.assert_allclose(blob["mode_gruneisen"][apart], slope, rtol=2e-3)
    np.testing.assert_allclose(blob["gruneisen_frequencies"], here, atol=1e-6)


def test_modes_and_thermodynamics_say_the_same(copper: Outcome) -> None:
    """At the volume of 300 K: α B V = Σ c γ, c the heat capacity of each mode."""
    volume = copper.result["volume_per_atom"][ROOM]
    there = bulk("Cu", a=(4 * volume) ** (1 / 3))
    settings = SMALL.model_copy(update={"n_compressed": 5, "n_expanded": 3})
    outcome = next(qha([there], AsePotential(), settings))
    blob, weights = outcome.blobs["qha"], outcome.blobs["qha"]["mesh_weights"]
    x = 4.135667696e-15 * 1e12 * np.maximum(blob["gruneisen_frequencies"], 1e-6) / (kB * 300)
    capacity = kB * x**2 * np.exp(x) / np.expm1(x) ** 2
    capacity[blob["gruneisen_frequencies"] < 1e-3] = 0.0
    total = float(weights @ (capacity * blob["mode_gruneisen"]).sum(1) / weights.sum())
    own = outcome.result["thermal_expansion"][ROOM] * outcome.result["bulk_modulus"][ROOM] * GPa
    assert own * outcome.result["volume_per_atom"][ROOM] == pytest.approx(total, rel=0.01)


def test_failures_stay_alone() -> None:
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    given = [slab, bulk("Al", "diamond", a=5.2), bulk("Cu", a=3.59), bulk("Cu", a=3.3)]
    found = sorted(qha(given, AsePotential(), FEW), key=lambda o: o.index)
    assert [o.reason for o in found] == ["not_periodic", "imaginary_modes", None, "no_minimum"]
    assert "6 of 6 volumes" in found[1].message
    assert "towards larger volumes" in found[3].message
    assert len(found[3].result["volumes"]) == 6
    (alone,) = qha([bulk("Cu", a=3.59)], AsePotential(), FEW)
    assert found[2].result == alone.result


def test_a_volume_that_cannot_be_done_is_left_out() -> None:
    emt = AsePotential()
    largest = 1.06 * bulk("Cu", a=3.59).get_volume()
    emt.evaluator.refuse = lambda s: abs(np.linalg.det(s.cell)) / len(s.numbers) > 0.99 * largest
    whole = next(qha([bulk("Cu", a=3.59)], AsePotential(), FEW))
    outcome = next(qha([bulk("Cu", a=3.59)], emt, FEW))
    assert outcome.state == "ok"
    assert outcome.result["n_volumes"] == 5
    assert any("left out (not_finite)" in w for w in outcome.warnings)
    assert outcome.result["thermal_expansion"][ROOM] == pytest.approx(
        whole.result["thermal_expansion"][ROOM], rel=0.02
    )


def test_temperatures_without_a_minimum_are_said(emt: AsePotential) -> None:
    settings = FEW.model_copy(update={"temperatures": (0.0, 300.0, 1500.0, 2000.0)})
    outcome = next(qha([bulk("Cu", a=3.59)], emt, settings))
    assert outcome.state == "ok"
    assert outcome.result["temperatures"] == [0.0, 300.0]
    assert any("From 1500 K on" in w and "2 of 4" in w for w in outcome.warnings)


def test_a_relaxed_crystal_keeps_its_reference(pet: Potential) -> None:
    relaxed = next(relax([bulk("Nb", cubic=True)], pet))
    settings = FEW.model_copy(update={"volume_step": 0.01, "temperatures": (0.0, 300.0)})
    outcome = next(qha([relaxed.atoms], pet, settings, [relaxed.inherited]))
    assert outcome.state == "ok"
    assert outcome.reference_digest == relaxed.reference_digest
    assert len(outcome.atoms) == 1
    middle = outcome.result["energies"][settings.n_compressed]
    assert middle == pytest.approx(relaxed.result["energy_per_atom"], abs=1e-9)
    assert 0.5e-5 < outcome.result["thermal_expansion"][1] < 5e-5
