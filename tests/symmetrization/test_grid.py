"""Fixed sets of rotations."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from metatomic_ase import MetatomicCalculator, SymmetrizedCalculator
from metatomic_ase._symmetry import _choose_quadrature, _get_quadrature

from pet_flows.symmetrization.grid import GROUPS, lebedev, off_axis_group
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import rough_model
from tests.symmetrization.systems import evaluate, turned


@pytest.mark.parametrize(
    ("name", "order"), [("tetrahedral", 12), ("octahedral", 24), ("icosahedral", 60)]
)
def test_groups_are_groups(name, order):
    group = off_axis_group(name)
    assert len(group) == order
    np.testing.assert_allclose(group[0], np.eye(3), atol=1e-14)
    np.testing.assert_allclose(np.linalg.det(group), 1, atol=1e-12)
    products = (group[:, None] @ group[None]).reshape(-1, 1, 9)
    distance = np.abs(products - group.reshape(1, -1, 9)).max(2).min(1)
    assert distance.max() < 1e-12


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_off_axis(name):
    """No rotation of the grid is one that a crystal with axes along x, y, z has itself."""
    cubic = np.array([g for g in bulk_operations() if np.linalg.det(g) > 0])
    gap = np.abs(off_axis_group(name)[1:, None] - cubic[None]).max((2, 3)).min()
    assert gap > 0.05


def bulk_operations():
    signs = np.array(np.meshgrid(*[[1, -1]] * 3)).reshape(3, -1).T
    return [np.diag(s) @ np.eye(3)[list(p)] for s in signs for p in PERMUTATIONS]


PERMUTATIONS = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]


@pytest.mark.parametrize("degree", [1, 3, 4, 5, 11])
def test_lebedev_is_metatomic_s(degree):
    rotations, weights = lebedev(degree)
    theirs, their_weights = _get_quadrature(*_choose_quadrature(degree), True)
    np.testing.assert_allclose(rotations.transpose(0, 2, 1), theirs, atol=1e-13)
    np.testing.assert_allclose(weights, their_weights, atol=1e-15)


@pytest.mark.parametrize(
    "spec", ["grid:tetrahedral", "grid:octahedral:inversion", "grid:lebedev:3"]
)
def test_energy_is_the_mean_over_turned_copies(spec):
    atoms = molecule("H2O")
    fixed = parse_strategy(spec).bind(atoms)
    plan = fixed.plan(None, None)
    np.testing.assert_allclose(plan.weights.sum(0), 1, atol=1e-14)
    energies = [evaluate("none", turned(atoms, q.numpy())).energy for q in plan.rotations]
    mean = (plan.weights[:, 0].numpy() * energies).sum()
    result = evaluate(spec, atoms)
    assert abs(result.energy - mean) < 1e-12
    assert result.n_evaluations == len(plan.rotations)


def test_group_grid_is_invariant_under_its_own_group():
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    q = off_axis_group("tetrahedral")[5]
    one, two = (evaluate("grid:tetrahedral", a) for a in (atoms, turned(atoms, q)))
    assert abs(one.energy - two.energy) < 1e-11
    np.testing.assert_allclose(two.forces, one.forces @ q, atol=1e-11)


def test_lebedev_energy_is_metatomic_s():
    """Not only the same matrices, but used the same way round."""
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=0)
    base = MetatomicCalculator(rough_model(), check_consistency=False)
    theirs = atoms.copy()
    theirs.calc = SymmetrizedCalculator(base, l_max=3)
    found = evaluate("grid:lebedev:3", atoms)
    assert abs(found.energy - theirs.get_potential_energy()) < 1e-9
    np.testing.assert_allclose(found.forces, theirs.get_forces(), atol=1e-8)
