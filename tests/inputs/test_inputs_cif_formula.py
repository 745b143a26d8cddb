"""Atoms in the cell against the formula: what is missing is refused, what is odd is said."""

from __future__ import annotations

import io

import pytest
from ase.build import bulk
from ase.io import write
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from pet_flows.inputs.cif.formula import parse_formula
from tests.inputs.input_files import only, write_cif

ALLOY = ["Si1 Si 0 0 0", "Ge1 Ge .5 .5 .5"]
MOLECULE = ["C1 C .3 0 0", "O1 O .43 0 0", "H1 H .24 .1 0", "N1 N .5 .5 .5"]
CUBIC = (3.2, 3.2, 3.2, 90, 90, 90)


def formula(sum_, units=None, key="sum"):
    said = f"_chemical_formula_{key} '{sum_}'"
    return said if units is None else f"{said}\n_cell_formula_units_Z {units}"


@pytest.mark.parametrize(
    ("rows", "said", "words"),
    [
        (ALLOY, formula("Ge2 Si", 1), "1 Ge instead of 2 of its formula 'Ge2 Si' with Z 1"),
        (ALLOY, formula("Ge2 Si"), "1 Ge instead of 2"),
        (ALLOY, formula("Ge4 Si2", 2), "1 Ge instead of 2"),
        (ALLOY[:1], formula("Si Ge", 1), "names Ge in its formula"),
        (MOLECULE, formula("C H5 N O"), "1 H instead of 5"),
        (MOLECULE, formula("C H N O, 2(H2 O)"), "1 H instead of 5, 1 O instead of 3"),
        (MOLECULE, formula("C H4 D N O"), "1 H instead of 5"),
        (MOLECULE, formula("C H2.5 N O"), "1 H instead of 2.5"),
        (ALLOY * 1 + ["Si2 Si .5 0 0"], formula("Ge Si", 1), "2 Si instead of 1"),
        (ALLOY, "loop_\n_atom_type_symbol\n_atom_type_number_in_cell\nSi 1\nGe 3", "1 Ge inst"),
    ],
)
def test_missing_atoms(tmp_path, rows, said, words):
    found = write_cif(tmp_path / "x.cif", rows, cell=(9, 9, 9, 90, 90, 90), said=said)
    assert found.problem[0] == "incomplete"
    assert words in found.problem[1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ALLOY, formula("Ge Si", 1)),
        (ALLOY, formula("Si1 Ge1")),
        (ALLOY, formula("'Ge Si")),
        (ALLOY, formula("GE SI", 1)),
        (ALLOY, formula("Ge0.5 Si0.5", 2)),
        (ALLOY, formula("Ge0.998 Si1.002", 1)),
        (ALLOY, formula("Ge(1+x) Si(1-x)", 1)),
        (ALLOY, formula("?")),
        (ALLOY, formula("(Ge, Si)2")),
        (["A Ca 0 0 0", "B H .5 .5 .5", "D H .5 0 0"], formula("Ca D2", 1)),
        (["A Ca 0 0 0", "B D .5 .5 .5", "D D .5 0 0"], formula("Ca H2", 1)),
        (["A N 0 0 0", "B I .5 .5 .5"], formula("NI")),
        (["A Ni 0 0 0"], formula("NI")),
        (MOLECULE, formula("C N O H")),
        (MOLECULE, formula("(C N) (O H)")),
        (MOLECULE, formula("O C . N H")),
    ],
)
def test_formulas_that_agree_say_nothing(tmp_path, rows, said):
    found = write_cif(tmp_path / "x.cif", rows, cell=(9, 9, 9, 90, 90, 90), said=said)
    assert found.problem is None, found.problem
    assert [word for word in found.dropped if word != "isotopes"] == []


@pytest.mark.parametrize(
    ("rows", "said", "words"),
    [
        (ALLOY[:1], formula("Si", 2), "the formula 'Si' with Z 2 (the cell holds Si1)"),
        (ALLOY, formula("Ge Si", 4), "with Z 4"),
        (ALLOY, formula("Ge0.95 Si", 1), "1 Ge instead of 0.95"),
        (ALLOY, formula("Ge", 1), "(the cell holds 1 Si)"),
        (MOLECULE, formula("C2 N2 O H2", 7), "1 O instead of 0.5"),  # as of no cell at all
        (MOLECULE, formula("C H5 N O", key="structural"), "1 H instead of 5"),
    ],
)
def test_odd_formulas_are_said_and_do_not_refuse(tmp_path, rows, said, words):
    found = write_cif(tmp_path / "x.cif", rows, cell=(9, 9, 9, 90, 90, 90), said=said)
    assert found.problem is None, found.problem
    assert len(found.dropped) == 1
    assert words in found.dropped[0]


def test_mixed_sites_keep_their_own_reason(tmp_path):
    rows = ["A Si 0 0 0 .5", "B Ge 0 0 0 .5"]
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    said = formula("Ge3 Si")
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, said=said, columns=columns)
    assert found.problem[0] == "partial_occupancy"


@pytest.mark.parametrize(
    ("sum_", "rows", "reason"),
    [
        (None, ["Ni1 Ni 0 0 0 0", "Ni2 Ni .5 .5 0 2"], "incomplete"),
        ("Ni2", ["Ni1 Ni 0 0 0 0", "Ni2 Ni .5 .5 0 2"], "incomplete"),
        (None, ["Ni1 Ni 0 0 0 0", "Ni2 Ni .5 .5 0 ."], None),
        ("Ni H", ["Ni1 Ni 0 0 0 1", "H1 H .5 .5 0 0"], None),  # counted although it is there
        (None, ["Ni1 Ni 0 0 0 1", "H1 H .5 .5 0 0"], "incomplete"),
    ],
)
def test_attached_hydrogens(tmp_path, sum_, rows, reason):
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "attached_hydrogens"]
    said = formula(sum_) if sum_ else ""
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, said=said, columns=columns)
    assert (found.problem and found.problem[0]) == reason
    assert not reason or "_atom_site_attached_hydrogens" in found.problem[1]


def test_what_pymatgen_and_ase_write_agrees_with_itself(tmp_path):
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    CifWriter(salt).write_file(tmp_path / "pymatgen.cif")
    assert "_cell_formula_units_Z   4" in (tmp_path / "pymatgen.cif").read_text()
    found = only(tmp_path / "pymatgen.cif")
    assert found.problem is None
    assert found.dropped == []
    text = io.BytesIO()
    write(text, bulk("NaCl", "rocksalt", a=5.64), format="cif")
    (tmp_path / "ase.cif").write_bytes(text.getvalue())
    assert only(tmp_path / "ase.cif").dropped == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ca S O4, 2(H2 O)", {"Ca": 1, "S": 1, "O": 6, "H": 4}),
        ("CuSO4*5H2O", {"Cu": 1, "S": 1, "O": 9, "H": 10}),
        ("Mg3 Si4 O10 (O H)2", {"Mg": 3, "Si": 4, "O": 12, "H": 2}),
        ("C12 H14 N2 2+, 2(Cl -)", {"C": 12, "H": 14, "N": 2, "Cl": 2}),
        ("[Ni (N H3)6] 2+", {"Ni": 1, "N": 6, "H": 18}),
        ("Fe0.95(1) O", {"Fe": 0.95, "O": 1}),
        ("D2 O", {"H": 2, "O": 1}),
        ("NA1 CL1", {"Na": 1, "Cl": 1}),
        ("NI1 O1", None),
        ("C6 H6 n", None),
        ("x(H2 O)", None),
        ("Xx O", None),
        ("Ca S O4 2(H2 O)", None),  # O42 or 2 H2O
        ("", None),
    ],
)
def test_formulas(text, expected):
    assert parse_formula(text) == expected
