"""What stands on a site: labels, symbols, dummies, vacancies; never fewer sites without a word."""

from __future__ import annotations

import pytest

from tests.inputs.input_files import write_cif

SPREAD = [f"{0.11 * n + 0.03:.3f} {0.17 * n % 1:.3f} {0.29 * n % 1:.3f}" for n in range(9)]


def read_labels(path, labels, formula=None, *, types=False):
    """Read atoms far from one another that have only labels, or symbols behind them."""
    columns = ["label", *(["type_symbol"] if types else []), "fract_x", "fract_y", "fract_z"]
    rows = [f"{label} {at}" for label, at in zip(labels, SPREAD, strict=False)]
    said = f"_chemical_formula_sum '{formula}'" if formula else ""
    return write_cif(path / "x.cif", rows, said=said, columns=columns)


@pytest.mark.parametrize(
    ("labels", "formula", "expected"),
    [
        ("Ni OH1 H1", None, "Ni1 H1 O1"),  # pymatgen: Ni H
        ("Ni OHa OHb H1 H2", None, "Ni1 H2 O2"),
        ("Ni O-H H", None, "Ni1 H1 O1"),
        ("Hw1 Hw2 Ow", None, "H2 O1"),
        ("H1A H2O O1", None, "H2 O1"),  # hydrogens of O1
        ("1Fe O1", None, "Fe1 O1"),
        ("57Fe O1", None, "Fe1 O1"),
        ("ni1 o1", None, "Ni1 O1"),
        ("NI1 O1", None, "Ni1 O1"),
        ("CO1 O1", None, "Co1 O1"),
        ("CO1 O1", "C O", "C1 O1"),
        ("Ni CO1", "Ni C", "Ni1 C1"),
        ("Ni HO1 O1", "Ni H O", "Ni1 H1 O1"),
        ("Nb1 Sb1 Pb1", "N S P", "P1 S1 N1"),
        ("Nb1 Sb1 Pb1", None, "Nb1 Sb1 Pb1"),
        ("Fe2+ O2-", None, "Fe1 O1"),
        ("Fe(1) O(1)", None, "Fe1 O1"),
        ("O1' Si1''", None, "Si1 O1"),
        ("OA1 OBm OCo CaM4 NaA KA", None, "K1 Na1 Ca1 O3"),
        ("SiT1 OT", "Si O", "Si1 O1"),
        ("Na NO3 O1 O2 O3", None, "Na1 N1 O3"),
        ("V1 Va O", None, "V2 O1"),
        ("Fe2+/Fe3+ O", None, "Fe1 O1"),
    ],
)
def test_labels_alone(tmp_path, labels, formula, expected):
    found = read_labels(tmp_path, labels.split(), formula)
    assert found.problem is None, found.problem
    assert found.structure.formula == expected
    assert found.dropped == []


@pytest.mark.parametrize(
    ("labels", "reason", "words"),
    [
        ("Ni OH", "incomplete", "position for OH, but none for its 1 H"),
        ("Ni OHa", "incomplete", "OHa"),
        ("Ni O-H", "incomplete", "O-H"),
        ("Ni Wat", "incomplete", "its 2 H"),
        ("Ni wat1", "incomplete", "its 2 H"),
        ("Ni OW1", "incomplete", "its 2 H"),
        ("NH4 Cl", "incomplete", "its 3 H"),
        ("NO3 Na", "incomplete", "its 3 O"),
        ("CO3 Ca", "incomplete", "its 3 O"),
        ("PO4 Li", "incomplete", "its 4 O"),
        ("Na T1 O1", "unknown_species", "'T1', which is not an element"),
        ("M1 O", "unknown_species", "'M1', which is not an element: add the column"),
        ("Du1 O", "unknown_species", "'Du1'"),
        ("Q1 O", "unknown_species", "'Q1'"),
        ("? O", "unknown_species", "'?'"),
        ("Ni Va1", "unknown_species", "vanadium or a vacancy"),
        ("Ni CO1", "unknown_species", "C or Co"),
        ("Ni HO1", "unknown_species", "H or Ho"),
        ("Ni H2O", "unknown_species", "a hydrogen or a molecule of water"),
        ("Al/Si O", "partial_occupancy", "'Al/Si', which names more than one element"),
        ("Fe,Mg O", "partial_occupancy", "more than one element"),
        ("AlSi1 O", "partial_occupancy", "more than one element"),
    ],
)
def test_labels_that_do_not_say_it(tmp_path, labels, reason, words):
    found = read_labels(tmp_path, labels.split())
    assert found.problem[0] == reason
    assert words in found.problem[1]


def test_a_formula_that_knows_of_no_hydrogen_counts_more_than_a_label(tmp_path):
    found = read_labels(tmp_path, ["Ni", "OH"], "Ni O")
    assert found.problem is None
    assert found.dropped == ["the 1 H that the label OH tells of"]


@pytest.mark.parametrize(
    ("labels", "formula"), [("Ni Vac", None), ("Ni Vac1", None), ("Ni Va", "Ni"), ("Ni VAC", "Ni")]
)
def test_a_vacancy_is_no_vanadium(tmp_path, labels, formula):
    found = read_labels(tmp_path, labels.split(), formula)
    assert found.structure.formula == "Ni1"
    assert found.dropped == [f"vacant sites ({labels.split()[1]})"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["Ni1 ?", "O1 ."], "Ni1 O1"),  # pymatgen leaves both out
        (["a Fe3+", "b O2-"], "Fe1 O1"),
        (["a Fe+3", "b O-2"], "Fe1 O1"),
        (["a FE", "b o"], "Fe1 O1"),
        (["a Cval", "b Siva"], "Si1 C1"),
        (["a D", "b O"], "H1 O1"),
        (["a 57Fe", "b 18O"], "Fe1 O1"),
        (["T1 Si", "OH O"], "Si1 O1"),
        (["a Fe0+", "b CO"], "Fe1 Co1"),
    ],
)
def test_symbols(tmp_path, rows, expected):
    found = read_labels(tmp_path, rows, types=True)
    assert found.problem is None, found.problem
    assert found.structure.formula == expected


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        ("OH", "incomplete"),
        ("OH-", "incomplete"),
        ("Wat", "incomplete"),
        ("H2O", "incomplete"),
        ("T", "unknown_species"),
        ("X", "unknown_species"),
        ("M", "unknown_species"),
        ("Du", "unknown_species"),
        ("Bq", "unknown_species"),
        ("14", "unknown_species"),
        ("'Al,Si'", "partial_occupancy"),
        ("'0.8Nb + 0.2Zr'", "partial_occupancy"),
        ("AlSi", "partial_occupancy"),
    ],
)
def test_symbols_of_no_atom_are_not_left_out(tmp_path, symbol, reason):
    found = read_labels(tmp_path, [f"a {symbol}", "b Ni"], types=True)
    assert found.problem[0] == reason


def test_the_sites_of_a_hydroxide_are_all_there(tmp_path):
    listed = ("x,y,z", "-x,-y,-z")
    said = "_chemical_formula_sum 'Ni O2 H'"
    rows = ["Ni .05 .25 .15", "O1 .7 .25 .2", "OH .2 .75 .05", "H .4 .75 .08"]
    columns = ["label", "fract_x", "fract_y", "fract_z"]
    cell = (4.6, 3.0, 10.0, 90, 90, 90)
    found = write_cif(
        tmp_path / "x.cif", rows, cell=cell, listed=listed, said=said, columns=columns
    )
    assert found.problem is None
    assert found.structure.composition.as_dict() == {"Ni": 2, "O": 4, "H": 2}


ALL = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
TUNGSTEN = ["W1 W 0 0 0", "W2 W .5 .5 .5"]
CUBIC = (3.17, 3.17, 3.17, 90, 90, 90)


@pytest.mark.parametrize("unknown", [".", "?"])
def test_occupancy_that_is_not_said_is_one(tmp_path, unknown):
    rows = [f"{row} {unknown}" for row in TUNGSTEN]
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, columns=(*ALL, "occupancy"))
    assert found.problem is None
    assert found.structure.formula == "W2"


@pytest.mark.parametrize("flag", ["dum", "DUM"])
def test_dummy_sites_are_no_atoms(tmp_path, flag):
    rows = [*(f"{row} d" for row in TUNGSTEN), f"Cg1 Si .25 .25 .5 {flag}", f"Cg2 Si ? ? ? {flag}"]
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, columns=(*ALL, "calc_flag"))
    assert found.problem is None
    assert found.structure.formula == "W2"
    assert found.dropped == ["dummy sites (Cg1, Cg2)"]


def test_a_site_of_occupancy_0_is_left_out_with_a_word(tmp_path):
    rows = [*(f"{row} 1" for row in TUNGSTEN), "W3 W .25 .25 .5 0.0"]
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, columns=(*ALL, "occupancy"))
    assert found.structure.formula == "W2"
    assert found.dropped == ["sites of occupancy 0 (W3)"]


@pytest.mark.parametrize(("groups", "reason"), [("1 2", "partial_occupancy"), (". 1", None)])
def test_alternatives_are_not_both_there(tmp_path, groups, reason):
    first, second = groups.split()
    rows = [f"{TUNGSTEN[0]} {first}", f"{TUNGSTEN[1]} {second}"]
    found = write_cif(tmp_path / "x.cif", rows, cell=CUBIC, columns=(*ALL, "disorder_group"))
    assert (found.problem and found.problem[0]) == reason


def test_an_angle_that_is_the_default_is_90(tmp_path):
    found = write_cif(tmp_path / "x.cif", TUNGSTEN, cell=(3.17, 3.17, 3.17, ".", ".", "."))
    assert found.structure.lattice.angles == pytest.approx((90, 90, 90))
