"""Space groups: found on the primitive cell, snapped to in one pass, kept."""

import json

import numpy as np
import pytest
from ase.build import make_supercell, molecule

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.primitive import Primitive
from pet_flows.errors import StructureError
from tests.crystallography.snap import snap
from tests.symmetrization import checks
from tests.symmetrization.systems import crystals, evaluate, orthogonal, turned

NUMBERS = {
    "fcc": 225, "bcc": 229, "hcp": 194, "diamond": 227, "rocksalt": 225, "zincblende": 216,
    "wurtzite": 186, "perovskite": 221, "P4mm": 99, "quartz": 152, "pyrite": 205, "triclinic": 1,
    "rhombohedral": 166, "monoclinic": 14,
}  # fmt: skip


def rounded(name, matrix=((2, 0, 0), (0, 1, 0), (0, 0, 1)), seed=4):
    atoms = turned(make_supercell(crystals()[name][0], matrix), orthogonal(seed))
    atoms = atoms[np.random.default_rng(seed).permutation(len(atoms))]
    atoms.positions = (atoms.positions + np.array([0.3, 0.1, 0.7])).round(4)
    atoms.set_cell(atoms.cell.array.round(4))
    atoms.wrap()
    return atoms


@pytest.mark.parametrize("name", NUMBERS)
def test_snaps_in_one_pass_and_keeps_origin_and_orientation(name):
    atoms = rounded(name)
    group = SpaceGroup.find(atoms)
    assert group.number == NUMBERS[name]
    snapped = snap(group, atoms)
    assert abs(snapped.positions - atoms.positions).max() < 4e-4
    np.testing.assert_allclose(
        snapped.get_scaled_positions(False).mean(0), atoms.get_scaled_positions(False).mean(0),
        atol=1e-12,
    )  # fmt: skip
    tight = SpaceGroup.find(snapped, 1e-8)
    assert tight.number == group.number
    again = snap(tight, snapped)
    np.testing.assert_allclose(again.positions, snapped.positions, atol=2e-13)
    np.testing.assert_allclose(again.cell.array, snapped.cell.array, atol=2e-13)


@pytest.mark.parametrize("name", ["diamond", "wurtzite", "quartz"])
def test_snapped_supercells_cost_what_their_primitive_cell_does(name):
    atoms = rounded(name)
    snapped = snap(SpaceGroup.find(atoms), atoms)
    result = evaluate("crystal", snapped)
    assert result.n_evaluations == crystals()[name][1]
    group = SpaceGroup.find(snapped, 1e-8)
    cell = snapped.cell.array
    np.testing.assert_allclose(
        group.symmetrize_forces(result.forces, cell), result.forces, atol=1e-12
    )
    np.testing.assert_allclose(
        group.symmetrize_stress(result.stress, cell), result.stress, atol=1e-12
    )


def test_snapped_supercell_of_rocksalt():
    checks.snapped_supercell()


def test_projection_does_not_mind_wrapping_nor_drift():
    atoms = rounded("quartz")
    group = SpaceGroup.find(atoms)
    atoms = snap(group, atoms)
    moved = atoms.copy()
    drift = np.array([5.3, 2.0, 1.0])
    moved.positions += np.random.default_rng(0).normal(0, 1e-3, moved.positions.shape) + drift
    cell = atoms.cell.array
    free = group.projection.positions(moved.positions, cell[None])
    assert abs(free - atoms.positions - drift).max() < 3e-3
    moved.wrap()
    shift = (group.projection.positions(moved.positions, cell[None]) - free) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shift, np.rint(shift), atol=1e-12)


def test_projection_is_one_and_the_nearest():
    """Idempotent; forces that obey the symmetry move positions that stay in it."""
    atoms = rounded("wurtzite", seed=2)
    group = SpaceGroup.find(atoms)
    atoms = snap(group, atoms)
    cell = group.project_cell(atoms.cell.array @ (np.eye(3) + 0.01 * orthogonal(1)))
    np.testing.assert_allclose(group.project_cell(cell), cell, atol=1e-13)
    noise = np.random.default_rng(0).normal(size=(len(atoms), 3))
    forces = group.symmetrize_forces(noise, atoms.cell.array)
    stepped = atoms.positions + 0.02 * forces
    np.testing.assert_allclose(
        group.projection.positions(stepped, atoms.cell.array[None]), stepped, atol=1e-13
    )
    left = noise - forces
    np.testing.assert_allclose(group.symmetrize_forces(left, atoms.cell.array), 0, atol=1e-14)


def test_survives_json():
    atoms = rounded("pyrite")
    group = SpaceGroup.find(atoms)
    again = SpaceGroup.from_dict(json.loads(json.dumps(group.as_dict())))
    np.testing.assert_allclose(
        snap(again, atoms).positions, snap(group, atoms).positions, atol=1e-13
    )


def test_charges_and_moments_do_not_count():
    atoms = make_supercell(crystals()["bcc"][0], np.diag([2, 1, 1]))
    atoms.set_initial_charges([2.0, 3.0])
    atoms.set_initial_magnetic_moments([1.0, -1.0])
    assert SpaceGroup.find(atoms).number == 229


def test_refuses_molecules():
    with pytest.raises(StructureError, match="three independent periodic"):
        SpaceGroup.find(molecule("H2O"))


def test_operations_that_are_no_group_are_refused():
    """A mean over some of a group's operations is not invariant under any of them."""
    group = SpaceGroup.find(crystals()["quartz"][0]).as_dict()
    missing = {**group, **{k: group[k][:-1] for k in ("rotations", "permutations", "shifts")}}
    exchanged = {**group, "permutations": [*group["permutations"][1:], group["permutations"][0]]}
    for given in (missing, exchanged):
        with pytest.raises(
            StructureError, match="not a group, because a product of two of them is missing"
        ):
            SpaceGroup.from_dict(json.loads(json.dumps(given)))


@pytest.mark.parametrize("name", ["quartz", "wurtzite", "pyrite", "monoclinic"])
def test_one_convention(name):
    """Rows and columns say the same of the atoms, in the primitive cell's own basis."""
    atoms = make_supercell(crystals()[name][0], np.diag([2, 1, 1]))
    group = SpaceGroup.find(turned(atoms, orthogonal(3)))
    own = group.fractional[group.primitive.atoms]
    rotations, translations = group.columns
    assert len(group) == len(rotations) > 1
    for k, permutation in enumerate(group.permutations):
        by_rows = own @ group.rotations[k] + group.translations[k] - own[permutation]
        np.testing.assert_allclose(by_rows, np.rint(by_rows), atol=1e-9)
        by_columns = own @ rotations[k].T + translations[k]
        np.testing.assert_allclose(by_columns, by_rows + own[permutation], atol=1e-12)


def test_a_subgroup_keeps_less():
    group = SpaceGroup.find(crystals()["fcc"][0])
    twofold = (np.trace(group.rotations, axis1=1, axis2=2) == -1).argmax()
    less = group.subgroup(np.array([0, twofold]))
    assert len(less) == 2
    stress = np.arange(9.0).reshape(3, 3)
    stress = stress + stress.T
    q = less.operations(crystals()["fcc"][0].cell.array)[1]
    mean = less.symmetrize_stress(stress, crystals()["fcc"][0].cell.array)
    np.testing.assert_allclose(mean, (stress + q.T @ stress @ q) / 2, atol=1e-12)


def test_a_group_in_another_cell_projects_onto_that_cell():
    """The atoms of the supercell are other images of those of the primitive cell."""
    rng = np.random.default_rng(0)
    primitive = crystals()["quartz"][0].copy()
    group = SpaceGroup.find(primitive, 1e-5)
    larger = primitive * (2, 1, 1)
    larger.positions += rng.integers(-3, 4, (len(larger), 3)) @ larger.cell.array
    n = len(primitive)
    cut = Primitive(np.arange(n), np.diag([0.5, 1, 1]), np.tile(np.arange(n), 2))
    own = larger.positions @ np.linalg.inv(primitive.cell.array)
    found = group.in_cell(cut, own)
    assert found.projection.positions(larger.positions, larger.cell.array[None]) == pytest.approx(
        larger.positions, abs=1e-10
    )
    moved = larger.positions + rng.normal(scale=0.05, size=larger.positions.shape)
    larger.positions = found.projection.positions(moved, larger.cell.array[None])
    assert len(SpaceGroup.find(larger, 1e-5)) == len(group)


@pytest.mark.parametrize("name", ["fcc", "quartz", "perovskite"])
def test_what_a_group_was_found_of_is_placed_as_it_is_snapped(name):
    """In a supercell as well, and nothing of it is missed; what has moved misses twice of that."""
    atoms = crystals()[name][0].repeat((2, 1, 1))
    atoms.rattle(1e-4, seed=2)
    group = SpaceGroup.find(atoms)
    cell, positions = group.placed(atoms.cell.array)
    snapped = snap(group, atoms)
    np.testing.assert_allclose(cell, snapped.cell.array, atol=1e-13)
    np.testing.assert_allclose(positions, snapped.positions, atol=1e-12)
    assert group.residual(positions, cell) < 1e-12
    positions[-1] += [0.003, 0.0, 0.0]
    assert group.residual(positions, cell) == pytest.approx(0.006, rel=1e-6)
    assert group.residual(snapped.positions, cell * [1.0, 1.0, 1.001]) > 1e-3
