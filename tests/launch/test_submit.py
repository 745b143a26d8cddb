"""What is put on the LaunchPad: small, named, and marked as ours."""

import json
import subprocess

import pytest
from fireworks import LaunchPad, fw_config

from pet_flows.errors import PetFlowsError
from pet_flows.launch.submit import submit
from pet_flows.models.spec import PotentialSpec
from tests.launch.conftest import script
from tests.launch.makers import FakeMaker
from tests.store.examples import crystal


def test_fireworks_carry_references_and_a_category(site, launchpad):
    ids = submit(site.flow(3, campaign="li-si"))
    assert len(ids) == 3
    for number, fw_id in enumerate(ids):
        firework = launchpad.get_fw_dict_by_id(fw_id)
        assert firework["name"] == f"fake {number}"
        assert firework["spec"]["_category"] == "pet-gpu"
        assert firework["spec"]["campaign"] == "li-si"
        size = len(json.dumps(firework["spec"]))
        assert size < 5000
        assert '"sites"' not in json.dumps(firework["spec"])
    assert launchpad.get_wf_summary_dict(ids[0], mode="less")["name"].startswith("li-si")
    with site.results() as results:
        assert results.structures.collection.count_documents({}) == 6


def test_the_potential_arrives_whole(site, launchpad):
    spec = PotentialSpec(model="pet-mvl", sha256="ab" * 32, device="cpu")
    (fw_id,) = submit(FakeMaker(log=str(site.log), potential=spec).make(crystal()))
    (task,) = launchpad.get_fw_by_id(fw_id).tasks
    assert task["job"].maker.potential == spec


@pytest.mark.parametrize(
    ("fields", "arguments", "category"),
    [
        ({"device": "cpu"}, {}, "pet-cpu"),
        ({"potential": PotentialSpec(device="cpu")}, {}, "pet-cpu"),
        ({"device": "cuda:1"}, {}, "pet-gpu"),
        ({}, {"category": "pet-cpu"}, "pet-cpu"),
    ],
)
def test_the_device_decides_the_category(site, launchpad, fields, arguments, category):
    (fw_id,) = submit(FakeMaker(log=str(site.log), **fields).make(crystal()), **arguments)
    assert launchpad.get_fw_by_id(fw_id).spec["_category"] == category


def test_what_the_user_set_on_a_job_wins(site, launchpad):
    job = FakeMaker(log=str(site.log)).make(crystal())
    job.update_config({"manager_config": {"_category": "pet-cpu", "_fworker": "mine"}})
    (fw_id,) = submit(job, priority=7)
    spec = launchpad.get_fw_by_id(fw_id).spec
    assert (spec["_category"], spec["_fworker"], spec["_priority"]) == ("pet-cpu", "mine", 7)


def test_lpad_shows_sensible_names(site, launchpad):
    submit(site.flow(2, "relax Si"))
    command = [script("lpad"), "-l", str(site.launchpad_file), "get_fws", "-d", "less"]
    shown = subprocess.run(command, env=site.environment, capture_output=True, text=True)
    assert {fw["name"] for fw in json.loads(shown.stdout)} == {"relax Si 0", "relax Si 1"}


def test_an_unknown_category_is_refused(site, launchpad):
    with pytest.raises(PetFlowsError, match="pet-gpu or pet-cpu, not 'vasp'"):
        submit(site.flow(1), category="vasp")


def test_sentences(site, monkeypatch, tmp_path):
    monkeypatch.setattr("pet_flows.store.patience.TIMEOUT", 0.5)
    flow = site.flow(1)
    monkeypatch.setattr(fw_config, "LAUNCHPAD_LOC", None)
    with pytest.raises(PetFlowsError, match=r"There is no my_launchpad.yaml: put one into"):
        submit(flow)
    with pytest.raises(PetFlowsError, match="no LaunchPad file at"):
        submit(flow, launchpad="nowhere.yaml")
    (tmp_path / "bad.yaml").write_text("host: [1")
    with pytest.raises(PetFlowsError, match="is no LaunchPad file"):
        submit(flow, launchpad=tmp_path / "bad.yaml")
    away = "host: mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=200\nuri_mode: true\nname: x\n"
    (tmp_path / "away.yaml").write_text(away)
    with pytest.raises(PetFlowsError, match=r"away.yaml does not answer"):
        submit(flow, launchpad=tmp_path / "away.yaml")
    (tmp_path / "jobflow.yaml").write_text("DIRECTORY_FORMAT: '%Y'\n")
    with pytest.raises(PetFlowsError, match="needs a database that all workers reach"):
        submit(flow)


def test_a_launchpad_object_may_be_given(site, launchpad):
    assert isinstance(launchpad, LaunchPad)
    assert len(submit(site.flow(1), launchpad=launchpad)) == 1


def test_a_database_that_never_was_a_launchpad(site):
    with pytest.raises(PetFlowsError, match="was never set up as a LaunchPad: run `lpad"):
        submit(site.flow(1))
