"""Conventional cells, point groups and symbols are those of the tables."""

import numpy as np
import pytest
from ase.build import bulk, make_supercell
from ase.spacegroup import crystal

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import full_symbols, point_group, standard_cell
from tests.symmetrization.systems import orthogonal, turned

#: space group → lengths and angles of its conventional cell
CELLS = {
    12: (6.1, 3.2, 5.3, 90, 107, 90),
    62: (5.4, 7.7, 5.3, 90, 90, 90),
    88: (5.2, 5.2, 11.4, 90, 90, 90),
    148: (5.1, 5.1, 14.1, 90, 90, 120),
    152: (4.9, 4.9, 5.4, 90, 90, 120),
    225: (8.6, 8.6, 8.6, 90, 90, 90),
}


@pytest.mark.parametrize("number", CELLS)
def test_any_description_gives_the_conventional_cell(number):
    places = [(0.11, 0.23, 0.31), (0.35, 0.02, 0.83)]
    atoms = crystal(["Cu", "O"], places, spacegroup=number, cellpar=CELLS[number])
    other = turned(make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, -1, 2]]), orthogonal(2))
    for one in (atoms, other):
        found = standard_cell(one.cell.array, one.get_scaled_positions(), one.numbers, 1e-5)
        assert found.number == number
        conventional = found.basis @ one.cell.array
        lengths = np.linalg.norm(conventional, axis=1)
        np.testing.assert_allclose(lengths, CELLS[number][:3], atol=1e-6)
        unit = conventional / lengths[:, None]
        cosines = [unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]]
        np.testing.assert_allclose(cosines, np.cos(np.radians(CELLS[number][3:])), atol=1e-6)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_impossible_structures_have_none(broken):
    silicon = bulk("Si")
    scaled = silicon.get_scaled_positions()
    scaled[1, 1] = broken
    assert standard_cell(silicon.cell.array, scaled, silicon.numbers, 1e-5) is None
    on_top = np.zeros((2, 3))
    assert standard_cell(silicon.cell.array, on_top, silicon.numbers, 1e-5) is None


@pytest.mark.parametrize(("number", "symbol"), [(12, "2/m"), (62, "mmm"), (88, "4/m"), (148, "-3"),
                                                (152, "32"), (225, "m-3m")])  # fmt: skip
def test_point_groups(number, symbol):
    atoms = crystal("Cu", [(0.11, 0.23, 0.31)], spacegroup=number, cellpar=CELLS[number])
    rotations = SpaceGroup.find(atoms).rotations
    found, basis = point_group(rotations)
    assert found == symbol
    there = basis @ rotations @ np.linalg.inv(basis)
    np.testing.assert_allclose(there, np.rint(there), atol=1e-9)
    if symbol == "2/m":  # unique axis b
        assert (np.abs(there[:, 1]) == [0, 1, 0]).all()


def test_full_symbols():
    symbols = full_symbols()
    assert len(symbols) == 527  # of 530 settings; three pairs share theirs
    assert symbols["-P 2ac 2n"] == "P 2_1/n 2_1/m 2_1/a"
