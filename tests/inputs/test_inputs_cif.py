"""CIF files: identifiers, several blocks, what is dropped, what is refused."""

from __future__ import annotations

import pytest

from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import cif, only


def test_cif_is_named_after_its_file_if_its_block_only_repeats_the_formula(tmp_path):
    (tmp_path / "rocksalt.cif").write_text(cif("NaCl"))
    found = only(tmp_path / "rocksalt.cif")
    assert found.problem is None
    assert found.source["material_id"] == found.label == "rocksalt"
    assert found.source["path"] == str(tmp_path / "rocksalt.cif")
    assert found.structure.composition.formula == "Na4 Cl4"


@pytest.mark.parametrize(
    ("name", "extra", "expected"),
    [
        ("mp-22862", "", "mp-22862"),
        ("9000629", "_cod_database_code 9000629", "9000629"),
        ("global", "_database_code_ICSD 18189", "18189"),
        ("global", "_database_code_amcsd 0000105", "0000105"),
        ("image0", "", "file"),
        ("1", "_database_code_ICSD ?", "file"),
    ],
)
def test_cif_identifier(tmp_path, name, extra, expected):
    (tmp_path / "file.cif").write_text(cif(name, extra))
    assert only(tmp_path / "file.cif").source["material_id"] == expected


def test_cif_with_several_blocks_keeps_the_good_ones(tmp_path):
    blocks = [cif("first"), "data_comment\n_audit_author nobody\n", cif("bad", x="nonsense")]
    (tmp_path / "many.cif").write_text("\n".join([*blocks, cif("mp-1")]))
    found = read_inputs([str(tmp_path / "many.cif")])
    assert [item.label for item in found] == ["first", "bad", "mp-1"]
    assert [item.problem and item.problem[0] for item in found] == [None, "unreadable", None]
    assert "bad" in found[1].problem[1]


def test_cif_oxidation_states_are_dropped_and_named(tmp_path):
    extra = """loop_
 _atom_type_symbol
 _atom_type_oxidation_number
 Na 1
 Cl -1"""
    (tmp_path / "a.cif").write_text(cif(extra=extra))
    found = only(tmp_path / "a.cif")
    assert found.dropped == ["oxidation states"]
    assert {str(s) for s in found.structure.species} == {"Na", "Cl"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cif(occupancy="0.5"), "partial_occupancy"),
        (cif(x="0.0"), "overlapping_atoms"),
        (cif(x="0.05"), "overlapping_atoms"),
        (cif(extra="_chemical_formula_sum 'Na4 Cl4 H8'"), "incomplete"),
        ("data_x\n_cell_length_a 3\n", "unreadable"),
        ("this is no crystal\n", "unreadable"),
        ("", "empty_file"),
        (" \n\n", "empty_file"),
    ],
)
def test_bad_cif(tmp_path, text, reason):
    (tmp_path / "bad.cif").write_text(text)
    found = only(tmp_path / "bad.cif")
    assert found.problem[0] == reason
    assert found.problem[1].endswith(".")
    assert found.source["material_id"] == "bad"


def test_a_name_that_is_a_novel_is_none(tmp_path):
    (tmp_path / "a.cif").write_text(cif("x" * 100_000, "_cod_database_code " + "9" * 100_000))
    assert only(tmp_path / "a.cif").source["material_id"] == "a"
