"""pet-flows query: columns, order, formats, files of structures."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from pet_flows.inputs.sources import read_inputs
from pet_flows.records.keys import structure_digest
from pet_flows.store.results import ResultStore
from tests.cli.stored import SILICON, run

EOS = ("--filter", '{"property": "eos"}')


def ran(capsys, *words):
    code, out, err = run(capsys, "query", *words)
    assert code == 0, err
    return out, err


def test_headlines_are_the_properties_own(keys, capsys):
    out, _ = ran(capsys, "metals")
    assert "V0 20.000 Å³/atom, B0 100.0 GPa" in out
    assert "40 W/m/K at 250 K" in out  # nearest to room temperature
    assert "unknown_element: The model was not trained on Xe." in out
    assert "killed: V0 20.000" in out
    assert "toughness is not installed here" in out
    assert "10 records\n" in out


def test_fields_and_order(keys, capsys):
    fields = "material_id,property,b0,potential.name,result.volumes.0,last_updated"
    out, err = ran(capsys, "metals", "--fields", fields, "--sort", "-b0", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert list(rows[0]) == fields.split(",")
    assert err == ""
    assert len(rows) == 10
    assert [row["b0"] for row in rows[:3]] == ["100.0", "100.0", ""]
    assert rows[0]["result.volumes.0"] == "18.5"
    assert rows[0]["potential.name"] == "pet-mvl"
    assert rows[0]["last_updated"][:2] == "20"

    out, _ = ran(capsys, "--fields", "material_id,result.converged,volumes", "--format", "json")
    found = json.loads(out)
    assert {row["material_id"] for row in found} == {"mp-149", "mp-30", "my xenon"}
    assert next(row["volumes"] for row in found if row["volumes"])[0] == 18.5
    assert any(row["result.converged"] is True for row in found)

    out, _ = ran(capsys, "--fields", "key,formula,b0", *EOS, "--sort", "formula")
    lines = out.splitlines()
    assert lines[0].split() == ["key", "formula", "b0"]
    assert [line.split()[1:] for line in lines[1:3]] == [["Cu", "100"], ["Si", "100"]]


def test_a_limit_alone_sorts_nothing(keys, capsys):
    with ResultStore.open(read_only=True) as results:
        first = [record["_id"] for record in results.query({}, ["_id"], limit=4)]
    out, _ = ran(capsys, "--fields", "key", "--format", "csv", "--limit", "4")
    assert out.split()[1:] == first
    out, _ = ran(
        capsys, "--fields", "formula", "--format", "csv", "--limit", "2", "--sort", "formula"
    )
    assert out.split()[1:] == ["Cu", "Cu"]


def test_whole_records_as_json(keys, capsys):
    out, _ = ran(capsys, *EOS, "--format", "json")
    records = json.loads(out)
    assert {record["_id"] for record in records} == {keys["eos"], keys["copper eos"]}
    assert records[0]["result"]["b0"] == 100.0
    out, _ = ran(capsys, "--filter", '{"property": "nothing"}', "--format", "json")
    assert json.loads(out) == []


def test_default_columns_as_csv(keys, capsys):
    out, _ = ran(capsys, *EOS, "--format", "csv")
    first = next(csv.DictReader(io.StringIO(out)))
    assert first["headline"] == "killed: V0 20.000 Å³/atom, B0 100.0 GPa"
    assert first["key"] == keys["copper eos"]


def test_a_field_that_nobody_has_is_said(keys, capsys):
    _, err = ran(capsys, *EOS, "--fields", "key,result.b00")
    assert err == "No record has result.b00: did you mean 'result.b0'?\n"
    # some records may lack what others have
    assert ran(capsys, *EOS, "--fields", "key,result.young")[1] == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--fields", "stat"], "Records have no field 'stat': did you mean 'state'?"),
        (["--fields", " , "], "--fields names no field"),
        (["--sort", "-b00"], "did you mean 'b0'?"),
        (
            ["--sort", "headline"],
            "--sort must be a field of records, such as result.energy_per_atom (got headline)",
        ),
        (["--export", "cfi", "out"], "There is no format of structures 'cfi': did you mean 'cif'?"),
        (["--export", "cif", "file/below"], "file/below cannot be written"),
    ],
)
def test_mistakes_end_in_one_sentence(words, sentence, keys, capsys):
    Path("file").write_text("")
    code, out, said = run(capsys, "query", *words)
    assert (code, out) == (1, "")
    assert sentence in said


@pytest.mark.parametrize("name", ["0012", "1e5", "a b", "x=y", 'say "it"'])
def test_names_survive_in_extxyz(name, keys, capsys):
    from pet_flows.store.results import ResultStore
    from tests.cli.stored import made
    from tests.plots.examples import EXAMPLES

    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["relax"], name, campaign="odd"))
    ran(capsys, "odd", "--export", "extxyz", "odd.extxyz")
    (again,) = read_inputs(["odd.extxyz"])
    assert again.label == name


@pytest.mark.parametrize("kind", ["cif", "poscar"])
def test_structures_keep_their_names(kind, keys, capsys):
    out, _ = ran(capsys, "metals", "--export", kind, "out")
    assert "3 structures in out\n" in out
    assert "1 record failed and has no final structure." in out
    ending = {"cif": ".cif", "poscar": ".vasp"}[kind]
    # one of silicon though six properties start from it, and the end of its trajectory
    assert sorted(p.name for p in Path("out").iterdir()) == [
        f"{name}{ending}" for name in ("mp-149", "mp-149_md", "mp-30")
    ]
    again = {found.label: found.structure for found in read_inputs(["out"])}
    assert set(again) == {"mp-149", "mp-30"} | ({"mp-149_md"} if kind == "poscar" else set())
    (silicon,) = read_inputs([f"out/mp-149{ending}"])
    if kind == "poscar":
        assert structure_digest(silicon.structure) == structure_digest(SILICON)
    # a CIF has lengths and angles, and no orientation
    assert silicon.structure.lattice.parameters == pytest.approx(SILICON.lattice.parameters)
    assert silicon.structure.frac_coords == pytest.approx(SILICON.frac_coords, abs=1e-9)
    assert len(again["mp-30"]) == 4


def test_names_that_are_no_file_names_survive_in_cif(keys, capsys):
    from pet_flows.store.results import ResultStore
    from tests.cli.stored import made
    from tests.plots.examples import EXAMPLES

    with ResultStore.open() as store:
        store.put(*made(EXAMPLES["relax"], "a/b c's", campaign="odd"))
    ran(capsys, "odd", "--export", "cif", "out")
    (again,) = read_inputs(["out"])
    assert again.label == "a/b c's"


def test_extxyz_holds_energies(keys, capsys):
    ran(capsys, "metals", "--export", "extxyz", "all.extxyz")
    frames = {atoms.info["key"]: atoms for atoms in read("all.extxyz", ":")}
    assert set(frames) == {keys["relax"], keys["copper relax"], keys["md"]}
    silicon = frames[keys["relax"]]
    assert silicon.info["material_id"] == "mp-149"
    assert silicon.get_potential_energy() == -10.8
    # GPa to eV/Å³, tension positive in both
    assert silicon.get_stress()[:3] == pytest.approx(0.5 / 160.21766208)
    assert {one.label for one in read_inputs(["all.extxyz"])} == {"mp-149", "mp-30"}
    ran(capsys, "--filter", '{"property": "static"}', "--export", "extxyz", "forces.extxyz")
    (atoms,) = read("forces.extxyz", ":")
    assert np.allclose(atoms.get_forces(), [[0.1, 0.2, 0.3], [-0.1, -0.2, -0.3]])


def test_limits_of_what_is_exported(keys, capsys):
    out, _ = ran(capsys, "metals", "--export", "cif", "out", "--limit", "1")
    assert "1 structure in out\n" in out
