"""Orientations that a crystal's symmetry makes equal, evaluated once: exact, and cheap."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell
from scipy.spatial.transform import Rotation

from pet_flows.symmetrization.ecse import EcseBound
from pet_flows.symmetrization.ecse_orbits import generators, multiplicities, own_operations
from tests.symmetrization import checks
from tests.symmetrization.systems import crystals, evaluate, orthogonal, strategy_of, turned

CHAIN = Atoms("CO", [[0, 0, 0], [0, 0, 1.5]], cell=[9.0, 9.0, 3.2], pbc=True)


class Unreduced(EcseBound):
    """Every copy of every frame."""

    _reducible = False


def unreduced(atoms, spec):
    bound = strategy_of(spec).bind(atoms)
    bound.__class__ = Unreduced
    return bound


def displaced():
    atoms = make_supercell(crystals()["diamond"][0], [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    atoms.positions[0, 0] += 0.05
    return atoms


#: name → copies that are left, and copies of all frames
CASES = {
    "fcc": ("ecse", 5, 240), "bcc": ("ecse", 7, 336), "hcp": ("ecse", 19, 456),
    "diamond": ("ecse", 1, 48), "rocksalt": ("ecse", 2, 96), "zincblende": ("ecse", 2, 48),
    "wurtzite": ("ecse", 8, 96), "perovskite": ("ecse", 3, 144), "P4mm": ("ecse:atom", None, None),
    "triclinic": ("ecse", 92, 92), "rhombohedral": ("ecse", 8, 96),
    "monoclinic": ("ecse:atom", 20, 80), "displaced": ("ecse", 48, 192),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_of_each_orbit_is_all(name):
    spec, left, copies = CASES[name]
    atoms = displaced() if name == "displaced" else crystals()[name][0]
    atoms = turned(atoms, orthogonal(1))
    one, all_ = evaluate(spec, atoms), evaluate(spec, atoms, bound=unreduced(atoms, spec))
    if left is not None:
        assert (one.n_evaluations, all_.n_evaluations) == (left, copies)
    assert abs(one.energy - all_.energy) < 1e-13 * len(atoms) * max(1, abs(one.energy))
    np.testing.assert_allclose(one.energies, all_.energies, rtol=0, atol=1e-12)
    np.testing.assert_allclose(one.forces, all_.forces, rtol=0, atol=1e-11)
    np.testing.assert_allclose(one.stress, all_.stress, rtol=0, atol=1e-13)
    if one.energy_spread is not None:
        assert one.energy_spread == pytest.approx(all_.energy_spread, abs=1e-12)


@pytest.mark.parametrize("strain", [1e-8, 5e-8, 1.5e-7, 2e-7, 5e-7, 9e-7, 2e-6])
def test_lattices_about_to_become_more_symmetric_are_evaluated_too(strain):
    fcc = bulk("Cu", "sc", a=2.7)
    for stretch in ([1, 1 + strain, 1], [1, 1 + strain, 1 + 2.1 * strain]):
        atoms = fcc.copy()
        atoms.set_cell(fcc.cell.array * stretch, scale_atoms=True)
        matrices, _ = own_operations(atoms.numbers, atoms.cell.array, atoms.positions)
        # the tetragonal or orthorhombic cell keeps its own group where that can be told
        assert len(matrices) in ((8,) if stretch[2] > 1 else (16,))
        assert (np.abs(matrices - np.eye(3)).max((1, 2)) < 1e-9).any()


def test_a_group_after_the_frames():
    atoms, spec = crystals()["bcc"][0], "ecse:atom:tetrahedral"
    one = evaluate(spec, atoms)
    all_ = evaluate(spec, atoms, bound=unreduced(atoms, spec))
    assert (one.n_evaluations, all_.n_evaluations) == (2 * 12, 96 * 12)
    assert abs(one.energy - all_.energy) < 1e-12
    np.testing.assert_allclose(one.stress, all_.stress, rtol=0, atol=1e-13)


def test_derivatives_of_what_is_reduced():
    """Against energies of displaced and strained cells, where little or nothing is reduced."""
    atoms = crystals()["wurtzite"][0]
    assert abs(evaluate("ecse", atoms).forces).max() > 1e-3
    checks.finite_differences("ecse", atoms)


def test_supercells_cost_what_their_primitive_cell_does():
    atoms = bulk("Cu", cubic=True) * (2, 1, 1)
    assert evaluate("ecse", atoms).n_evaluations == evaluate("ecse", bulk("Cu")).n_evaluations == 5


def test_own_operations_are_a_group_of_the_structure():
    for name, order in (("fcc", 48), ("quartz", 6), ("monoclinic", 4), ("triclinic", 1)):
        atoms = turned(crystals()[name][0], orthogonal(3))
        matrices, permutations = own_operations(atoms.numbers, atoms.cell.array, atoms.positions)
        assert len(matrices) == order, name
        moved = atoms.positions @ matrices - atoms.positions[permutations]
        shift = (moved - moved[:, :1]) @ np.linalg.inv(atoms.cell.array)
        np.testing.assert_allclose(shift, np.rint(shift), atol=1e-9)


@pytest.mark.parametrize("name", ["fcc", "hcp", "quartz"])
def test_generators_make_the_whole_group(name):
    atoms = crystals()[name][0]
    matrices, _ = own_operations(atoms.numbers, atoms.cell.array, atoms.positions)
    few = matrices[generators(matrices)]
    assert len(few) < 6
    made = np.eye(3)[None]
    for _ in range(len(matrices)):
        products = np.concatenate([made, (made[:, None] @ few).reshape(-1, 3, 3)])
        made = products[np.unique(products.round(6) + 0.0, axis=0, return_index=True)[1]]
    assert len(made) == len(matrices)


def test_symmetry_that_is_broken_saves_nothing():
    atoms = crystals()["fcc"][0] * (2, 1, 1)
    atoms.rattle(1e-6, seed=1)
    matrices, _ = own_operations(atoms.numbers, atoms.cell.array, atoms.positions)
    assert len(matrices) <= 2  # two atoms always have an inversion between them


def test_copies_that_are_no_orbits_are_left_alone():
    """An arbitrary axis, as of a linear environment, has no image under the operations."""
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(4, 3, 3)))[0]
    weights = np.full((4, 1), 0.25)
    inversion = np.stack([np.eye(3), -np.eye(3)])
    one = multiplicities(rotations, weights, inversion, np.zeros((2, 1), dtype=int))
    np.testing.assert_array_equal(one, 1)


def test_linear_chains_in_a_crystal():
    """Axes without any neighbour off them, in a cell of high symmetry."""
    atoms = CHAIN
    one = checks.covariance("ecse", atoms, seeds=(1,))
    all_ = evaluate("ecse", atoms, bound=unreduced(atoms, "ecse"))
    assert abs(one.energy - all_.energy) < 1e-11


def test_sum_of_weights_is_one_on_average_over_exchanged_atoms():
    atoms = crystals()["quartz"][0]
    plan = strategy_of("ecse").bind(atoms).plan(
        torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    )  # fmt: skip
    total = plan.weights.sum(0)
    _, permutations = plan.operations
    np.testing.assert_allclose(total[permutations].mean(0), 1, atol=1e-12)


def test_copies_that_are_nearly_the_same_go_together():
    """A row of copies, each the next one's neighbour but the first not the last one's."""
    turns = [Rotation.from_rotvec([0, 0, angle]).as_matrix() for angle in (0, 6e-7, 1.2e-6, 1.8e-6)]
    rng = np.random.default_rng(0)
    base = np.stack([orthogonal(4) @ turn for turn in turns])
    group = np.stack([np.eye(3), -np.eye(3), np.diag([1.0, -1, -1]), np.diag([-1.0, 1, 1])])
    copies = np.concatenate([g.T @ base for g in group])
    weights = np.full((len(copies), 1), 1 / len(copies))
    for _ in range(20):
        order = rng.permutation(len(copies))
        many = multiplicities(copies[order], weights, group, np.zeros((4, 1), dtype=int))
        np.testing.assert_array_equal(np.sort(many), [0] * 12 + [4] * 4)
        assert len(set(order[many > 0] // 4)) == 1  # all of one row


def moved(index, direction):
    def displace(atoms, x):
        new = atoms.copy()
        new.positions[index] += x * np.array(direction)
        return new

    return displace


def stretched(atoms, x):
    new = atoms.copy()
    new.set_cell(atoms.cell.array @ (np.eye(3) + x * np.diag([0.2, 0.5, 1.0])), scale_atoms=True)
    return new


#: symmetric structure, a way through it, and the largest slope of forces (eV/Å²) along it
PATHS = {
    "chain": (CHAIN, moved(1, [0.6, 0.8, 0.0]), 1.0),
    "caesium chloride": (bulk("NaCl", "cesiumchloride", a=3.4), moved(1, [0.1, 0.2, 0.97]), 5.0),
    "zincblende": (crystals()["zincblende"][0], moved(0, [1.0, 0.0, 0.0]), 5.0),
    "fcc": (bulk("Cu"), stretched, 0.0),
}


@pytest.mark.parametrize("name", PATHS)
def test_smooth_through_symmetric_structures(name):
    """What is evaluated changes with the symmetry, on both sides of it; energy and forces do not.

    The steps that remain are those of operations that hold to 1e-9 Å, times some eV/Å.
    """
    atoms, along, slope = PATHS[name]
    atoms = turned(atoms, orthogonal(2))
    here = evaluate("ecse", atoms)
    numbers = {here.n_evaluations}
    for x in (5e-10, 3e-9, -3e-9, 1e-7, 1e-6, -1e-6, 1e-5):
        there = along(atoms, x)
        result = evaluate("ecse", there)
        numbers.add(result.n_evaluations)
        assert abs(result.forces - here.forces).max() < slope * abs(x) + 2e-9
        assert abs(result.stress - here.stress).max() < 100 * abs(x) + 2e-9
        work = -((there.positions - atoms.positions) * (result.forces + here.forces)).sum() / 2
        if not slope:
            strain = np.linalg.solve(atoms.cell.array, there.cell.array) - np.eye(3)
            work = (strain * (result.stress + here.stress)).sum() / 2 * atoms.get_volume()
        assert abs(result.energy - here.energy - work) < 2e-8, x
    assert len(numbers) > 1
