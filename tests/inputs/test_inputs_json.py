"""JSON: documents, entries, data sets as pandas and databases write them; where structures are."""

from __future__ import annotations

import bz2
import gzip
import json

import pandas as pd
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import only, same


def test_json_shapes_and_their_identifiers(tmp_path, quartz):
    with_name = quartz.copy()
    with_name.properties["material_id"] = "mp-7"
    entry = ComputedStructureEntry(quartz, -1.0, entry_id="mp-8-GGA", data={"task_id": "mp-9"})
    entry_with_material = ComputedStructureEntry(
        quartz, -1.0, entry_id="mp-8-GGA", data={"material_id": "mp-8"}
    )
    shapes = {
        "one": (quartz.as_dict(), ["one"]),
        "two": (with_name.as_dict(), ["mp-7"]),
        "three": (entry.as_dict(), ["mp-8-GGA"]),
        "four": ([entry_with_material.as_dict(), quartz.as_dict()], ["mp-8", "four-1"]),
        "five": ({"mp-1": quartz.as_dict(), "mp-2": entry.as_dict()}, ["mp-1", "mp-8-GGA"]),
        "six": ({"entries": [entry.as_dict()]}, ["mp-8-GGA"]),
        "seven": (
            [{"mp_id": "mp-3", "formula": "SiO", "structure": quartz.as_dict(), "k": 1.0}],
            ["mp-3"],
        ),
        "eight": ({"structure": with_name.as_dict(), "energy": 1.0}, ["mp-7"]),
    }
    for name, (content, expected) in shapes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        found = read_inputs([str(tmp_path / f"{name}.json")])
        assert [item.source["material_id"] for item in found] == expected, name
        assert all(same(item.structure, quartz) for item in found), name
    assert read_inputs([str(tmp_path / "three.json")])[0].source["task_id"] == "mp-9"


def test_json_spins_and_site_properties_are_dropped_and_a_charge_is_kept(tmp_path, quartz):
    rich = quartz.copy(site_properties={"magmom": [0.0, 1.0, 0, 0], "coordination": [2, 4, 2, 4]})
    rich.add_oxidation_state_by_element({"Si": 4, "O": -2})
    rich.add_spin_by_element({"Si": 1})
    rich.set_charge(1)
    (tmp_path / "a.json").write_text(rich.to_json())
    found = only(tmp_path / "a.json")
    assert set(found.dropped) == {
        "oxidation states",
        "spins",
        "magnetic moments",
        "site property coordination",
    }
    assert same(found.structure, quartz)
    assert found.structure.charge == 1
    rich.set_charge(0.5)
    (tmp_path / "a.json").write_text(rich.to_json())
    assert only(tmp_path / "a.json").problem[0] == "bad_electrons"


def test_mixed_valence_on_one_site_is_one_whole_atom(tmp_path):
    mixed = Structure(Lattice.cubic(2.8), [{"Fe2+": 0.5, "Fe3+": 0.5}], [[0, 0, 0]])
    (tmp_path / "a.json").write_text(mixed.to_json())
    found = only(tmp_path / "a.json")
    assert found.problem is None
    assert found.structure.formula == "Fe1"


def test_json_never_imports_what_it_names(tmp_path, monkeypatch, quartz):
    (tmp_path / "rogue.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    content = quartz.as_dict()
    content["@module"], content["@class"] = "rogue", "Structure"
    content["sites"][0]["properties"] = {"x": {"@module": "rogue", "@class": "X"}}
    (tmp_path / "a.json").write_text(json.dumps(content))
    found = only(tmp_path / "a.json")
    assert found.problem is None
    assert same(found.structure, quartz)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"sites": [', "unreadable"),
        ('{"temperature": 300}', "no_structure"),
        ('{"lattice": {}, "sites": [{}]}', "unreadable"),
        ('{"sites": [{"name": "C"}], "charge": 0}', "no_lattice"),
    ],
)
def test_bad_json(tmp_path, text, reason):
    (tmp_path / "bad.json").write_text(text)
    assert only(tmp_path / "bad.json").problem[0] == reason


# data sets ---------------------------------------------------------------------------------------

TUNGSTEN = [Structure(Lattice.cubic(a), ["W", "W"], [[0] * 3, [0.5] * 3]) for a in (3.12, 3.14)]


def frame(column="initial_structure", *, index=None, ids=True):
    """A table of two structures, as of WBM."""
    columns = {column: [structure.as_dict() for structure in TUNGSTEN], "energy": [-1.5, None]}
    if ids:
        columns = {"material_id": ["wbm-1-1", "wbm-1-2"], **columns}
    return pd.DataFrame(columns, index=index)


def sides(found):
    return [item.structure and round(item.structure.lattice.a, 6) for item in found]


def read(path, content, name="wbm.json", **options):
    (path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return read_inputs([str(path / name)], **options)


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split", "table"])
@pytest.mark.parametrize("column", ["initial_structure", "structure", "atoms", "crystal"])
def test_tables_of_pandas(tmp_path, orient, column):
    found = read(tmp_path, frame(column).to_json(orient=orient))
    assert [item.problem for item in found] == [None, None]
    assert [item.label for item in found] == ["wbm-1-1", "wbm-1-2"]
    assert sides(found) == [3.12, 3.14]


@pytest.mark.parametrize("orient", ["columns", "index", "split"])
def test_the_index_of_a_table_names_what_has_no_other_name(tmp_path, orient):
    named = frame(index=["wbm-1-1", "wbm-1-2"], ids=False).to_json(orient=orient)
    assert [item.label for item in read(tmp_path, named)] == ["wbm-1-1", "wbm-1-2"]
    counted = frame(ids=False).to_json(orient=orient)
    assert [item.label for item in read(tmp_path, counted)] == ["wbm-0", "wbm-1"]
    cod = frame(index=[9000629, 9000630], ids=False).to_json(orient=orient)
    assert [item.label for item in read(tmp_path, cod)] == ["9000629", "9000630"]


def test_a_table_of_structures_alone(tmp_path):
    table = frame(ids=False)[["initial_structure"]]
    for orient in ("columns", "index", "split", "records", "values"):
        found = read(tmp_path, table.to_json(orient=orient))
        assert sides(found) == [3.12, 3.14], orient
        assert [item.label for item in found] == ["wbm-0", "wbm-1"], orient


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.ndjson.bz2", "x.json", "x.json.gz"])
def test_one_document_a_line(tmp_path, name):
    lines = frame().to_json(orient="records", lines=True).encode()
    pack = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.rpartition(".")[2], bytes)
    (tmp_path / name).write_bytes(pack(b"\n" + lines + b"\n"))
    found = read_inputs([str(tmp_path)])
    assert [item.label for item in found] == ["wbm-1-1", "wbm-1-2"]
    assert sides(found) == [3.12, 3.14]


def test_a_broken_line_hides_no_other(tmp_path):
    first, second = frame(ids=False).to_json(orient="records", lines=True).split("\n")[:2]
    found = read(tmp_path, f"{first}\n{first[:90]}\n\n7\n{second}\n{second[:60]}", "x.jsonl")
    assert sides(found) == [3.12, None, None, 3.14, None]
    assert [item.label for item in found] == [f"x-{n}" for n in range(5)]
    problems = [item.problem and item.problem[0] for item in found]
    assert problems == [None, "unreadable", "no_structure", None, "unreadable"]
    assert "x.jsonl: line 2 is not JSON" in found[1].problem[1]
    assert "line 6" in found[4].problem[1]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (lambda s: {"material_id": "a", "output": {"structure": s}, "input": {"x": 1}}, "a"),
        (lambda s: {"task_id": "t-1", "calc": {"output": {"final": s}}}, "x"),
        (lambda s: {"id": 7, "computed_structure_entry": {"entry_id": "e", "structure": s}}, "7"),
        (lambda s: {"n": 1, "computed_structure_entry": {"entry_id": "e", "structure": s}}, "e"),
        (lambda s: {"structure": s, "initial_structure": s, "id": "a"}, "a"),
        (lambda s: {"final_structure": s}, "x"),
        (lambda s: {"data": [{"id": "a", "relaxed": s}], "meta": {"n": 1}}, "a"),
        (lambda s: {"mp-1": {"initial_structure": s, "energy": 1.0}}, "mp-1"),
        (lambda s: {"mp-1": s}, "mp-1"),
    ],
)
def test_a_structure_is_found_wherever_it_is(tmp_path, document, expected):
    (found,) = read(tmp_path, document(TUNGSTEN[0].as_dict()), "x.json")
    assert found.problem is None
    assert found.label == expected
    assert same(found.structure, TUNGSTEN[0])


TWO = [
    {
        "material_id": f"wbm-{n}",
        "initial_structure": structure.as_dict(),
        "output": {"structure": structure.copy().apply_strain(0.01).as_dict(), "energy": -1.0},
    }
    for n, structure in enumerate(TUNGSTEN)
]
LINES = "\n".join(map(json.dumps, TWO))


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_more_than_one_structure_is_asked_about(tmp_path, name):
    content = LINES if name == "x.jsonl" else TWO
    (found,) = read(tmp_path, content, name)
    assert found.problem[0] == "no_structure"
    assert "(initial_structure, output.structure)" in found.problem[1]
    assert "--structure-path initial_structure" in found.problem[1]
    assert sides(read(tmp_path, content, name, structure_path="initial_structure")) == [3.12, 3.14]
    found = read(tmp_path, content, name, structure_path="output.structure")
    assert sides(found) == [3.1512, 3.1714]
    assert [item.label for item in found] == ["wbm-0", "wbm-1"]


@pytest.mark.parametrize("orient", ["columns", "index", "records", "split"])
def test_a_path_into_a_table(tmp_path, orient):
    table = pd.DataFrame(TWO).to_json(orient=orient)
    found = read(tmp_path, table, structure_path="output.structure")
    assert sides(found) == [3.1512, 3.1714]
    assert [item.label for item in found] == ["wbm-0", "wbm-1"]


def test_a_path_counts_for_documents_and_not_for_structures_alone(tmp_path):
    TUNGSTEN[0].to(str(tmp_path / "a.json"))
    TUNGSTEN[1].to(str(tmp_path / "b.cif"))
    (tmp_path / "c.json").write_text(json.dumps(TWO[0]))
    found = read_inputs([str(tmp_path)], structure_path="output.structure")
    assert sides(found) == [3.12, 3.14, 3.1512]


def test_what_is_there_instead_of_a_structure_is_named(tmp_path):
    content = [{"formula": "W2", "energy": -1.0}]
    (found,) = read(tmp_path, content)
    assert found.problem[0] == "no_structure"
    assert "(it has formula, energy)" in found.problem[1]
    (found,) = read(tmp_path, TWO, structure_path="final.structure")
    assert (
        "at 'final.structure' (it has material_id, initial_structure, output)" in found.problem[1]
    )
    (found,) = read(tmp_path, LINES, "x.jsonl", structure_path="final")
    assert "at 'final' (it has material_id" in found.problem[1]


def test_a_folder_passes_over_json_that_holds_something_else(tmp_path):
    (tmp_path / "log.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    TUNGSTEN[0].to(str(tmp_path / "a.json"))
    assert [item.label for item in read_inputs([str(tmp_path)])] == ["a"]


def test_documents_without_a_structure_among_others_fail_alone(tmp_path):
    rows = [{**TWO[0], "output": None}, {"material_id": "wbm-9", "initial_structure": None}, None]
    found = read(tmp_path, rows)
    assert [item.label for item in found] == ["wbm-0", "wbm-9", "wbm-2"]
    assert [item.problem and item.problem[0] for item in found] == [
        None,
        "no_structure",
        "no_structure",
    ]


@pytest.mark.parametrize("lines", [True, False])
def test_json_within_json(tmp_path, lines):
    table = frame()
    table["initial_structure"] = [structure.to_json() for structure in TUNGSTEN]
    found = read(
        tmp_path, table.to_json(orient="records", lines=lines), "x.jsonl" if lines else "x.json"
    )
    assert sides(found) == [3.12, 3.14]
    assert [item.label for item in found] == ["wbm-1-1", "wbm-1-2"]


def test_atoms_of_jarvis(tmp_path):
    structure = TUNGSTEN[0]
    atoms = {
        "lattice_mat": structure.lattice.matrix.tolist(),
        "coords": structure.cart_coords.tolist(),
        "elements": ["W", "W "],
        "cartesian": True,
        "props": ["", ""],
    }
    found = read(tmp_path, [{"jid": "JVASP-1", "atoms": atoms, "energy": 1.0}])
    assert [item.label for item in found] == ["JVASP-1"]
    assert same(found[0].structure, structure)
