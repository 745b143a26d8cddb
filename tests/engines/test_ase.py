"""The ASE calculator: one crystal reference as long as it holds, and a word when it does not."""

import warnings

import numpy as np
import pytest
from ase.build import bulk

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec


def test_a_reference_found_anew_is_said():
    atoms = bulk("Cu", a=3.63, cubic=True)
    atoms.calc = SymmetrizedCalculator("pet-mvl")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        atoms.get_potential_energy()
        atoms.set_cell(atoms.cell.array @ np.diag([1.02, 1, 1]), scale_atoms=True)
        atoms.get_potential_energy()
    atoms.set_cell(atoms.cell.array @ np.diag([1.4, 1, 1]), scale_atoms=True)
    with pytest.warns(UserWarning, match="got a new one"):
        energy = atoms.get_potential_energy()
    fresh = atoms.copy()
    fresh.calc = SymmetrizedCalculator("pet-mvl")
    assert energy == pytest.approx(fresh.get_potential_energy(), abs=1e-10)


def test_structures_taken_in_turn_do_not_leak():
    calculator = SymmetrizedCalculator("pet-mvl")
    crystals = [bulk("Si", a=5.5), bulk("W", a=3.2, cubic=True), bulk("Si", a=5.3)]
    alone = []
    for atoms in crystals:
        copy = atoms.copy()
        copy.calc = SymmetrizedCalculator("pet-mvl")
        alone.append((copy.get_potential_energy(), copy.get_forces(), copy.get_stress()))
    kept = []
    for atoms in crystals:
        atoms.calc = calculator
        kept.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
    for (e, f, s), (e0, f0, s0) in zip(kept, alone, strict=True):
        assert e == pytest.approx(e0, abs=1e-12)
        np.testing.assert_allclose(f, f0, atol=1e-12)
        # Si once more: its reference is that of the first cell, whose volume plays no part
        np.testing.assert_allclose(s, s0, atol=1e-12)


def test_a_potential_may_be_named_in_any_way():
    atoms = bulk("Si")
    atoms.rattle(0.05, seed=3)
    plain = {"symmetrization": "none", "device": "cpu"}
    spec = PotentialSpec(model="pet-mvl", **plain)
    loaded = get_potential(spec)
    calculators = [
        SymmetrizedCalculator("pet-mvl", **plain),
        SymmetrizedCalculator(spec),
        SymmetrizedCalculator(resolve(spec)),
        SymmetrizedCalculator(loaded),
        SymmetrizedCalculator(loaded.with_(symmetrization="crystal"), symmetrization="none"),
    ]
    energies = {calculator.get_potential_energy(atoms) for calculator in calculators}
    assert len(energies) == 1
    assert all(calculator.potential is loaded for calculator in calculators)  # weights once


def test_the_atoms_of_a_call_change_no_result_and_no_digest():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=3)
    usual, cramped = get_potential("pet-mvl"), get_potential("pet-mvl", chunk_atoms=16)
    assert usual.spec.digest == cramped.spec.digest
    assert cramped.with_(dtype="float32").evaluator.chunk_atoms == 16
    forces = [SymmetrizedCalculator(p).get_forces(atoms) for p in (usual, cramped)]
    np.testing.assert_allclose(*forces, atol=1e-12)
    with pytest.raises(PetFlowsError, match="chunk_atoms must be at least 1"):
        get_potential("pet-mvl", chunk_atoms=0)
