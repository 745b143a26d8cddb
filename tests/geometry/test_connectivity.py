"""In how many directions matter is linked, whatever box it is in."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, graphene, molecule, nanotube

from pet_flows.geometry.connectivity import periodic_rank


def boxed(atoms: Atoms) -> Atoms:
    """The same in a box that repeats along three axes."""
    if atoms.cell.rank < 3:
        atoms.center(vacuum=6.0, axis=[k for k in range(3) if not atoms.pbc[k]])
    atoms.pbc = True
    return atoms


CASES = {
    "rock salt": (bulk("NaCl", "rocksalt", a=5.64), 3),
    "small cell": (bulk("Cu", "fcc", a=3.6), 3),
    "slab": (fcc111("Cu", (2, 2, 2), vacuum=6.0), 2),
    "graphene": (graphene(vacuum=6.0), 2),
    "nanotube": (nanotube(5, 0), 1),
    "benzene": (molecule("C6H6"), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_links_without_end_are_counted(name):
    atoms, rank = CASES[name]
    atoms = boxed(atoms.copy())
    assert periodic_rank(atoms, 3.5) == rank
    # in a larger cell of other vectors, atoms in another order and cell
    skewed = atoms.repeat((2, 1, 1))[np.random.default_rng(1).permutation(2 * len(atoms))]
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ skewed.cell.array)
    skewed.wrap()
    assert periodic_rank(skewed, 3.5) == rank


def test_two_chains_that_cross_do_not_make_a_layer():
    cell = np.diag([2.5, 2.5, 20.0])
    one = Atoms("Cu4", [[2.5 * k, 0, 0] for k in range(4)], cell=np.diag([10.0, 10.0, 20.0]))
    other = Atoms("Cu4", [[0, 2.5 * k, 10.0] for k in range(4)], cell=4 * cell)
    both = one + other
    both.pbc = True
    assert periodic_rank(both, 3.0) == 1
