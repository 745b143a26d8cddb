"""Ecse frames inside an exported file: those of the strategy, and how far they look."""

import numpy as np
import pytest
from metatomic_ase import MetatomicCalculator

from pet_flows.export.model import symmetrized_model
from pet_flows.symmetrization.strategies import parse_strategy
from tests.export.exported import in_process
from tests.rough import rough_model
from tests.symmetrization.systems import molecules

CHEAP = {
    "ecse:atom": ("dimer", "linear", "slab"),
    "ecse:structure": ("water", "linear", "slab"),
    "ecse:tetrahedral": ("water", "dimer"),
}


@pytest.mark.parametrize("spec", ["ecse", "ecse:atom", "ecse:structure", "ecse:tetrahedral"])
def test_ecse_equals_the_strategy(spec):
    model = symmetrized_model(rough_model(), parse_strategy(spec), chunk_atoms=300)
    for name in ("water", "dimer", "linear", "bent0.5", "tail", "slab", "melt"):
        if spec != "ecse" and name not in CHEAP[spec]:
            continue
        atoms = molecules()[name]
        expected = in_process(spec, atoms)
        atoms.calc = MetatomicCalculator(model)
        assert atoms.get_potential_energy() == pytest.approx(expected.energy, abs=1e-10), name
        np.testing.assert_allclose(atoms.get_forces(), expected.forces, atol=1e-10, err_msg=name)
        each = atoms.get_potential_energies()
        np.testing.assert_allclose(each, expected.energies, atol=1e-10, err_msg=name)
        if expected.stress is not None:
            stress = atoms.get_stress(voigt=False)
            np.testing.assert_allclose(stress, expected.stress, atol=1e-10)


def test_single_atom_is_left_alone():
    atoms = molecules()["atom"]
    plain = atoms.copy()
    plain.calc = MetatomicCalculator(rough_model())
    atoms.calc = MetatomicCalculator(symmetrized_model(rough_model(), parse_strategy("ecse")))
    assert atoms.get_potential_energy() == pytest.approx(plain.get_potential_energy(), abs=1e-12)
    assert np.abs(atoms.get_forces()).max() == 0


def test_ranges_and_neighbour_lists():
    def of(spec):
        return symmetrized_model(rough_model(n_layers=1), parse_strategy(spec))

    local = of("ecse")

    plain = rough_model(n_layers=1).capabilities().interaction_range
    assert of("grid:octahedral").capabilities().interaction_range == plain
    assert local.capabilities().interaction_range == 2 * plain
    assert of("ecse:structure").capabilities().interaction_range == np.inf
    assert [o.cutoff for o in local.requested_neighbor_lists()] == [4.5]
