"""The words of a CIF: texts, quotes, comments, names, blocks, and what version 2 adds."""

from __future__ import annotations

import pytest

from pet_flows.inputs.cif.syntax import split_blocks, tables_of
from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import cif, only

FCF = "data_shelx\n_shelx_title 'w'\nloop_\n _refln_index_h\n _refln_index_k\n 1 0\n 0 2\n"
DETAILS = f"_iucr_refine_fcf_details\n;\n{FCF};\n"


def items(text):
    (block,) = split_blocks(text)
    return tables_of(block)


def labels(path, text):
    (path / "x.cif").write_text(text)
    return [item.label for item in read_inputs([str(path / "x.cif")])]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_text_that_holds_a_cif_begins_no_block(tmp_path, where):
    text = cif("salt1", extra=DETAILS) if where == "before" else cif("salt1") + DETAILS
    (tmp_path / "x.cif").write_text(text)
    found = only(tmp_path / "x.cif")
    assert found.problem is None
    assert found.label == "salt1"
    assert found.structure.formula == "Na4 Cl4"


def test_blocks_around_texts_and_tables_inside_of_them(tmp_path):
    whole = "_shelx_res_file\n;\n" + cif("inner") + ";\n"
    text = cif("salt1", extra=DETAILS) + whole + cif("salt2") + DETAILS
    assert labels(tmp_path, text) == ["salt1", "salt2"]
    assert [item.problem for item in read_inputs([str(tmp_path)])] == [None, None]


def test_a_text_without_end_hides_no_other_block(tmp_path):
    broken = cif("salt1") + "_x\n;never ended\n"
    for text in (broken + cif("salt2"), broken + cif("salt2", extra=DETAILS)):
        (tmp_path / "x.cif").write_text(text)
        first, second = read_inputs([str(tmp_path / "x.cif")])
        assert "never ends it" in first.problem[1]
        assert second.problem is None
        assert [first.label, second.label] == ["salt1", "salt2"]


VERSION_2 = "#\\#CIF_2.0\ndata_x\n_x [1 [2 'a]'] {'k':3}]\n_y '''a\n_cell_length_a 1\n'''\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("data_", "DATA_"),
        ("loop_", "LOOP_"),
        ("_cell_length_a", "_Cell_Length_A"),
        ("_atom_site_", "_ATOM_SITE_"),
        ("_atom_site_", "_atom_site."),
        ("_cell_", "_cell."),
        ("_cell_length_a 5.64", "_cell_length_a\n 5.64(2)"),
        ("_cell_angle_beta 90", "_cell_angle_beta\n;\n90\n;"),
        ("_cell_angle_beta 90", "_cell_angle_beta 90 # measured at '300 K"),
        ("_cell_angle_beta 90", "_x 'a # b'\n_cell_angle_beta '90'"),
        ("_cell_angle_beta 90", "_publ_author_name O'Brien\n_cell_angle_beta 90"),
        ("_cell_angle_beta 90", "_publ_author_name 'a dog's life'\n_cell_angle_beta 90"),
        ("_cell_angle_beta 90", "_publ_author_name 'never closed\n_cell_angle_beta 90"),
        ("_cell_angle_beta 90", "_x\n_cell_angle_beta 90"),  # a value is missing
        ("_cell_angle_beta 90", "_cell_angle_beta 90\u00b0"),
        ("Na1 Na 0 0 0 1", "Na1 Na\n 0 0\n\n# no atom\n 0\n;1\n;"),
        ("Na1 Na 0", '"Na1\'" "Na" 0.000'),
        ("_symmetry_space_group_name_H-M", "_space_group.name_H-M_alt"),
        ("data_NaCl\n", "data_comment\n_x 1\ndata_NaCl\n"),
        ("data_NaCl\n", VERSION_2),
        ("loop_\n", "_x\n;\\\nfol\\\nded\n;\nloop_\n"),
    ],
)
def test_spellings_of_one_crystal(tmp_path, old, new):
    assert old in cif()
    (tmp_path / "x.cif").write_text(cif().replace(old, new))
    found = only(tmp_path / "x.cif")
    assert found.problem is None, found.problem
    assert found.structure.formula == "Na4 Cl4"
    assert found.structure.lattice.parameters == pytest.approx((5.64, 5.64, 5.64, 90, 90, 90))


def test_a_dash_that_is_none_of_ascii_is_a_sign(tmp_path):
    """Left out, as pymatgen leaves it, the atom would be elsewhere."""
    for sign in "\u2013\u2212":
        (tmp_path / "x.cif").write_text(cif(x=f"{sign}0.5"))
        assert only(tmp_path / "x.cif").problem is None
    (tmp_path / "x.cif").write_bytes(cif(x="~0.5").encode().replace(b"~", b"\x96"))
    assert "which is not a number" in only(tmp_path / "x.cif").problem[1]


def test_words():
    found = items(
        "data_x\n_a 'it''s' _b \"x y\" _c ? _d.e_F .\n"
        "_text\n;first\n second\n;\n_empty ''\n_folded\n;\\\none \\\ntwo\n;\n"
        "loop_ _p _q 1 '_q' 'loop_' ;no;text\n"
    )
    assert found == {
        "_a": ["it''s"],
        "_b": ["x y"],
        "_c": ["?"],
        "_d_e_f": ["."],
        "_text": ["first\n second"],
        "_empty": [""],
        "_folded": ["one two"],
        "_p": ["1", "loop_"],
        "_q": ["_q", ";no;text"],
    }


def test_lists_of_version_2_are_one_value():
    found = items(
        '#\\#CIF_2.0\ndata_x\nloop_ _a _b\n[1 [2 3]] \'x\'\n{\'k\':[1] "l":2} """two\nlines"""\n'
    )
    assert found["_b"] == ["x", "two\nlines"]
    assert len(found["_a"]) == 2


def test_brackets_of_version_1_are_letters():
    assert items("data_x\n_formula [Ni(NH3)6]Cl2\n")["_formula"] == ["[Ni(NH3)6]Cl2"]
