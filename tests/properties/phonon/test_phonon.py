from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.units import _e, _hplanck, _k
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from scipy.spatial.transform import Rotation

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax
from pet_flows.symmetrization.crystal import inherited_by_supercell
from tests.properties.stub import AsePotential

SMALL = PhononSettings(min_length=7.0, mesh=(6, 6, 6), band_structure=False)


def frequencies(
    outcome: Outcome, calculator: Calculator, qpoints: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ours, and those of an independent phonopy run in the same supercell, (q, 3n) THz."""
    blob = outcome.blobs["phonon"]
    unit = PhonopyAtoms(
        numbers=blob["primitive_numbers"],
        cell=blob["primitive_cell"],
        positions=blob["primitive_positions"],
    )
    matrix = outcome.result["supercell_matrix"]
    ours = Phonopy(unit, supercell_matrix=matrix, primitive_matrix="P", is_symmetry=False)
    ours.force_constants = blob["force_constants"]
    other = Phonopy(unit, supercell_matrix=matrix, primitive_matrix="P")
    other.generate_displacements(distance=0.01, is_plusminus=True)
    forces = []
    for displaced in other.supercells_with_displacements or []:
        atoms = Atoms(
            numbers=displaced.numbers, cell=displaced.cell, positions=displaced.positions, pbc=True
        )
        atoms.calc = calculator
        forces.append(atoms.get_forces())
    other.forces = np.array(forces)
    other.produce_force_constants(show_drift=False)
    other.symmetrize_force_constants(show_drift=False)
    return tuple(  # type: ignore[return-value]
        np.array([p.get_frequencies(q) for q in qpoints]) for p in (ours, other)
    )


QPOINTS = np.array([[0, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0], [0.13, 0.27, -0.31], [0.1, 0, 0]])


@pytest.mark.parametrize(
    "atoms",
    [bulk("Cu", a=3.6), bulk("Ni", "hcp", a=2.5, c=4.0), bulk("Al", cubic=True, a=4.0)],
    ids=["fcc", "hcp", "conventional"],
)
def test_phonopy_by_hand_with_emt(emt: AsePotential, atoms: Atoms) -> None:
    outcome = next(phonon([atoms], emt, SMALL))
    assert outcome.state == "ok", outcome.message
    get_property("phonon").result.model_validate(outcome.result)
    ours, other = frequencies(outcome, EMT(), QPOINTS)
    assert ours == pytest.approx(other, abs=0.01)


def test_gamma_and_its_degeneracy_in_two_orientations(pet: Potential) -> None:
    silicon = bulk("Si", a=5.5)
    turned = silicon.copy()
    turn = -Rotation.random(rng=5).as_matrix()
    turned.set_cell(silicon.cell.array @ turn, scale_atoms=True)
    relaxed = sorted(relax([silicon, turned], pet), key=lambda o: o.index)
    found = sorted(
        phonon([o.atoms for o in relaxed], pet, SMALL, [o.inherited for o in relaxed]),
        key=lambda o: o.index,
    )
    gammas = []
    for before, outcome in zip(relaxed, found, strict=True):
        assert outcome.state == "ok"
        assert outcome.reference_digest == before.reference_digest
        blob = outcome.blobs["phonon"]
        at = int(np.argmin(np.abs(blob["mesh_qpoints"]).sum(1)))
        gamma = blob["mesh_frequencies"][at]
        assert np.sort(np.abs(gamma))[:3].max() < 1e-3
        optical = gamma[np.argsort(np.abs(gamma))[3:]]
        assert np.ptp(optical) < 1e-6
        gammas.append(gamma)
    assert gammas[0] == pytest.approx(gammas[1], abs=1e-5)
    assert found[0].result["max_frequency"] == pytest.approx(
        found[1].result["max_frequency"], abs=1e-5
    )
    # one displaced cell of 12 evaluations, and the perfect one
    assert found[0].n_evaluations == 13


@pytest.mark.parametrize("atoms", [bulk("W"), bulk("Si", cubic=True)], ids=["W", "Si"])
def test_phonopy_by_hand_with_pet(pet: Potential, atoms: Atoms) -> None:
    relaxed = next(relax([atoms], pet))
    outcome = next(phonon([relaxed.atoms], pet, SMALL, [relaxed.inherited]))
    assert outcome.n_evaluations == (7 if len(atoms) == 1 else 13)
    assert outcome.result["residual_force"] < 1e-10
    matrix = np.array(outcome.result["supercell_matrix"]).T
    inherited = inherited_by_supercell(outcome.inherited, matrix)
    calculator = SymmetrizedCalculator(pet, inherited=inherited)
    blob = outcome.blobs["phonon"]
    supercell = Atoms(
        numbers=blob["supercell_numbers"],
        positions=blob["supercell_positions"],
        cell=blob["supercell_cell"],
        pbc=True,
    )
    supercell.calc = calculator
    energy = supercell.get_potential_energy() / len(supercell)
    assert energy == pytest.approx(relaxed.result["energy_per_atom"], abs=1e-9)
    ours, other = frequencies(outcome, calculator, QPOINTS)
    assert ours == pytest.approx(other, abs=0.01)


def test_residual_forces_do_not_matter(emt: AsePotential) -> None:
    """An unrelaxed internal coordinate leaves forces that must not enter force constants."""
    atoms = bulk("Cu", "hcp", a=2.6, c=4.2)
    atoms.positions[1] += [0.0, 0.03, 0.02]
    outcome = next(phonon([atoms], emt, SMALL))
    assert outcome.result["residual_force"] > 0.02
    assert any("not relaxed" in w for w in outcome.warnings)
    constants = outcome.blobs["phonon"]["force_constants"]
    assert np.abs(constants.sum(1)).max() < 1e-10
    gamma = outcome.blobs["phonon"]["mesh_frequencies"][0]
    assert np.sort(np.abs(gamma))[:3].max() < 1e-3
    ours, other = frequencies(outcome, EMT(), QPOINTS[1:])
    assert ours == pytest.approx(other, abs=0.01)


def test_instability_is_a_result(emt: AsePotential) -> None:
    outcome = next(phonon([bulk("Cu", "diamond", a=5.2)], emt, SMALL))
    assert outcome.state == "ok"
    result = outcome.result
    assert result["has_imaginary_modes"]
    listed = [mode["frequency"] for mode in result["imaginary"]]
    assert listed == sorted(listed)
    assert listed[0] == result["min_frequency"] < -result["tolerance"]
    assert any("imaginary" in w for w in outcome.warnings)


def test_gamma_translations_are_not_imaginary(emt: AsePotential) -> None:
    settings = SMALL.model_copy(update={"tolerance": 0.0, "mesh": (4, 4, 4)})
    result = next(phonon([bulk("Cu", a=3.6)], emt, settings)).result
    assert not result["has_imaginary_modes"]
    assert result["min_frequency"] > 0.5


def test_thermal_properties_are_per_atom_and_right(emt: AsePotential) -> None:
    settings = SMALL.model_copy(update={"temperatures": (0.0, 300.0, 5000.0)})
    one, four = (next(phonon([a], emt, settings)) for a in (bulk("Cu"), bulk("Cu", cubic=True)))
    for first, second in zip(one.result["thermal"], four.result["thermal"], strict=True):
        assert first == pytest.approx(second, rel=1e-9)
    zero, warm, hot = one.result["thermal"]
    gas = 8.314462618
    # Dulong and Petit, without the three translations at Γ
    assert hot["cv"] == pytest.approx(3 * gas * (1 - 1 / 6**3), rel=1e-3)
    blob = one.blobs["phonon"]
    omega, weights = blob["mesh_frequencies"], blob["mesh_weights"]
    real = omega > 1e-3
    quantum = _hplanck * 1e12 * np.where(real, omega, 1.0)
    energy = 0.5 * np.where(real, quantum, 0.0)
    free = np.where(real, _k * 300 * np.log(1 - np.exp(-quantum / (_k * 300))), 0.0) + energy
    per_mole = 6.02214076e23 * 1e-3 / weights.sum()
    assert warm["f"] == pytest.approx(per_mole * weights @ free.sum(1), rel=1e-5)
    assert zero["f"] == pytest.approx(per_mole * weights @ energy.sum(1), rel=1e-5)
    assert one.result["zero_point_energy_per_atom"] == pytest.approx(
        weights @ energy.sum(1) / weights.sum() / _e, rel=1e-6
    )


def test_energies_spread_where_forces_have_no_spread(emt: AsePotential) -> None:
    """As with ecse, whose atoms have weights of their own."""
    evaluate = emt.evaluator.evaluate

    def spread(systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
        return [replace(e, energy_spread=2e-3) for e in evaluate(systems, forces)]

    emt.evaluator.evaluate = spread  # type: ignore[method-assign]
    (outcome,) = phonon([bulk("Cu", a=3.59)], emt, PhononSettings(min_length=5.0))
    assert (outcome.energy_spread, outcome.force_spread) == (2e-3, None)


def test_failures_stay_alone(emt: AsePotential) -> None:
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    emt.evaluator.refuse = lambda s: 28 in s.numbers
    structures = [slab, bulk("Ni"), bulk("Cu")]
    found = sorted(phonon(structures, emt, SMALL), key=lambda o: o.index)
    assert [o.reason for o in found] == ["not_periodic", "not_finite", None]
    assert found[2].state == "ok"


def test_large_cells_stay_within_their_bound(emt: AsePotential) -> None:
    settings = SMALL.model_copy(update={"min_length": 20.0, "max_atoms": 30})
    outcome = next(phonon([bulk("Cu")], emt, settings))
    assert abs(round(np.linalg.det(outcome.result["supercell_matrix"]))) <= 30
    assert any("less than the 20 Å" in w for w in outcome.warnings)


def test_memory_that_is_too_small_makes_the_supercell_smaller() -> None:
    potential = AsePotential()
    whole = potential.evaluator.evaluate

    def evaluate(systems: list[System], forces: bool = True) -> list[Evaluation]:
        if any(len(s.numbers) > 20 for s in systems):
            raise MemoryError
        return whole(systems, forces)

    potential.evaluator.evaluate = evaluate  # type: ignore[method-assign]
    crystals = [bulk("Cu"), bulk("Cu", "sc", a=2.4), bulk("Ni", "bcc", a=2.8).repeat(3)]
    found = sorted(phonon(crystals, potential, SMALL), key=lambda o: o.index)
    for outcome in found:
        assert outcome.state == "ok", outcome.message
        atoms = len(outcome.blobs["phonon"]["supercell_numbers"])
        assert atoms <= 20
        assert any("did not fit into memory" in w for w in outcome.warnings)
        assert any(f"less than the {SMALL.min_length:g} Å" in w for w in outcome.warnings)


def test_a_crystal_that_relaxed_into_a_smaller_cell(pet: Potential) -> None:
    """Its reference was made for the rattled supercell, which has no setting of the new cell."""
    rattled = bulk("W", a=3.18, cubic=True)
    rattled.rattle(0.05, seed=0)
    (relaxed,) = relax([rattled], pet, RelaxSettings(fmax=1e-5, smax=1e-5))
    settings = PhononSettings(min_length=6.0, band_structure=False)
    (found,) = phonon([relaxed.atoms], pet, settings, [relaxed.inherited])
    (perfect,) = relax([bulk("W", a=3.18)], pet, RelaxSettings(fmax=1e-5, smax=1e-5))
    (expected,) = phonon([perfect.atoms], pet, settings, [perfect.inherited])
    assert found.state == "ok"
    assert len(found.atoms) == 1
    assert any("a new reference was derived" in w for w in found.warnings)
    assert any("feel their own images" in w for w in found.warnings)  # 6 Å, the model has 15
    # the two lattice constants come from different references, simple cubic and bcc
    assert found.result["max_frequency"] == pytest.approx(
        expected.result["max_frequency"], rel=0.01
    )


def test_float32_models_are_evaluated_in_float64(pet: Potential) -> None:
    relaxed = next(relax([bulk("W")], pet, RelaxSettings()))
    one, other = (
        next(phonon([relaxed.atoms], pet.with_(dtype=d), SMALL, [relaxed.inherited]))
        for d in ("float32", "float64")
    )
    assert one.result == other.result
