"""What is put on the LaunchPad: small, named, and marked as ours."""

import json
import subprocess
from contextlib import ExitStack

import pytest
from fireworks import LaunchPad, fw_config
from jobflow import Flow, JobConfig, JobStore, Response, job
from jobflow.managers.fireworks import flow_to_workflow
from maggma.stores import MemoryStore
from pymongo.monitoring import CommandListener

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import as_input, failed_input, make_source
from pet_flows.jobs import StaticMaker
from pet_flows.jobs.entries import BatchReference, load_entries
from pet_flows.launch.submit import submit
from pet_flows.models.spec import PotentialSpec
from tests.launch.conftest import script
from tests.launch.makers import FakeMaker
from tests.mongodb_server.start import running
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
    one = FakeMaker(log=str(site.log)).make(crystal())
    one.update_config({"manager_config": {"_category": "pet-cpu", "_fworker": "mine"}})
    (fw_id,) = submit(one, priority=7)
    spec = launchpad.get_fw_by_id(fw_id).spec
    assert (spec["_category"], spec["_fworker"], spec["_priority"]) == ("pet-cpu", "mine", 7)


@job
def foreign(given=None):
    return given


@job
def makes_ours():
    return Response(replace=StaticMaker(device="cpu").make(crystal()))


def category(launchpad, fw_id):
    return launchpad.get_fw_by_id(fw_id).spec.get("_category")


def test_jobs_of_other_codes_keep_their_category_or_none(site, launchpad):
    ours, plain, vasp = StaticMaker().make(crystal()), foreign(), foreign()
    vasp.update_config({"manager_config": {"_category": "vasp"}})
    ids = submit(Flow([ours, plain, vasp]), category="pet-cpu", priority=3)
    assert [category(launchpad, n) for n in ids] == ["pet-cpu", None, "vasp"]
    assert [launchpad.get_fw_by_id(n).spec["_priority"] for n in ids] == [3, 3, 3]


def test_a_config_for_the_whole_flow_does_not_spread_our_category():
    flow = Flow([StaticMaker().make(crystal()), foreign()])
    flow.update_config(JobConfig(manager_config={"_fworker": "w"}))
    ours, other = flow_to_workflow(flow).fws
    assert (ours.spec["_fworker"], ours.spec["_category"]) == ("w", "pet-gpu")
    assert (other.spec["_fworker"], other.spec.get("_category")) == ("w", None)


@pytest.mark.parametrize(
    ("made", "changed", "set_", "expected"),
    [
        ({"device": "cpu"}, {}, {}, "pet-cpu"),
        ({}, {"device": "cpu"}, {}, "pet-cpu"),
        ({}, {}, {"_category": "mine"}, "mine"),
        ({}, {"device": "cpu"}, {"_category": "mine"}, "mine"),
    ],
)
def test_ours_have_a_category_in_plain_jobflow(made, changed, set_, expected):
    one = StaticMaker(**made).make(crystal())
    if set_:
        one.update_config({"manager_config": set_})
    if changed:
        one.update_maker_kwargs(changed)
    (firework,) = flow_to_workflow(one).fws
    assert firework.spec["_category"] == expected
    again = type(one).from_dict(one.as_dict())
    assert again.config.manager_config["_category"] == expected


def test_ours_made_by_a_job_of_another_code_have_a_category(tmp_path):
    store = JobStore(MemoryStore(), {"data": MemoryStore()})
    store.connect()
    response = makes_ours().run(store)
    (firework,) = flow_to_workflow(response.replace).fws
    assert firework.spec["_category"] == "pet-cpu"


def test_lpad_shows_sensible_names(site, launchpad):
    submit(site.flow(2, "relax Si"))
    command = [script("lpad"), "-l", str(site.launchpad_file), "get_fws", "-d", "less"]
    shown = subprocess.run(command, env=site.environment, capture_output=True, text=True)
    assert {fw["name"] for fw in json.loads(shown.stdout)} == {"relax Si 0", "relax Si 1"}


def test_an_unknown_category_is_refused(site, launchpad):
    with pytest.raises(PetFlowsError, match=r"category must be pet-gpu or pet-cpu .got 'vasp'"):
        submit(site.flow(1), category="vasp")


def test_sentences(site, monkeypatch, tmp_path):
    monkeypatch.setattr("pet_flows.store.access.TIMEOUT", 0.5)
    flow = site.flow(1)
    monkeypatch.setattr(fw_config, "LAUNCHPAD_LOC", None)
    with pytest.raises(PetFlowsError, match=r"There is no my_launchpad.yaml: put one into"):
        submit(flow)
    with pytest.raises(PetFlowsError, match="no LaunchPad file at"):
        submit(flow, launchpad="nowhere.yaml")
    (tmp_path / "bad.yaml").write_text("host: [1")
    with pytest.raises(PetFlowsError, match="is not a LaunchPad file"):
        submit(flow, launchpad=tmp_path / "bad.yaml")
    away = "host: mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=200\nuri_mode: true\nname: x\n"
    (tmp_path / "away.yaml").write_text(away)
    with pytest.raises(PetFlowsError, match=r"away.yaml does not answer"):
        submit(flow, launchpad=tmp_path / "away.yaml")
    (tmp_path / "jobflow.yaml").write_text("DIRECTORY_FORMAT: '%Y'\n")
    with pytest.raises(PetFlowsError, match="needs a database for all workers"):
        submit(flow)


def test_a_connection_lost_before_anything_was_submitted(site, tmp_path):
    uri = "mongodb://127.0.0.1:9/x?serverSelectionTimeoutMS=200"
    pad = LaunchPad(host=uri, uri_mode=True, name="x")
    with pytest.raises(PetFlowsError, match=r"ServerSelectionTimeout.* nothing was submitted"):
        submit(site.flow(1), launchpad=pad)
    pad.connection.close()


def test_a_launchpad_object_may_be_given(site, launchpad):
    assert isinstance(launchpad, LaunchPad)
    assert len(submit(site.flow(1), launchpad=launchpad)) == 1


def test_a_database_that_never_was_a_launchpad(site):
    with pytest.raises(PetFlowsError, match="was never set up as a LaunchPad: run `lpad"):
        submit(site.flow(1))


class Killing(CommandListener):
    """Ends the server when a collection is inserted into, just before that would arrive."""

    def __init__(self, collection, kill, command="insert", armed=False):
        self.collection, self.kill, self.command = collection, kill, command
        self.armed = armed

    def started(self, event):
        if self.armed and event.command.get(self.command) == self.collection:
            self.armed = False
            self.kill()

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass


@pytest.mark.parametrize("collection", ["workflows", "fireworks"])
@pytest.mark.parametrize("back", [True, False])
def test_a_connection_lost_while_submitting_leaves_nothing_or_says_what(
    site, tmp_path, back, collection
):
    """Nothing has arrived, or the workflow has and its fireworks have not."""
    with ExitStack() as servers:
        uri, server = servers.enter_context(running(tmp_path / "server.mv"))
        port = int(uri.rpartition(":")[2])

        def kill():
            server.kill()
            server.wait()
            if back:
                servers.enter_context(running(tmp_path / "server.mv", port))

        # only the LaunchPad goes away
        known = {
            "event_listeners": [Killing(collection, kill, armed=True)],
            "serverSelectionTimeoutMS": 1500,
        }
        pad = LaunchPad(host=f"{uri}/x", uri_mode=True, name="x", mongoclient_kwargs=known)
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
        said = "nothing was submitted; submit again" if back else "fireworks 1 to 2 were submitted"
        with pytest.raises(PetFlowsError, match=said):
            submit(site.flow(2), launchpad=pad)
        if back:
            assert pad.fireworks.count_documents({}) == pad.workflows.count_documents({}) == 0
            assert len(submit(site.flow(2), launchpad=pad)) == 2
        pad.connection.close()


def test_a_firework_is_as_small_with_many_structures_and_names_them_in_order(site, launchpad):
    sizes = []
    for n in (2, 40):
        maker = FakeMaker(log=str(site.log), campaign="many")
        given = [failed_input(make_source(path="x.cif"), "unreadable", "It is cut.")]
        given += [as_input(crystal(k)) for k in range(n)]
        (fw_id,) = submit(maker.make(given))
        sizes.append(len(json.dumps(launchpad.get_fw_dict_by_id(fw_id)["spec"])))
        (task,) = launchpad.get_fw_by_id(fw_id).tasks
        (reference,) = task["job"].function_args
        with site.results() as results:
            entries = load_entries(reference, results)
        assert len(entries) == reference.n == n + 1
        assert entries[0].given.problem == ("unreadable", "It is cut.")
        assert entries[0].given.source["path"] == "x.cif"
        found = [entry.given.structure for entry in entries[1:]]
        assert found == [crystal(k) for k in range(n)]
    assert sizes[1] - sizes[0] < 10


def test_a_batch_that_is_not_there_is_named(site, launchpad):
    with site.results() as results, pytest.raises(PetFlowsError, match="Batch gone is not in the"):
        load_entries(BatchReference("gone", 3), results)
