"""Operations that are listed: they fit the cell, are all, and those of the group that is named."""

from __future__ import annotations

import numpy as np
import pytest
from ase.spacegroup import crystal
from pymatgen.core import Lattice

from pet_flows.crystallography.standard import number_of_operations
from pet_flows.inputs.cif import symmetry
from pet_flows.inputs.cif.operations import completed, parse
from tests.inputs.input_files import write_cif

HM = "_symmetry_space_group_name_H-M "
W = (3.17, 3.17, 3.17, 90, 90, 90)
HEXAGONAL = (2.49, 2.49, 4.02, 90, 90, 120)
MONOCLINIC = (5, 6, 7, 90, 100, 90)
QUARTZ = (4.91, 4.91, 5.40, 90, 90, 120)


def operations(symbol):
    """Operations of the first setting of a symbol in the tables."""
    _, settings = symmetry.named_settings({"_space_group_name_h-m_alt": [symbol]})
    return settings[0]["symops"]


ONE = ["W1 W 0 0 0"]
TWO = [*ONE, "W2 W .5 .5 .5"]
GENERAL = ["Na1 Na .1 .2 .3"]
FCC = ["A Cu 0 0 0", "B Cu 0 .5 .5", "C Cu .5 0 .5", "D Cu .5 .5 0"]
P21C = ("x,y,z", "-x,y+1/2,-z+1/2", "-x,-y,-z", "x,-y+1/2,z+1/2")
P21N = ("x,y,z", "-x+1/2,y+1/2,-z+1/2", "-x,-y,-z", "x+1/2,-y+1/2,z+1/2")


@pytest.mark.parametrize(
    ("cell", "listed", "name", "rows", "words"),
    [
        # a cell that the operations do not keep
        ((2.49, 2.49, 4.02, 90, 90, 60), "P 63/m m c", "P 63/m m c", ["A Ni .333333 .666667 .25"],
         "which a cell of these lengths and angles cannot have"),
        ((5, 5.2, 7, 90, 90, 90), "P 4/m m m", "P 4/m m m", ONE, "'-y,x,z', which a cell"),
        (MONOCLINIC, ["x,y,z", "-x,-y,z"], "P 1 1 2", GENERAL, "'-x,-y,z', which a cell"),
        (MONOCLINIC, ["x,y,z", "2x,y,z"], "P 1", GENERAL, "which a cell"),
        # some are missing
        (W, ["x,y,z"], "I m -3 m", ONE, "which has 96 operations, but lists 1 symmetry operation"),
        (W, "P m -3 m", "I m -3 m", ONE, "lists 48 symmetry operations of space group number 221"),
        (W, ["x,y,z"], "F m -3 m", FCC[:3], "list all operations, or correct the name"),
        (MONOCLINIC, P21C[:2], "P 21/c", GENERAL, "which has 4 operations, but lists 2"),
        (MONOCLINIC, P21C[:3], "P 21/c", GENERAL, "which follows from them"),
        (MONOCLINIC, ["-x,-y,-z"], "P -1", GENERAL, "but not 'x, y, z'"),
        (MONOCLINIC, P21C[1:], "P 21/c", GENERAL, "but not 'x, y, z'"),
        # others
        (W, "I m -3 m", "P m -3 m", ONE, "which has 48 operations, but lists 96"),
        (W, "I m -3 m", "P 1", ONE, "which has 1, but lists 96"),
        (QUARTZ, "P 31 2 1", "P 32 2 1", ["Si1 Si .47 0 .3333"], "number 152"),
        (MONOCLINIC, P21N, "P 2/m", GENERAL, "space group number 14"),
    ],
)  # fmt: skip
def test_lists_that_are_not_those_of_the_crystal(tmp_path, cell, listed, name, rows, words):
    listed = operations(listed) if isinstance(listed, str) else listed
    found = write_cif(tmp_path / "x.cif", rows, cell=cell, listed=listed, said=f"{HM}'{name}'")
    assert found.problem[0] == "unreadable"
    assert words in found.problem[1]


@pytest.mark.parametrize(
    "said", ["_space_group_name_Hall '-P 2y'", "_space_group_IT_number 10",
             "_symmetry_Int_Tables_number 10\n_symmetry_space_group_name_H-M ?"]
)  # fmt: skip
def test_any_name_can_contradict(tmp_path, said):
    path = tmp_path / "x.cif"
    found = write_cif(path, GENERAL, cell=MONOCLINIC, listed=P21N, said=said)
    assert "space group number 14" in found.problem[1]
    agreeing = f"{said}\n_space_group_name_H-M_alt 'P 21/n'"
    assert write_cif(path, GENERAL, cell=MONOCLINIC, listed=P21N, said=agreeing).problem is None


@pytest.mark.parametrize(
    ("cell", "listed", "name", "rows", "n_atoms"),
    [
        (MONOCLINIC, P21N, "P 21/c", GENERAL, 4),  # another setting
        (MONOCLINIC, P21N, "X 9 q", GENERAL, 4),  # of which we know nothing
        (W, "I m -3 m", "I m -3 m", ONE, 2),
        (W, "P m -3 m", "I m -3 m", TWO, 2),  # the table holds all atoms
        (W, ["x,y,z"], "F m -3 m", FCC, 4),
        (W, ["x,y,z"], "P n -3 m", TWO, 2),
        (W, "I m -3 m", "P m -3 m", TWO, None),
        ((3, 3, 3, 60, 60, 60), ["x,y,z", "-x,-y,-z"], "F m -3 m", ONE, 1),  # primitive cell
        ((5, 5.01, 7, 90, 90, 90), "P 4/m m m", "P 4/m m m", ONE, 1),  # measured
        ((5, 5, 7, 90, 90, 119.9), "P 6/m m m", "P 6/m m m", ONE, 1),
        (W, ["x,y,z", "-y,x,z"], "P 4", ONE, 1),  # what is missing adds nothing
        (W, ["x,y,z", "x,y,z", "-x,-y,-z"], "P -1", GENERAL, 2),
        (W, ["?"], "I m -3 m", ONE, 2),
    ],
)
def test_lists_that_make_the_crystal_that_is_named(tmp_path, cell, listed, name, rows, n_atoms):
    listed = operations(listed) if isinstance(listed, str) else listed
    found = write_cif(tmp_path / "x.cif", rows, cell=cell, listed=listed, said=f"{HM}'{name}'")
    if n_atoms is None:  # each atom twice: nothing that could be read
        assert found.problem
        return
    assert found.problem is None, found.problem
    assert len(found.structure) == n_atoms
    assert found.dropped == []


def test_a_formula_that_knows_the_number_of_atoms_decides_against_the_name(tmp_path):
    said = f"{HM}'P 1'\n_chemical_formula_sum W\n_cell_formula_units_Z 2"
    found = write_cif(tmp_path / "x.cif", ONE, cell=W, listed=operations("I m -3 m"), said=said)
    assert found.problem is None
    assert len(found.structure) == 2
    assert "'P 1'" in found.dropped[0]


@pytest.mark.parametrize("digits", [("1/3", "2/3"), (".3333", ".6667"), ("0.333", "0.667"),
                                    ("0.33", "0.67"), ("+ 1/3", "+ 2/3")])  # fmt: skip
def test_translations_mean_fractions(tmp_path, digits):
    third, two = digits
    listed = [
        text.replace("+1/3", f"+{third}".replace("++", "+")).replace(
            "+2/3", f"+{two}".replace("++", "+")
        )
        for text in operations("P 31 2 1")
    ]
    rows = ["Si1 Si .4697 0 0.33333", "O1 O .4133 .2672 .2144"]
    found = write_cif(tmp_path / "x.cif", rows, cell=QUARTZ, listed=listed, said=f"{HM}'P 31 2 1'")
    basis = [(0.4697, 0, 1 / 3), (0.4133, 0.2672, 0.2144)]
    truth = crystal(["Si", "O"], basis=basis, spacegroup=152, cellpar=QUARTZ)
    assert found.problem is None, found.problem
    distances = np.sort(found.structure.distance_matrix, axis=None)
    assert np.allclose(distances, np.sort(truth.get_all_distances(mic=True), axis=None), atol=1e-3)


def test_the_group_of_each_setting_of_the_tables_is_found():
    cell = np.array(Lattice.from_parameters(5, 6, 7, 80, 95, 103).matrix)
    for row in symmetry._table()[::7]:  # all of them agree; it takes 8 s
        found = parse(tuple(row["symops"]))
        metric = np.mean([r.T @ cell @ cell.T @ r for r in found.rotations], axis=0)
        fitting = np.linalg.cholesky(metric)
        assert found.incomplete is None
        assert number_of_operations(found.rotations, found.translations, fitting) == row["number"]


def test_operations_are_completed():
    found = completed(parse(("-y,x,z", "-x,-y,-z")))
    assert len(found) == 8
    assert found.incomplete is None
    assert completed(parse(("x+y,y,z",))) is None  # no end of them


@pytest.mark.parametrize(
    "text", ["foo,y,z", "x,y", "x,,z", "x/2,y,z", "x+1/0,y,z", "x,y,z,z", "x y,z"]
)
def test_what_is_no_operation(tmp_path, text):
    found = write_cif(tmp_path / "x.cif", GENERAL, listed=("x,y,z", text))
    assert "among its symmetry operations" in found.problem[1]
