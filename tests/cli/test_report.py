"""pet-flows report: a row a structure, columns from the declarations."""

import csv
import io
import json
from pathlib import Path

import pytest

from pet_flows.properties.registry import properties
from pet_flows.report.fields import cell_of, columns_of
from pet_flows.report.formats import as_text
from pet_flows.report.table import report
from pet_flows.store.results import ResultStore
from tests.cli.stored import made, potential, run
from tests.plots.examples import EXAMPLES


def table(name="metals"):
    with ResultStore.open(read_only=True) as store:
        return report(store, name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_cell_is_one_readable_value(name):
    columns = columns_of(properties()[name])
    assert columns
    for column in columns:
        assert isinstance(cell_of(column, EXAMPLES[name].result), int | float), column.name


def test_units_come_from_the_models():
    units = {
        c.name: c.unit for name in ("md", "kappa", "eos") for c in columns_of(properties()[name])
    }
    assert units["temperature.mean"] == units["temperature"] == "K"
    assert units["volume_per_atom.mean"] == "Å³"
    assert units["kappa"] == "W/m/K"
    assert units["b0_prime"] == ""


def test_a_row_for_each_structure(keys, capsys):
    found = table()
    rows = {row.material: row for row in found.rows}
    assert set(rows) == {"mp-149", "mp-30", "my xenon"}
    silicon = rows["mp-149"]
    assert (silicon.formula, silicon.space_group) == ("Si", 227)
    assert silicon.state == "ok"
    assert silicon.cells["eos.b0"] == 100.0
    assert silicon.cells["md.temperature.mean"] == 650.0
    assert silicon.cells["kappa.kappa"] == 40.0  # at 250 K, nearest to 300 K
    assert silicon.cells["kappa.temperature"] == 250.0
    assert rows["mp-30"].state == "eos unconverged (killed); not computed: static"
    assert rows["mp-30"].cells["eos.b0"] == 100.0
    assert rows["my xenon"].state == "relax failed (unknown_element); not computed: static, eos"
    assert "relax.energy_per_atom" not in rows["my xenon"].cells
    assert [head.key for head in found.heads][:3] == [
        "relax.energy_per_atom", "relax.volume_change", "relax.max_force"
    ]  # fmt: skip
    assert not found.several_potentials


def test_formats(keys, capsys):
    code, out, _ = run(capsys, "report", "metals", "--format", "csv")
    assert code == 0
    rows = {row["material_id"]: row for row in csv.DictReader(io.StringIO(out))}
    assert rows["mp-149"]["eos.b0 (GPa)"] == "100.0"
    assert rows["mp-149"]["space group number"] == "227"
    assert rows["mp-149"]["phonon.has_imaginary_modes"] == "false"
    assert rows["mp-30"]["state"].startswith("eos unconverged")

    document = json.loads(run(capsys, "report", "metals", "--format", "json")[1])
    units = {column["key"]: column["unit"] for column in document["columns"]}
    assert units["eos.v0_per_atom"] == "Å³"
    (silicon,) = [row for row in document["rows"] if row["material_id"] == "mp-149"]
    assert silicon["eos.v0_per_atom"] == 20.0

    run(capsys, "report", "metals", "-o", "metals.md")
    lines = Path("metals.md").read_text().splitlines()
    assert lines[0].startswith("| material_id | formula | space group | relax.energy_per_atom (eV)")
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 2 + 3
    code, out, _ = run(capsys, "report", "metals", "-o", "metals.txt")
    assert out == "3 structures in metals.txt\n"
    assert "not ok" in Path("metals.txt").read_text()


def test_a_terminal_has_its_width(keys):
    found = table()
    for width in (80, 140):
        text = as_text(found, width)
        assert max(map(len, text.splitlines())) <= width
        for head in found.heads:
            assert head.name in text
    assert as_text(found, 80).count("mp-149") > as_text(found, 140).count("mp-149")


def test_potentials_of_one_campaign_have_rows_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ResultStore.open() as store:
        for words in (potential(), potential("another"), potential(symmetrization="none")):
            first, blobs = made(EXAMPLES["relax"], potential=words)
            store.put(first, blobs)
            # a property may choose its own precision: still the same row
            own = potential(words["name"], symmetrization=words["symmetrization"], dtype="float32")
            store.put(*made(EXAMPLES["md"], parent=first["_id"], potential=own))
    found = table()
    assert [row.potential for row in found.rows] == [
        "another crystal float64", "pet-mvl crystal float64", "pet-mvl none float64"
    ]  # fmt: skip
    assert all(row.cells["md.temperature.mean"] == 650.0 for row in found.rows)
    assert found.several_potentials
    assert "pet-mvl none float64" in as_text(found, 140)


def test_properties_of_the_input_itself_are_one_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["static"], potential=potential(symmetrization="grid:icosahedral")))
        store.put(*made(EXAMPLES["eos"]))
    (row,) = table().rows
    assert {"static.energy_per_atom", "eos.b0"} <= set(row.cells)


def test_sentences(keys, capsys):
    code, out, said = run(capsys, "report", "metal")
    assert (code, out) == (1, "")
    assert said == "Error: There is no campaign 'metal' in this store: choose from metals."
    assert (
        "must end in .csv, .json, .md or .txt" in run(capsys, "report", "metals", "-o", "x.tsv")[2]
    )
    with ResultStore.open() as store:
        store.campaigns.put({"name": "new", "n_inputs": 1})
    assert "'new' has no records yet" in run(capsys, "report", "new")[2]
