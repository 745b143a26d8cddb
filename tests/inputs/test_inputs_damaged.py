"""Damaged files: each is named in one true sentence, and harms no other."""

from __future__ import annotations

import gzip
import io
import os

import pytest
from ase.build import bulk
from ase.io import write

from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import cif, only

POSCAR = """Si2
1.0
0 2.7 2.7
2.7 0 2.7
2.7 2.7 0
Si
2
Direct
0 0 0
0.25 0.25 0.25
"""
HTML = "\n<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head>\ndata_x loop_\n</html>\n"
ROW = " Na1 Na 0 0 0 1"


def xyz(*elements):
    text = io.StringIO()
    write(text, [bulk(element) for element in elements], format="extxyz")
    return text.getvalue()


def changed(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


CIFS = {
    # pymatgen: "integer modulo by zero"
    "cut off in its first row": (
        cif()[: cif().index(ROW) + 8],
        "unreadable",
        "from _atom_site_label on with 6 columns but 2 values",
    ),
    "cut off after its columns": (cif()[: cif().index(ROW)], "unreadable", "but 0 values"),
    "no columns": (cif() + "loop_\n 1 2 3\n", "unreadable", "loop_ without names of columns"),
    "a value missing": (changed(cif(), ROW, ROW[:-2]), "unreadable", "6 columns but 11 values"),
    "a value too much": (changed(cif(), ROW, ROW + " 7"), "unreadable", "6 columns but 13 values"),
    "text without end": (cif(extra="_x\n;text"), "unreadable", "never ends it"),
    "quote without end": (changed(cif(), "-3 m'", "-3 m"), "unreadable", "space group 'F'"),
    "unknown group": (
        changed(cif(), "F m -3 m", "F q z"),
        "unreadable",
        "'F q z', which is in no table",
    ),
    "no operation": (
        cif(extra="loop_\n_symmetry_equiv_pos_as_xyz\n 'x,y,z'\n 'foo,bar'"),
        "unreadable",
        "'foo,bar' among its symmetry operations",
    ),
    "endless operation": (
        cif(extra="_symmetry_equiv_pos_as_xyz " + "1" * 100_000 + ",y,z"),
        "unreadable",
        "'... among its symmetry operations",
    ),
    "oxidation inf": (
        cif(extra="loop_\n _atom_type_symbol\n _atom_type_oxidation_number\n Na inf\n Cl -1"),
        "not_finite",
        "an oxidation number inf",
    ),
    "decimal comma": (
        changed(cif(), "5.64", "5,64"),
        "unreadable",
        "'5,64', which is not a number",
    ),
    "no cell": (changed(cif(), "_cell_length_a 5.64", ""), "unreadable", "say _cell_length_a:"),
    "length 0": (changed(cif(), "5.64", "0"), "degenerate_cell", "_cell_length_a 0: a length"),
    "length < 0": (changed(cif(), "5.64", "-5.64"), "degenerate_cell", "_cell_length_a -5.64"),
    "length NaN": (changed(cif(), "5.64", "nan"), "not_finite", "_cell_length_a nan"),
    "flat": (changed(cif(), "alpha 90", "alpha 180"), "degenerate_cell", "180, 90, 90"),
    "position NaN": (cif(x="nan"), "not_finite", "_atom_site_fract_x of Cl1 nan"),
    "position ?": (cif(x="?"), "incomplete", "where Cl1 is (_atom_site_fract_x is '?')"),
    "position .": (cif(x="."), "incomplete", "where Cl1 is (_atom_site_fract_x is '.')"),
    "Cartesian": (cif().replace("fract", "Cartn"), "incomplete", "only Cartesian positions"),
    "occupancy 0": (cif(occupancy="0"), "partial_occupancy", "leaves no Na, because Na1"),
    "occupancy -1": (cif(occupancy="-1"), "partial_occupancy", "the occupancy -1"),
    "occupancy word": (cif(occupancy="full"), "unreadable", "'full', which is not a number"),
    "unknown element": (changed(cif(), "Na1 Na", "Qq1 Qq"), "unknown_species", "'Qq'"),
    "no block": (changed(cif(), "data_NaCl", ""), "unreadable", "no line that begins with data_"),
    "only a head": (cif()[:60], "unreadable", "lists no atoms"),
    "no labels": (changed(cif(), "_site_label", "_site_x"), "unreadable", "_atom_site_label."),
    "web page": (HTML, "unreadable", "is a web page, no CIF"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "unreadable", "holds binary data"),
    "packed": (gzip.compress(cif().encode()), "unreadable", "rename it to x.cif.gz"),
    "archive": (b"PK\x03\x04" + bytes(60), "unreadable", "is a zip archive"),
}
CIFS["angles"] = (
    cif().replace("alpha 90", "alpha 20").replace("beta 90", "beta 150"),
    "degenerate_cell",
    "20, 150, 90",
)


@pytest.mark.parametrize(("content", "reason", "sentence"), CIFS.values(), ids=CIFS)
def test_damaged_cif(tmp_path, content, reason, sentence):
    content = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "x.cif").write_bytes(content)
    (tmp_path / "good.vasp").write_text(POSCAR)
    good, bad = read_inputs([str(tmp_path)])
    assert good.problem is None
    found, message = bad.problem
    assert found == reason
    assert sentence in message
    assert message.endswith(".")
    assert "x.cif" in message or reason == "unknown_species"  # said of any structure


POSCARS = {
    "cut off": (POSCAR[:-16], "position 2 of 2"),
    "cut off in the cell": (POSCAR[:24], "lattice vector in line 4"),
    "count too large": (changed(POSCAR, "\n2\n", "\n3\n"), "position 3 of 3 should follow"),
    "count too small": (changed(POSCAR, "\n2\n", "\n1\n"), "counts 1 atoms, but goes on"),
    "two counts": (changed(POSCAR, "\n2\n", "\n2 1\n"), "names 1 elements in line 6"),
    "count < 0": (changed(POSCAR, "\n2\n", "\n-2\n"), "asks for -2 atoms"),
    "no mode": (changed(POSCAR, "Direct\n", ""), "Direct or Cartesian in line 8"),
    "no scale": (changed(POSCAR, "1.0", "abc"), "one scaling factor in line 2, but says 'abc'"),
    "two vectors": (changed(POSCAR, "2.7 2.7 0\n", ""), "lattice vector in line 5"),
    "web page": (HTML, "is a web page, no POSCAR"),
    "no flags": (changed(POSCAR, "Direct", "S\nDirect"), "T or F for each axis of position 1 of 2"),
    "a CIF": (cif(), "line 2, but says '_cell_length_a 5.64'"),
}


@pytest.mark.parametrize(("content", "sentence"), POSCARS.values(), ids=POSCARS)
def test_damaged_poscar(tmp_path, content, sentence):
    (tmp_path / "x.vasp").write_text(content)
    reason, message = only(tmp_path / "x.vasp").problem
    assert reason == "unreadable"
    assert "x.vasp" in message
    assert sentence in message
    assert message.endswith(".")


def test_sound_poscars_are_not_refused(tmp_path):
    split = POSCAR.replace("Si\n2\n", "Si\nGe\n1\n1\n")  # as VASP wraps more than twenty elements
    (tmp_path / "a.vasp").write_text(split)
    (tmp_path / "b.vasp").write_text(POSCAR.replace("Direct", "Selective\ndirect").replace(
        "0.25\n", "0.25 T T F\n").replace("0 0 0\n", "0 0 0 T T T\n") + "\n 0 0 1\n 0 1 0\n"
    )  # fmt: skip
    # VASP reads neither what is behind a vector nor, for us, the velocities
    remarked = POSCAR.replace("2.7 2.7 0\n", "2.7 2.7 0 third\n") + "\n 0 0 1\n 0 damaged\n"
    (tmp_path / "b2.vasp").write_text(remarked)
    (tmp_path / "c.vasp").write_bytes(POSCAR.replace("\n", "\r\n").encode("utf-16"))
    found = read_inputs([str(tmp_path)])
    assert [item.problem for item in found] == [None] * 4
    assert [item.structure.formula for item in found] == ["Si1 Ge1", "Si2", "Si2", "Si2"]
    assert found[2].dropped == ["velocities"]


XYZ = {
    "negative count": (changed(xyz("Cu"), "1\n", "-2\n"), ["number of atoms, but says '-2'"]),
    "count too small": (
        changed(xyz("Si", "Cu"), "2\n", "1\n"),
        ["not as many lines as the number", "line 4 should be a number of atoms"],
    ),
    "unknown element": (changed(xyz("Cu"), "Cu ", "Qq "), ["'Qq' is not an element"]),
    "column missing": (changed(xyz("Cu"), "0.00000000\n", "\n"), ["not as many columns"]),
    "bad lattice": (changed(xyz("Cu"), 'Lattice="0.0', 'Lattice="'), ["nine numbers"]),
    "no number": (changed(xyz("Cu"), "0.00000000", "0,0"), ["'0,0' stands where a number"]),
    "no count of columns": (changed(xyz("Cu"), ":R:3", ":R:x"), ["name:type:number"]),
    # ASE counts to it
    "columns without end": (changed(xyz("Cu"), ":S:1", ":S:99999999999"), ["more columns"]),
    "endless element": (changed(xyz("Cu"), "Cu ", "Cu" + "a" * 9999), ["'... is not an element"]),
    "web page": (HTML, ["is a web page, no extended XYZ"]),
}


@pytest.mark.parametrize(("content", "sentences"), XYZ.values(), ids=XYZ)
def test_damaged_extxyz(tmp_path, content, sentences):
    (tmp_path / "x.xyz").write_text(content)
    found = read_inputs([str(tmp_path / "x.xyz")])
    assert [item.problem[0] for item in found] == ["unreadable"] * len(sentences)
    for item, sentence in zip(found, sentences, strict=True):
        assert "x.xyz" in item.problem[1]
        assert sentence in item.problem[1]
        assert item.problem[1].endswith(".")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_encodings(tmp_path, encoding):
    text = "# Ångström\n" + cif()
    mark = b"\xff\xfe" if encoding == "utf-16-le" else b""
    (tmp_path / "x.cif").write_bytes(mark + text.encode(encoding))
    assert only(tmp_path / "x.cif").structure.formula == "Na4 Cl4"


@pytest.mark.parametrize("character", "\v\f\x1c\x1d\x1e\x85\u2028\u2029")
def test_only_ends_of_lines_end_lines(tmp_path, character):
    frames = changed(xyz("Cu", "Si"), "pbc=", f'note="a{character};b" pbc=')
    for name, text in {
        "x.cif": changed(cif(), "\nloop_", f"\n# a{character};b\nloop_"),
        "x.vasp": changed(POSCAR, "Si2", f"Si2{character}2 2 2"),
        "x.xyz": frames,
    }.items():
        (tmp_path / name).write_text(text, newline="")
        found = read_inputs([str(tmp_path / name)])
        assert [item.problem for item in found] == [None] * (2 if name == "x.xyz" else 1)
        (tmp_path / name).write_text(text.replace("\n", "\r"), newline="")
        assert [item.problem for item in read_inputs([str(tmp_path / name)])] == [None] * len(found)


def test_not_packed_but_called_so(tmp_path):
    (tmp_path / "x.cif.gz").write_text(cif())
    assert "take .gz off its name" in only(tmp_path / "x.cif.gz").problem[1]


def test_one_broken_block_hides_no_other_and_two_of_one_name_are_two(tmp_path):
    cut = cif("cut")[: cif("cut").index(ROW) + 8]
    other = cif("image0").replace("5.64", "5.70")
    (tmp_path / "x.cif").write_text("\n".join([cif("image0"), cut, other]))
    found = read_inputs([str(tmp_path / "x.cif")])
    assert [item.problem and item.problem[0] for item in found] == [None, "unreadable", None]
    assert [found[n].structure.lattice.a for n in (0, 2)] == pytest.approx([5.64, 5.70])
    assert [item.label for item in found] == ["x-0", "cut", "x-2"]


def test_a_file_name_that_is_no_text_can_be_stored(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.cif"
    with open(path, "w") as file:
        file.write(cif())
    (item,) = read_inputs([str(tmp_path)])
    assert item.problem is None
    assert item.label == r"caf\udce9"
    for text in (item.source["path"], item.source["material_id"]):
        assert text.encode("utf-8")  # what BSON does
