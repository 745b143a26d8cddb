"""The campaign file of a report gives the campaign's own structures again."""

from __future__ import annotations

import pytest

from pet_flows.flows.campaign_file import Draft
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.inputs.sources import read_inputs
from pet_flows.inputs.structure import as_input, make_input, make_source
from pet_flows.records.keys import structure_digest
from pet_flows.report.page.again import Inputs, campaign_file
from pet_flows.report.page.facts import facts
from pet_flows.report.page.series import beside_dft
from pet_flows.report.table import report
from pet_flows.store.results import ResultStore
from pet_flows.yaml_file import read_yaml
from tests.cli.stored import made
from tests.plots.examples import EXAMPLES
from tests.report.conftest import enter


@pytest.fixture
def here(tmp_path, monkeypatch):
    enter(tmp_path, monkeypatch)
    return tmp_path


def digests(inputs):
    return sorted(structure_digest(one.structure) for one in inputs)


def read_back(folder, text):
    """Campaign of a file with this text."""
    (folder / "campaign.yaml").write_text(text, encoding="utf-8")
    return Draft.of(read_yaml(folder / "campaign.yaml")).campaign()


def printed(inputs, name="again"):
    """Campaign file of a campaign of these inputs, which is in a store."""
    with ResultStore.open() as store:
        store.campaigns.put({"name": name, "properties": ["eos"], "n_inputs": len(inputs)})
        for one in inputs:
            atoms = one.structure.to_ase_atoms()
            sources = [{**one.source, "campaign": name}, {"campaign": "other", "path": "no.cif"}]
            store.put(*made(EXAMPLES["eos"], atoms=atoms, sources=sources))
        table = report(store, name)
        return facts(store, table, beside_dft(store, name, table.rows))["campaign_file"]


def test_prototypes(here):
    inputs = read_inputs(["prototypes:Cu,Si"])
    text = printed(inputs)
    assert "Si-diamond" not in text
    assert digests(read_inputs(read_back(here, text).inputs)) == digests(inputs)


def test_a_folder_of_files(here):
    (here / "cifs" / "more").mkdir(parents=True)
    for n, name in enumerate(("mp-149", "true", "a b: #1, 'x'", "more/[1]*", "5")):
        structure = as_input(build_prototypes(["Si"])[n].structure).structure
        structure.to(str(here / "cifs" / f"{name}.cif"), fmt="cif")
    inputs = read_inputs(["cifs", "prototypes:Cu"])
    assert len(inputs) == 10
    again = read_back(here, printed(inputs, "true"))
    assert again.name == "true"
    assert digests(read_inputs(again.inputs)) == digests(inputs)


def test_many_files_are_named_by_their_folders(here):
    found = Inputs()
    for n in range(300):
        found.add({"path": f"cifs/{n % 2}/{n}.cif"})
    assert found.lines()[0] == "inputs:"
    assert "300 files" in found.lines()[1]
    again = read_back(here, campaign_file("many", {"properties": ["relax"]}, [], found))
    assert again.inputs == [str(here / "cifs" / "0"), str(here / "cifs" / "1")]


def test_what_no_input_can_name_is_a_comment(here):
    structure = build_prototypes(["Ge"], ["bcc"])[0]
    python = as_input(build_prototypes(["Si"])[0].structure)
    stored = make_input(
        python.structure.copy().scale_lattice(50.0),
        make_source(material_id="mp-1", database="vasp", collection="outputs"),
    )
    text = printed([structure, python, stored])
    assert read_back(here, text).inputs == []
    assert "Of Ge only bcc" in text
    assert "1 structure of vasp/outputs" in text
    assert "1 structure given in Python" in text


def test_settings_and_potentials_are_written_with_all_digits(here):
    settings = {"static": {"phase_comparison": False}, "relax": {"fmax": 1e-5, "symprec": 0.1 / 3}}
    potential = {
        "name": "pet-mvl", "symmetrization": "grid:icosahedral", "dtype": "float32",
        "sha256": "1" * 64, "digest": "x",
    }  # fmt: skip
    manifest = {"properties": ["relax", "static"], "settings": settings}
    again = read_back(here, campaign_file("a\tb: #é", manifest, [potential], Inputs()))
    assert again.name == "a\tb: #é"
    assert again.properties["relax"] == settings["relax"]
    assert again.properties["static"] == settings["static"]
    (given,) = again.potentials
    assert given.model_dump(exclude={"trust"}) == {
        "model": "pet-mvl", "symmetrization": "grid:icosahedral", "dtype": "float32",
        "sha256": "1" * 64, "variant": None,
    }  # fmt: skip


def test_a_potential_of_another_family_is_named_as_it_was_given(here):
    potential = {
        "name": "EMT", "model": "ase:ase.calculators.emt.EMT()", "symmetrization": "none",
        "dtype": "float64", "sha256": "1" * 64, "digest": "x",
    }  # fmt: skip
    again = read_back(here, campaign_file("emt", {"properties": ["relax"]}, [potential], Inputs()))
    assert [one.model for one in again.potentials] == [potential["model"]]


def test_the_symmetrization_is_the_one_that_was_given(here):
    """A property that compares phases, or is a long run, has one made of it."""
    spec = {"sha256": "1" * 64, "dtype": "float64"}
    records = [{**spec, "name": "pet-mvl", "symmetrization": "crystal", "digest": "x"}]
    for used, given in [
        (["crystal:icosahedral", "crystal"], "crystal"),
        (["crystal:icosahedral"], "crystal:icosahedral"),
        (["crystal:icosahedral", "crystal:orientation"], "crystal"),
        (["none", "none"], "none"),
    ]:
        potentials = {str(n): {**spec, "symmetrization": one} for n, one in enumerate(used)}
        manifest = {"properties": ["relax"], "potentials": potentials}
        (found,) = read_back(here, campaign_file("x", manifest, records, Inputs())).potentials
        assert found.symmetrization == given
        assert found.model == "pet-mvl"


def test_a_model_that_was_given_by_its_path_is_named_as_a_file(here):
    """Records keep its name and hash: where it lies is for the person to say."""
    potentials = [
        {"name": name, "sha256": sha, "symmetrization": "crystal", "dtype": "float64"}
        for name, sha in (("pet-mvl", "a" * 64), ("my-model", "b" * 64))
    ]
    text = campaign_file("two", {"properties": ["relax"]}, potentials, Inputs())
    assert "  - model: pet-mvl\n" in text
    assert "  - model: path/to/my-model.ckpt\n" in text
    assert "given by its path: write where it is now" in text
