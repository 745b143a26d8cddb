"""Nothing is submitted or computed twice, whatever happens while it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pymongo.monitoring
import pytest
from fireworks import FWAction, FWorker, LaunchPad
from jobflow.settings import JobflowSettings
from pymongo.errors import AutoReconnect

from pet_flows.errors import PetFlowsError
from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.structure import as_input
from pet_flows.jobs.observe import observers
from pet_flows.launch import claim
from pet_flows.launch.campaign import submit_campaign
from pet_flows.launch.interrupted import rerun_interrupted
from pet_flows.launch.launchpad import CATEGORIES, load_fworker, shared_job_store
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.launch.resident import Worker
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore
from tests.launch.test_submit import Killing
from tests.mongodb_server.proxy import Proxy
from tests.mongodb_server.start import wait_until
from tests.properties.stub import AsePotential
from tests.store.examples import crystal

MAKER = ScreenMaker("c", ("static",), "pet-mvl", batch_size=2, device="cpu")


def inputs(n):
    return [as_input(crystal(k, "Cu")) for k in range(n)]


@pytest.fixture
def submit(site, launchpad):
    """Submit the first structures of a campaign; what became of them."""

    def run(n):
        with site.results() as results:
            return submit_campaign(MAKER, inputs(n), launchpad, results)

    return run


@pytest.fixture
def evaluator(site, monkeypatch):
    """EMT in place of the model, and the store of the site, in this process; counts evaluations."""
    monkeypatch.setattr("jobflow.SETTINGS", JobflowSettings())
    potential = AsePotential()
    potential.device = "cpu"
    monkeypatch.setattr("pet_flows.engines.potential.get_potential", lambda *a, **b: potential)
    return potential.evaluator


def energies(site):
    with site.results() as results:
        found = list(results.query({}, ["attempts", "n_evaluations", "result.energy", "state"]))
    assert all(one["state"] == "ok" and one["attempts"] == 1 for one in found)
    assert sum(one["n_evaluations"] for one in found) == len(found)
    return len({one["result"]["energy"] for one in found})


def test_submitting_while_a_worker_runs(submit, here, launchpad, site, evaluator):
    assert submit(6).n_fireworks == 3
    seen = []

    def again(*_):
        seen.append(submit(6))

    observers.append(again)
    try:
        assert here(on_launch=again, nlaunches=9) == 3
    finally:
        observers.remove(again)
    assert len(seen) == 6 + 3
    assert all(one.n_fireworks == 0 for one in seen)
    assert seen[0].n_live + seen[0].n_done == 6
    assert seen[-1].n_done == 6
    assert launchpad.fireworks.count_documents({}) == 3
    assert evaluator.evaluated == energies(site) == 6


def test_a_campaign_that_grows_while_a_worker_runs(submit, here, launchpad, site, evaluator):
    submit(2)
    sizes = iter([4, 6, 6])
    assert here(on_launch=lambda _: submit(next(sizes)), nlaunches=9) == 3
    assert launchpad.fireworks.count_documents({"state": "COMPLETED"}) == 3
    assert evaluator.evaluated == energies(site) == 6
    with site.results() as results:
        head = results.campaigns.head("c")
    assert (head["n_structures"], head["n_records"]) == (6, 6)


def test_rerun_paused_and_defused_fireworks(submit, here, launchpad, site, evaluator):
    submit(6)
    launchpad.pause_fw(1)
    launchpad.defuse_fw(2)
    assert here(nlaunches=9) == 1
    assert submit(6).n_live == 4
    launchpad.resume_fw(1)
    launchpad.reignite_fw(2)
    assert here(nlaunches=9) == 2
    for fw_id in (1, 2, 3):  # as lpad rerun_fws does
        launchpad.rerun_fw(fw_id)
    found = submit(6)
    assert (found.n_done, found.n_fireworks) == (6, 0)
    assert here(nlaunches=9) == 3
    assert launchpad.fireworks.count_documents({"state": "COMPLETED"}) == 3
    assert evaluator.evaluated == energies(site) == 6
    with site.results() as results:
        assert all(len(one["sources"]) == 1 for one in results.query({}))


def test_what_fizzled_is_submitted_once_more(submit, here, launchpad, site, evaluator):
    submit(4)
    _, launch_id = launchpad.checkout_fw(FWorker("w", "pet-cpu"), "/gone", 1)
    launchpad.complete_launch(launch_id, FWAction(), "FIZZLED")
    assert (submit(4).n_fireworks, submit(4).n_fireworks) == (1, 0)
    assert here(nlaunches=9) == 2
    launchpad.rerun_fw(1)  # somebody else's idea of repair
    assert here(nlaunches=9) == 1
    assert evaluator.evaluated == energies(site) == 4


PHASES = (
    "update pet_flows_submissions", "pet_campaigns", "pet_structures", "pet_batches", "workflows",
    "fireworks",
)  # fmt: skip


@dataclass
class Cut:
    """A LaunchPad and a store behind a proxy, which one command cuts off when it is armed."""

    pad: LaunchPad
    proxy: Proxy
    cutting: Killing
    patch: pytest.MonkeyPatch

    def restore(self) -> None:
        """Let everybody in again, who may be patient from now on."""
        self.proxy.restore()
        self.patch.setenv("PET_FLOWS_RECONNECT_SECONDS", "30")
        get_settings.cache_clear()
        assert wait_until(self.answers)

    def answers(self) -> bool:
        """Whether the server can be reached."""
        try:
            self.pad.connection.admin.command("ping")
        except AutoReconnect:
            return False
        return True


@pytest.fixture
def cut(tmp_path, mongodb_uri, mongodb_database, monkeypatch) -> Iterator[Callable[[str], Cut]]:
    """Cut everybody off at a command: the insert into a collection, or ``COMMAND COLLECTION``."""
    made = []

    def prepared(phase: str) -> Cut:
        proxy = Proxy(mongodb_uri)
        options = "serverSelectionTimeoutMS=800"  # above the 500 between two looks of pymongo
        place = f'uri: "{proxy.uri}/?{options}", database: {mongodb_database}'
        (tmp_path / "jobflow.yaml").write_text(
            f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
            f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
        )
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
        monkeypatch.setenv("PET_FLOWS_RECONNECT_SECONDS", "0.2")
        get_settings.cache_clear()
        monkeypatch.setattr(claim, "_DEAD", 0.5)
        word, _, collection = phase.rpartition(" ")
        cutting = Killing(collection, proxy.cut, word or "insert")
        listeners = pymongo.monitoring._LISTENERS
        monkeypatch.setattr(
            pymongo.monitoring,
            "_LISTENERS",
            listeners._replace(command_listeners=[*listeners.command_listeners, cutting]),
        )
        name = f"{mongodb_database}_fw"
        pad = LaunchPad(host=f"{proxy.uri}/{name}?{options}", uri_mode=True, name=name)
        made.append(Cut(pad, proxy, cutting, monkeypatch))
        assert wait_until(made[-1].answers)
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
        pad.fireworks.insert_one({"fw_id": 0, "spec": {}})  # the indexes are there
        pad.fireworks.delete_one({"fw_id": 0})
        return made[-1]

    yield prepared
    for one in made:
        one.pad.connection.drop_database(one.pad.name)
        one.pad.connection.close()
        one.proxy.cut()


@pytest.mark.parametrize("phase", [*PHASES, "find pet_records", "find workflows"])
def test_a_connection_lost_in_any_phase(cut, phase):
    there = cut(phase)
    with ResultStore.from_job_store(shared_job_store()) as results:
        there.cutting.armed = True
        with pytest.raises(PetFlowsError, match=r"MongoDB|LaunchPad") as said:
            submit_campaign(MAKER, inputs(6), there.pad, results)
        assert not there.cutting.armed
        assert str(said.value).count("\n") == 0
        there.restore()
        found = submit_campaign(MAKER, inputs(6), there.pad, results)
        assert found.n_left + found.n_live == 6
    assert there.pad.fireworks.count_documents({"state": "READY"}) == 3
    assert there.pad.workflows.count_documents({}) == 3
    assert there.pad.db["pet_flows_submissions"].count_documents({}) == 0


#: of a worker: it looks after the dead, takes a firework, reads its batch, launches it, computes,
#: writes records and output, and ends the launch
WORK = (
    "find workflows", "findAndModify fireworks", "find pet_batches", "pet_leases",
    "find pet_records", "pet_records", "update outputs", "findAndModify launches",
    "update workflows",
)  # fmt: skip


@pytest.mark.parametrize("phase", WORK)
def test_a_worker_whose_connection_is_lost_in_any_phase(cut, phase, tmp_path, monkeypatch):
    """The server stays away: one sentence. When it is back, what was in hand is not at fault."""
    there = cut(phase)
    with ResultStore.from_job_store(shared_job_store()) as results:
        submit_campaign(MAKER, inputs(6), there.pad, results)
    monkeypatch.setattr("jobflow.SETTINGS", JobflowSettings())
    potential = AsePotential()
    potential.device = "cpu"
    monkeypatch.setattr("pet_flows.engines.potential.get_potential", lambda *a, **b: potential)
    folder = tmp_path / "worker"
    folder.mkdir()
    monkeypatch.chdir(folder)
    use_workflow_lock()
    there.cutting.armed = True
    with pytest.raises(PetFlowsError, match="MongoDB") as said:
        Worker(there.pad, load_fworker(CATEGORIES), folder, idle_timeout=0.5).run()
    assert not there.cutting.armed, "nothing was cut off"
    assert str(said.value).count("\n") == 0
    there.restore()
    rerun_interrupted(there.pad, str(folder))
    found = there.pad.fireworks.distinct("state")
    # of what was reserved and not launched yet, others see in time that nobody has it
    assert set(found) <= {"READY", "RESERVED", "COMPLETED"}, found
