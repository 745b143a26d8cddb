"""CIF files that name their space group and list no operations, against the same with them."""

from __future__ import annotations

import math

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from tests.inputs.input_files import only

DIAMOND = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])
BISMUTH = Structure.from_spacegroup("R-3m", Lattice.hexagonal(4.546, 11.86), ["Bi"], [[0, 0, 0.23]])
# of the same lattice: a² = a_h²/3 + c_h²/9 and cos α = (c_h²/9 - a_h²/6)/a²
SIDE = math.sqrt(4.546**2 / 3 + 11.86**2 / 9)
ANGLE = math.degrees(math.acos((11.86**2 / 9 - 4.546**2 / 6) / SIDE**2))
CUBIC = (5.43, 5.43, 5.43, 90, 90, 90)
HEXAGONAL = (4.546, 4.546, 11.86, 90, 90, 120)
RHOMBOHEDRAL = (SIDE, SIDE, SIDE, ANGLE, ANGLE, ANGLE)
IMAGE = (0.23, 0.23, 0.23)


def write(path, cell, said, element="Si", at=(0, 0, 0)):
    names = [f"_cell_length_{x}" for x in "abc"]
    names += [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    lines = ["data_x", *(f"{name} {value}" for name, value in zip(names, cell, strict=True)), said]
    columns = ["label", "type_symbol", *(f"fract_{x}" for x in "xyz")]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns)]
    path.write_text("\n".join([*lines, f"{element}1 {element} {at[0]} {at[1]} {at[2]}", ""]))
    return only(path)


@pytest.mark.parametrize(
    ("said", "x"),
    [
        ("_symmetry_space_group_name_H-M 'F d -3 m :1'", 0),
        ("_symmetry_space_group_name_H-M 'F d -3 m :2'", 0.125),
        ("_space_group_name_H-M_alt 'F d -3 m S'", 0),
        ("_space_group_name_H-M_alt 'Fd-3mZ'", 0.125),
        ("_space_group_name_H-M_ref 'F d 3 m:2'", 0.125),
        ("_space_group_name_Hall 'F 4d 2 3 -1d'", 0),
        ("_symmetry_space_group_name_Hall '-F_4vw_2vw_3'", 0.125),
        ("_symmetry_space_group_name_H-M 'F d -3 m'\n_space_group_name_Hall '-F 4vw 2vw 3'", 0.125),
        ("_space_group_IT_number 227\n_space_group_IT_coordinate_system_code 2", 0.125),
        ("_space_group_name_H-M_full 'F 41/d -3 2/m :2'", 0.125),
        ("_space_group_name_H-M_ref 'F d d'\n_space_group_name_H-M_alt 'F d -3 m :2'", 0.125),
    ],
)
def test_origin_of_diamond_is_the_one_that_is_said(tmp_path, said, x):
    found = write(tmp_path / "a.cif", CUBIC, said, at=(x, x, x))
    assert found.problem is None
    assert len(found.structure) == 8  # of the other origin 16, which are no crystal of silicon
    assert StructureMatcher(scale=False).fit(found.structure, DIAMOND)


@pytest.mark.parametrize(
    ("cell", "at", "said"),
    [
        (HEXAGONAL, (0, 0, 0.23), "_symmetry_space_group_name_H-M 'R -3 m H'"),
        (HEXAGONAL, (0, 0, 0.23), "_symmetry_space_group_name_H-M 'R -3 m :H'"),
        (HEXAGONAL, (0, 0, 0.23), "_symmetry_space_group_name_H-M 'R -3 m'"),
        (HEXAGONAL, (0, 0, 0.23), "_space_group_name_Hall \"-R 3 2''\""),
        (HEXAGONAL, (0, 0, 0.23), "_symmetry_Int_Tables_number 166"),
        (RHOMBOHEDRAL, IMAGE, "_symmetry_space_group_name_H-M 'R -3 m R'"),
        (RHOMBOHEDRAL, IMAGE, "_symmetry_space_group_name_H-M 'R -3 m'"),
        (RHOMBOHEDRAL, IMAGE, "_space_group_name_Hall '-P 3* 2'"),
        (RHOMBOHEDRAL, IMAGE, "_symmetry_Int_Tables_number 166"),
    ],
)
def test_axes_of_bismuth_are_those_of_its_cell(tmp_path, cell, at, said):
    found = write(tmp_path / "a.cif", cell, said, "Bi", at)
    assert found.problem is None
    assert len(found.structure) == (6 if cell is HEXAGONAL else 2)
    assert StructureMatcher(scale=False).fit(found.structure, BISMUTH)


@pytest.mark.parametrize(
    ("cell", "said", "operations"),
    [
        ((5, 6, 7, 90, 100, 90), "P 21/n", "-x+1/2,y+1/2,-z+1/2 -x,-y,-z x+1/2,-y+1/2,z+1/2"),
        ((5, 6, 7, 90, 90, 100), "P 21/n", "-x+1/2,-y+1/2,z+1/2 -x,-y,-z x+1/2,y+1/2,-z+1/2"),
        ((5, 6, 7, 90, 90, 90), "P 2_1/c", "-x,y+1/2,-z+1/2 -x,-y,-z x,-y+1/2,z+1/2"),
        ((5, 6, 7, 70, 80, 90), "P 1 (No. 1)", ""),
        ((5, 6, 7, 90, 90, 90), "A b m 2", "-x,-y,z x,-y+1/2,z -x,y+1/2,z "
         "x,y+1/2,z+1/2 -x,-y+1/2,z+1/2 x,-y,z+1/2 -x,y,z+1/2"),
        ((5, 6, 7, 90, 90, 90), "P 2/m 2_1/m 2/b", "-x,-y+1/2,z x,-y,-z -x,y+1/2,-z "
         "-x,-y,-z x,y+1/2,-z -x,y,z x,-y+1/2,z"),
    ],
)  # fmt: skip
def test_short_and_old_symbols(tmp_path, cell, said, operations):
    at = (0.11, 0.13, 0.37)
    listed = "loop_\n_symmetry_equiv_pos_as_xyz\nx,y,z\n" + "\n".join(operations.split())
    truth = write(tmp_path / "listed.cif", cell, listed, at=at)
    found = write(tmp_path / "named.cif", cell, f"_symmetry_space_group_name_H-M '{said}'", at=at)
    assert found.problem is truth.problem is None
    assert len(found.structure) == len(operations.split()) + 1
    assert StructureMatcher(scale=False, primitive_cell=False).fit(found.structure, truth.structure)


@pytest.mark.parametrize(
    ("cell", "said", "words"),
    [
        (CUBIC, "F d -3 m", ("F d -3 m:1, F d -3 m:2", "lists no operations")),
        (CUBIC, "X 9 q", ("'X 9 q'", "in no table", "list them")),
        (HEXAGONAL, "F m -3 m", ("'F m -3 m'", "cannot have")),
    ],
)
def test_what_is_not_said_is_not_guessed(tmp_path, cell, said, words):
    found = write(tmp_path / "a.cif", cell, f"_symmetry_space_group_name_H-M '{said}'")
    assert found.problem[0] == "unreadable"
    assert all(word in found.problem[1] for word in words), found.problem[1]
    assert found.problem[1].endswith(".")


def test_a_number_does_not_overrule_a_symbol_of_another_setting(tmp_path):
    said = "_space_group_IT_number 51\n_space_group_name_H-M_alt 'P m b m'"  # P m m a has no such
    found = write(tmp_path / "a.cif", (5, 6, 7, 90, 90, 90), said, at=(0.1, 0.2, 0.3))
    assert found.problem[0] == "unreadable"
    assert "'P m b m', which is in no table" in found.problem[1]
    said = "_space_group_IT_number 225\n_space_group_name_H-M_alt 'F -3 m'"
    found = write(tmp_path / "b.cif", CUBIC, said)
    assert len(found.structure) == 4  # it has one setting


def test_names_that_contradict_one_another_are_said(tmp_path):
    said = "_space_group_IT_number 14\n_space_group_name_H-M_alt 'P 2/m'"
    found = write(tmp_path / "a.cif", (5, 6, 7, 90, 100, 90), said, at=(0.1, 0.2, 0.3))
    assert len(found.structure) == 4
    assert found.dropped == ["the space group number 14 (it is read as P 2/m)"]


def test_operations_under_a_name_in_capitals_are_read(tmp_path):
    listed = "loop_\n_Symmetry_Equiv_Pos_As_XYZ\nx,y,z\n-x,-y,-z"
    found = write(tmp_path / "a.cif", (5, 6, 7, 70, 80, 95), listed, at=(0.1, 0.2, 0.3))
    assert len(found.structure) == 2
