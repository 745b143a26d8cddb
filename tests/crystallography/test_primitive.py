"""Translations of a cell: all of them, whatever lies near the tolerance, and in large cells."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.crystallography.primitive import _of_few, _translations, find_primitive
from pet_flows.crystallography.rarest import SURROUNDINGS
from pet_flows.crystallography.sites import EXACT, Sites
from pet_flows.symmetrization.crystal import derive
from tests.symmetrization.systems import orthogonal, turned


def modulated(repeats):
    """Copper whose translations hold to 33, 9.9, 3.3 and 0.33 mÅ: each just beyond a tolerance."""
    x, y, z = ([0, a, b, a + b] for a, b in ((0.4, 165e-6), (0.014025, 4.95e-3), (1.65e-3, 0)))
    places = [
        [3 * i + x[i % 4], 3 * j + y[j], 3 * k + z[k]]
        for i in range(4 * repeats) for j in range(4) for k in range(2)
    ]  # fmt: skip
    return Atoms(f"Cu{len(places)}", places, cell=[12 * repeats, 12, 6], pbc=True)


def test_translations_that_are_exact_are_found_whatever_else_is_near_the_tolerance():
    for tolerance in (0.03, EXACT):
        found = [
            find_primitive(a.numbers, a.cell.array, a.positions, tolerance)
            for a in (modulated(1), modulated(2))
        ]
        assert [len(one.atoms) for one in found] == [32, 32]
    # otherwise the reference would depend on which cell of the crystal is given
    one, two = (derive(turned(modulated(n), orthogonal(n)))[0] for n in (1, 2))
    np.testing.assert_allclose(one.h0, two.h0, atol=1e-9)


@pytest.mark.parametrize("tolerance", [EXACT, 0.03])
def test_large_cells(tolerance):
    atoms = turned(bulk("NaCl", "rocksalt", a=5.64, cubic=True) * (8, 8, 8), orthogonal(1))
    atoms = atoms[np.random.default_rng(0).permutation(len(atoms))]
    if tolerance > EXACT:
        atoms.rattle(1e-3, seed=1)
    found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions, tolerance)
    assert len(atoms) == 4096
    assert len(found.atoms) == 2
    assert found.residual(atoms.positions, atoms.cell.array) < (
        1e-10 if tolerance == EXACT else 0.02
    )
    np.testing.assert_array_equal(atoms.numbers[found.atoms][found.image], atoms.numbers)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_translations_without_doubt_are_those_looked_up_one_by_one(noise):
    atoms = turned(bulk("ZnO", "wurtzite", a=3.25, c=5.2) * (3, 2, 2), orthogonal(2))
    atoms.rattle(noise, seed=3)
    atoms = atoms[np.random.default_rng(1).permutation(len(atoms))]
    found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions, 0.03)
    sites = Sites(atoms.numbers, atoms.cell.array, atoms.positions)
    like = np.nonzero(atoms.numbers == atoms.numbers[0])[0]
    shifts = sites.fractional[like] - sites.fractional[like[0]]
    chosen, permutations = _translations(sites, shifts, 0.03)
    assert len(chosen) == 12
    assert set(chosen) <= set(_of_few(sites, shifts, 0.03))
    np.testing.assert_array_equal(found.atoms[found.image], permutations.min(0))


def test_atoms_at_the_same_place_are_no_copies_of_each_other():
    cell, positions = 4 * np.eye(3), np.array([[0.0, 0, 0], [0, 0, 0], [2, 2, 2]])
    assert len(find_primitive(np.full(3, 29), cell, positions).atoms) == 3


def test_neighbours_at_the_reach_of_the_search_tell_no_atoms_apart():
    """Round-off decides whether they are found."""
    for seed in range(3):
        atoms = turned(bulk("Po", "sc", a=SURROUNDINGS) * (3, 2, 2), orthogonal(seed))
        atoms.positions += [0.3, -0.7, 1.9]
        found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions)
        assert len(found.atoms) == 1
