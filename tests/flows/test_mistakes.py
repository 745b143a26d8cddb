"""What a reader of the manual gets wrong: one sentence, or what was meant."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest
from ase.build import bulk, molecule
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.cli.campaign import Asked, read_campaign
from pet_flows.errors import PetFlowsError

COPPER = AseAtomsAdaptor.get_structure(bulk("Cu"))


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "c.yaml").write_text(text)
    return str(tmp_path / "c.yaml")


def test_results_are_copied_and_pickled() -> None:
    for found in (pet_flows.static(COPPER), pet_flows.static(bulk("Xe", "fcc", a=6.0))):
        for again in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            assert (again.state, again.result, again.message) == (
                found.state, found.result, found.message,
            )  # fmt: skip


def test_paths_are_never_seen_from_the_working_directory(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "here" / "structures").mkdir(parents=True)
    (tmp_path / "here" / "proj").mkdir()
    (tmp_path / "here" / "proj" / "pet-mvl").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = written(
        tmp_path / "here" / "proj",
        "inputs: structures\npotentials: [pet-mvl, mine.ckpt]\nreport: {output: r.csv}\n"
        "comparison: {picture: p.png}\nexecution: {checkpoints: c}\n",
    )
    found = read_campaign(Asked(inputs=["proj/c.yaml"]))
    assert found.inputs == ["proj/structures"]
    assert [p.model for p in found.potentials] == ["pet-mvl", "proj/mine.ckpt"]
    assert [str(p) for p in (found.report.output, found.comparison.picture)] == [
        "proj/r.csv", "proj/p.png",
    ]  # fmt: skip
    assert str(found.execution.checkpoints) == "proj/c"
    assert path


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"batch_size": -1}, "ScreenMaker: batch_size must be at least 1 (got -1)."),
        ({"batch_size": 0}, "ScreenMaker: batch_size must be at least 1 (got 0)."),
        ({"makers": {"relax": pet_flows.EOSMaker()}}, "must be a maker of relax"),
        ({"makers": {"relax": 3}}, "must be a maker of relax"),
        ({"properties": None}, "needs at least one property"),
        ({"properties": ["relax", {"relax": {"steps": 3}}]}, "relax is named twice"),
        ({"potential": 3}, "potential must be a model name, a path or a PotentialSpec (got 3)"),
    ],
)
def test_a_wrong_screen_maker_is_refused_when_it_is_made(given, said) -> None:
    with pytest.raises(PetFlowsError) as caught:
        pet_flows.ScreenMaker(**{"properties": ["relax"], **given})
    assert said in str(caught.value)


def test_forms_that_are_meant_are_taken() -> None:
    for properties in ("relax", ["relax"], ["relax", {"eos": {"n_volumes": 5}}]):
        assert "relax" in pet_flows.ScreenMaker(properties=properties).properties
    flow = pet_flows.ScreenMaker(properties="static").make(COPPER)
    assert len(flow.jobs) == 1
    with pytest.raises(PetFlowsError, match=r"An? Atoms cannot be screened"):
        pet_flows.ScreenMaker(properties="static").make([bulk("Cu")])


@pytest.mark.parametrize("value", [[1], "fmax", 3])
def test_settings_that_are_none(value) -> None:
    with pytest.raises(PetFlowsError, match="must be names with values"):
        pet_flows.RelaxMaker(settings=value)


def test_true_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(PetFlowsError, match="fmax must not be true or false"):
        read_campaign(Asked(inputs=["x"], properties="relax", settings=["relax.fmax=true"]))
    with pytest.raises(PetFlowsError, match="steps must not be"):
        pet_flows.RelaxMaker(steps=True).physics()
    assert pet_flows.RelaxMaker(fix_symmetry=False).physics().fix_symmetry is False


def test_lines_of_lists_and_empty_sections(tmp_path: Path) -> None:
    path = written(tmp_path, "properties:\n  - relax:\n      steps: 3\n      fmaxx: 1\n")
    with pytest.raises(PetFlowsError, match=r"Line 4 of .*fmaxx"):
        read_campaign(Asked(inputs=[path]))
    path = written(tmp_path, "properties: [{relax: {fmax: 1}}, relax]\n")
    with pytest.raises(PetFlowsError, match=r"Line 1 of .*relax is named twice"):
        read_campaign(Asked(inputs=[path]))
    path = written(tmp_path, "execution:\nreport:\nproperties:\n  phonon: {dos_sigma: None}\n")
    found = read_campaign(Asked(inputs=[path]))
    assert found.properties == {"phonon": {"dos_sigma": None}}


def test_molecules_and_paths_at_the_front_door(tmp_path: Path) -> None:
    water = AseAtomsAdaptor.get_molecule(molecule("H2O"))
    assert pet_flows.static(water).reason == "unknown_element"
    with pytest.raises(PetFlowsError, match="There is no model file"):
        pet_flows.load_potential(tmp_path / "none.ckpt")
    with pytest.raises(PetFlowsError, match="potential must be"):
        pet_flows.static(COPPER, 3)
