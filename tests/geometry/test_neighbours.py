"""Neighbours of any cell, against ASE's search; atoms on top of each other, likewise."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.errors import StructureError
from pet_flows.geometry.closest import OVERLAP, closest_pair
from pet_flows.geometry.neighbours import find_neighbours
from pet_flows.models.spec import PotentialSpec

SKEW = np.array([[1, 0, 0], [30, 1, 0], [-20, 50, 1]])
EXTREME = np.array([[1, 0, 0], [200, 1, 0], [300, 500, 1]])


def scattered(seed: int, pbc: tuple[bool, bool, bool], skew: np.ndarray | None = None) -> Atoms:
    """Twelve atoms in a random cell, some of them far outside of it."""
    rng = np.random.default_rng(seed)
    cell = 4.0 * np.eye(3) + rng.uniform(-1, 1, (3, 3))
    where = rng.uniform(0, 1, (12, 3)) + rng.integers(-3, 4, (12, 3)) * np.array(pbc)
    atoms = Atoms("Si12", positions=where @ cell, cell=cell, pbc=pbc)
    if skew is not None:
        atoms.set_cell(skew @ cell)
    return atoms


def vectors(atoms: Atoms, i: np.ndarray, j: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    return atoms.positions[j] - atoms.positions[i] + shifts @ atoms.cell.array


@pytest.mark.parametrize("skew", [None, SKEW], ids=["upright", "skewed"])
@pytest.mark.parametrize(
    "pbc", [(True,) * 3, (True, True, False), (False, True, False), (False,) * 3]
)
def test_all_pairs_of_any_cell(pbc, skew):
    if skew is not None:
        skew = np.where(np.outer(pbc, pbc), skew, np.eye(3)).astype(int)
    for seed in range(3):
        atoms = scattered(seed, pbc, skew)
        found = find_neighbours(atoms.positions, atoms.cell.array, atoms.pbc, 4.5)
        d = vectors(atoms, *found[:3])
        np.testing.assert_allclose(np.linalg.norm(d, axis=1), found.lengths, atol=1e-9)
        i, j, expected = neighbor_list("ijD", scattered(seed, pbc), 4.5)
        mine = np.column_stack([found.first, found.second, d])
        theirs = np.column_stack([i, j, expected])
        assert mine.shape == theirs.shape
        for rows in (mine, theirs):
            rows[:] = rows[np.lexsort(rows.round(6).T)]
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
        half = find_neighbours(atoms.positions, atoms.cell.array, atoms.pbc, 4.5, full=False)
        assert 2 * len(half.first) == len(found.first)


@pytest.mark.parametrize("pbc", [(True,) * 3, (True, True, False), (False, False, True)])
def test_atoms_many_cells_outside_have_the_same_neighbours(pbc):
    rng = np.random.default_rng(4)
    atoms = scattered(4, pbc)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    atoms.set_cell(atoms.cell.array @ turn)
    atoms.positions = atoms.positions @ turn
    found = find_neighbours(atoms.positions, atoms.cell.array, atoms.pbc, 4.5)
    far = rng.integers(-3000, 3000, (12, 3)) * np.array(pbc)
    positions = atoms.positions + far @ atoms.cell.array
    again = find_neighbours(positions, atoms.cell.array, atoms.pbc, 4.5)
    back = again.shifts + far[again.second] - far[again.first]
    pairs = [
        sorted(map(tuple, np.column_stack([n.first, n.second, s]).tolist()))
        for n, s in ((found, found.shifts), (again, back))
    ]
    assert pairs[0] == pairs[1]
    np.testing.assert_allclose(np.sort(again.lengths), np.sort(found.lengths), atol=1e-9)


@pytest.mark.parametrize(
    "pbc", [(True,) * 3, (True, True, False), (False, False, True), (False,) * 3]
)
@pytest.mark.parametrize("shrunk", [1.0, 0.3, 0.1], ids=["large", "small", "tiny"])
def test_atoms_on_top_of_each_other(pbc, shrunk):
    """In cells of 4, 1.2 and 0.4 Å, where images, of the atom itself too, are the nearest."""
    seen = {"none": 0, "pair": 0, "image": 0}
    for seed in range(12):
        skew = np.where(np.outer(pbc, pbc), SKEW, np.eye(3)).astype(int)
        plain, atoms = scattered(seed, pbc), scattered(seed, pbc, skew)
        n = 1 + seed % 4
        for each in (plain, atoms):
            each.set_cell(shrunk * each.cell.array, scale_atoms=True)
            del each[n:]
        found = closest_pair(atoms.positions, atoms.cell.array, atoms.pbc, 1.1)
        i, j, d = neighbor_list("ijd", plain, 1.1)
        assert (found is None) == (len(d) == 0)
        if found is None:
            seen["none"] += 1
            continue
        assert found.distance == pytest.approx(d.min(), abs=1e-9)
        same = np.abs(d - d.min()) < 1e-9
        if found.first == found.second:
            assert (i == j)[same].any()
        else:
            assert (found.first, found.second) in set(zip(i[same], j[same], strict=True))
        seen["image" if found.first == found.second else "pair"] += 1
    assert seen["pair"] or (shrunk == 0.1 and any(pbc))
    assert seen["image"] or shrunk > 0.1 or not any(pbc)


def test_the_nearest_image_is_not_always_that_of_the_nearest_fractions():
    cell = np.array([[1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0], [0.0, 0.0, 4.0]])
    atoms = Atoms("Si2", positions=[[0, 0, 0], 0.45 * (cell[0] + cell[1])], cell=cell, pbc=True)
    expected = neighbor_list("d", atoms, 0.6).min()
    assert expected == pytest.approx(0.5074, abs=1e-4)
    found = closest_pair(atoms.positions, atoms.cell.array, atoms.pbc, 0.6)
    assert found == (0, 1, pytest.approx(expected))


def test_open_axes_need_no_lattice_vector():
    positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.4]])
    for cell, pbc in ((np.zeros((3, 3)), [False] * 3), (np.diag([3.0, 3, 0]), [True, True, False])):
        assert closest_pair(positions, cell, pbc) == (0, 1, pytest.approx(0.4))
        assert closest_pair(3 * positions, cell, pbc, OVERLAP) is None


def test_what_cannot_be_searched_is_refused_by_ase_calculators_too():
    spec = PotentialSpec(model="pet-mvl", symmetrization="none")
    plain = SymmetrizedCalculator(get_potential(spec))
    far = Atoms("Si2", positions=[[0, 0, 0], [0, 0, 1e6]])
    long = Atoms("Si", cell=[3, 3, 1e6], pbc=True)
    for atoms in (far, long):
        atoms.calc = plain
        with pytest.raises(StructureError) as caught:
            atoms.get_potential_energy()
        assert caught.value.reason == "not_searchable"
    flat = Atoms("Si", cell=np.zeros((3, 3)), pbc=True, calculator=plain)
    with pytest.raises(StructureError, match="not independent"):  # and not out of memory
        flat.get_potential_energy()


@pytest.mark.parametrize(
    ("cell", "pbc", "z", "reason"),
    [
        (np.zeros((3, 3)), (True, True, True), 0.0, "degenerate_cell"),
        (np.zeros((3, 3)), (True, True, False), 0.0, "degenerate_cell"),  # a division by zero
        (np.zeros((3, 3)), (False, True, False), 0.0, "degenerate_cell"),
        ([[3, 0, 0], [6, 0, 0], [0, 0, 9]], (True, True, False), 0.0, "degenerate_cell"),
        ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], (True, True, True), 0.0, "degenerate_cell"),
        # a volume that only the order of its sum makes zero
        (
            [[1.2, 3.1, -0.4], [4.1, -2.0, 1.1], [5.3, 1.1, 0.7000000000000001]],
            (True, True, True),
            0.0,
            "degenerate_cell",
        ),
        (np.eye(3) * 4, (True, True, True), np.nan, "not_finite"),
        (np.eye(3) * 4, (False, False, False), np.nan, "not_finite"),
        (np.diag([4, 4, np.inf]), (True, True, True), 0.0, "not_finite"),
        (np.eye(3) * 4, (True, True, True), None, "empty"),
    ],
)
def test_what_is_no_structure_is_refused(cell, pbc, z, reason):
    positions = np.zeros((0, 3)) if z is None else np.array([[0.0, 0.0, z]])
    with pytest.raises(StructureError) as caught:
        find_neighbours(positions, np.array(cell, dtype=float), np.array(pbc), 4.5)
    assert caught.value.reason == reason


def test_an_open_axis_needs_no_vector():
    cell = np.diag([3.0, 3.0, np.nan])
    found = find_neighbours(np.zeros((1, 3)), cell, np.array([True, True, False]), 4.5)
    assert len(found.first) == 8


@pytest.mark.parametrize("name", ["none", "crystal", "ecse"])
def test_another_setting_of_the_cell_is_the_same_crystal(name):
    potential = get_potential(PotentialSpec(model="pet-mvl", symmetrization=name))
    silicon = bulk("Si")
    silicon.rattle(0.05, seed=2)
    silicon.calc = SymmetrizedCalculator(potential)
    skewed = silicon.copy()
    skewed.set_cell(EXTREME @ silicon.cell.array)
    skewed.calc = SymmetrizedCalculator(potential)
    energy, forces = silicon.get_potential_energy(), silicon.get_forces()
    assert skewed.get_potential_energy() == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(skewed.get_forces(), forces, atol=1e-8)
    np.testing.assert_allclose(skewed.get_stress(), silicon.get_stress(), atol=1e-9)
