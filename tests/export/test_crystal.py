"""Crystal frames inside an exported file: the setting found again, the very cell, refusals."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from metatomic_ase import MetatomicCalculator

from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.potential import Potential
from pet_flows.export.model import symmetrized_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.properties.static.static import static
from pet_flows.symmetrization.crystal import inherited_by_supercell
from pet_flows.symmetrization.strategies import parse_strategy
from tests.export.exported import crystal_cells, in_process
from tests.rough import rough_model, unfiled
from tests.symmetrization.systems import orthogonal, sheared, turned


@lru_cache(maxsize=1)
def silicon_model():
    return symmetrized_model(rough_model(), parse_strategy("crystal"), bulk("Si"))


@pytest.mark.parametrize("name", crystal_cells())
def test_crystal_finds_the_setting(name):
    atoms, multiple = crystal_cells()[name]
    model = silicon_model()
    assert model.capabilities().interaction_range == np.inf
    inherited = inherited_by_supercell(
        parse_strategy("crystal").bind(bulk("Si")).as_dict(), multiple
    )
    expected = in_process("crystal", atoms, inherited)
    for seed in (0, 1):  # proper and improper
        q = orthogonal(seed)
        b = turned(atoms, q)
        b.calc = MetatomicCalculator(model)
        assert b.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
        np.testing.assert_allclose(b.get_forces() @ q.T, expected.forces, atol=1e-10)
        stress = q @ b.get_stress(voigt=False) @ q.T
        np.testing.assert_allclose(stress, expected.stress, atol=1e-10)


def test_crystal_with_a_group():
    strategy = parse_strategy("crystal:tetrahedral")
    atoms = sheared(bulk("Si"))
    expected = in_process(strategy.spec, atoms, strategy.bind(bulk("Si")).as_dict())
    atoms.calc = MetatomicCalculator(symmetrized_model(rough_model(), strategy, bulk("Si")))
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-10)


def test_crystal_orientation_keeps_the_cell_it_was_exported_for():
    strategy = parse_strategy("crystal:orientation")
    parent = bulk("Si", cubic=True)
    model = symmetrized_model(rough_model(), strategy, parent)
    atoms = sheared(parent * (1, 2, 1))
    inherited = inherited_by_supercell(strategy.bind(parent).as_dict(), np.diag([1, 2, 1]))
    expected = in_process("crystal:orientation", atoms, inherited)
    atoms.calc = MetatomicCalculator(model)
    assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), expected.stress, atol=1e-10)
    other = bulk("Si")
    other.calc = MetatomicCalculator(model)
    with pytest.raises(torch.jit.Error, match="integer multiple of the very cell"):
        other.get_potential_energy()


def test_crystal_refuses_other_cells():
    model = silicon_model()
    for atoms, sentence in (
        (bulk("Si", "hcp", a=3.8, c=6.2), "does not match the crystal reference"),
        (bulk("Si", "sc", a=2.5) * (2, 1, 1), "does not match the crystal reference"),
        (molecule("SiH4"), "three independent periodic"),
    ):
        atoms.calc = MetatomicCalculator(model)
        with pytest.raises(torch.jit.Error, match=sentence):
            atoms.get_potential_energy()


def test_what_a_file_refuses_fails_alone():
    spec = PotentialSpec(sha256="ab" * 32, symmetrization="none")
    potential = Potential(unfiled(spec), MetatomicRaw(silicon_model()))
    crystals = [bulk("Si"), bulk("Si", "hcp", a=3.8, c=6.2), bulk("Si", cubic=True)]
    found = {o.index: o for o in static(crystals, potential, StaticSettings())}
    assert [found[n].state for n in range(3)] == ["ok", "failed", "ok"]
    assert "does not match the crystal reference" in found[1].message
    assert "(pet-flows export --reference)" in found[1].message
