"""A campaign on the LaunchPad: one workflow for each batch, and nothing submitted twice."""

import threading
import time

import pytest
from fireworks import FWAction, FWorker

from pet_flows.cli import main
from pet_flows.errors import PetFlowsError
from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.launch import claim
from pet_flows.launch.claim import one_submission
from pet_flows.launch.live import Live
from pet_flows.settings import get_settings
from pet_flows.store import campaigns
from tests.store.examples import record

#: nothing of these is computed here
WORDS = ["submit", "prototypes:Si,Cu", "-p", "relax,static", "-n", "c", "--batch-size", "4"]


@pytest.fixture
def said(site, launchpad, capsys):
    """Run a command; what it printed."""
    get_settings.cache_clear()

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--launchpad", str(site.launchpad_file)])
        out, err = capsys.readouterr()
        assert ended.value.code in (0, None), err
        return out

    return run


def test_a_batch_is_a_workflow_and_knows_its_structures(said, launchpad):
    assert "10 structures in 6 fireworks (1 to 6)" in said(*WORDS)
    workflows = list(launchpad.workflows.find({}, sort=[("nodes", 1)]))
    assert [w["name"] for w in workflows] == ["c 1", "c 2", "c 3"]
    assert [sorted(w["nodes"]) for w in workflows] == [[1, 2], [3, 4], [5, 6]]
    assert [len(w["metadata"]["structures"]) for w in workflows] == [4, 4, 2]
    assert all(w["metadata"]["properties"] == ["relax", "static"] for w in workflows)
    states = {fw["fw_id"]: fw["state"] for fw in launchpad.fireworks.find()}
    assert states == {1: "READY", 2: "WAITING", 3: "READY", 4: "WAITING", 5: "READY", 6: "WAITING"}
    names = {fw["fw_id"]: fw["name"] for fw in launchpad.fireworks.find()}
    assert names[1] == "c relax 1"
    assert names[6] == "c static 3"


def test_what_waits_or_is_kept_from_running_is_not_submitted_again(said, launchpad):
    said(*WORDS)
    again = said(*WORDS)
    assert "10 of 10 structures wait or run; nothing is left to submit" in again
    launchpad.pause_wf(1)
    launchpad.defuse_wf(3)
    assert "10 of 10 structures wait or run" in said(*WORDS)
    assert launchpad.fireworks.count_documents({}) == 6
    # another property of the same structures is another campaign, and so are other weights
    other = [w if w != "c" else "d" for w in WORDS]
    assert "10 structures in 6 fireworks" in said(*other)


def test_what_fizzled_and_what_waits_for_it_is_submitted_again(said, launchpad):
    said(*WORDS)
    _, launch_id = launchpad.checkout_fw(FWorker("w", "pet-gpu"), "/gone", 3)
    launchpad.complete_launch(launch_id, FWAction(), "FIZZLED")
    assert len(Live(launchpad, "c")) == 6
    assert "4 structures in 2 fireworks (7 to 8); 6 of 10 structures wait or run." in said(*WORDS)
    assert "10 of 10 structures wait or run" in said(*WORDS)


def test_two_at_once_submit_once(said, launchpad, site):
    words = [*WORDS, "--launchpad", str(site.launchpad_file)]
    code = f"from pet_flows.cli import main; main({words!r})"
    both = [site.fork(code) for _ in range(2)]
    outs = sorted(process.communicate(timeout=120)[0] for process in both)
    assert "10 of 10 structures wait or run" in outs[0] + outs[1]
    assert "10 structures in 6 fireworks (1 to 6)" in outs[0] + outs[1]
    assert launchpad.fireworks.count_documents({}) == 6
    assert launchpad.db["pet_flows_submissions"].count_documents({}) == 0


def test_a_submission_waits_for_the_living_and_not_for_the_dead(launchpad, monkeypatch):
    monkeypatch.setattr(claim, "_BEAT", 0.1)
    monkeypatch.setattr(claim, "_DEAD", 0.6)
    claims = launchpad.db["pet_flows_submissions"]
    order = []

    def first():
        with one_submission(launchpad, "c"):
            order.append("in")
            time.sleep(1.2)
            order.append("out")

    thread = threading.Thread(target=first)
    thread.start()
    while not order:
        time.sleep(0.01)
    with one_submission(launchpad, "c"), one_submission(launchpad, "another"):
        order.append("second")
    thread.join()
    assert order == ["in", "out", "second"]
    claims.insert_one({"_id": "c", "owner": "dead", "beat": 3})
    start = time.monotonic()
    with one_submission(launchpad, "c"):
        assert 0.5 < time.monotonic() - start < 10
    assert claims.count_documents({}) == 0
    with one_submission(launchpad, "c") as refuse_taken:
        refuse_taken()
        claims.update_one({"_id": "c"}, {"$set": {"owner": "who took it"}})
        time.sleep(0.5)
        with pytest.raises(PetFlowsError, match="submit again, and what is missing is added"):
            refuse_taken()
    assert claims.count_documents({}) == 1  # another's


@pytest.mark.parametrize("arrived", [0, 1])
def test_what_a_submission_that_died_left_behind_is_removed(said, launchpad, arrived):
    said(*WORDS)
    gone = [1, 2] if not arrived else [2]
    launchpad.fireworks.delete_many({"fw_id": {"$in": gone}})
    again = said(*WORDS)
    assert "4 structures in 2 fireworks (7 to 8); 6 of 10 structures wait or run" in again
    assert launchpad.fireworks.count_documents({}) == 6
    assert launchpad.workflows.count_documents({}) == 3


def test_what_starts_from_a_relaxation_that_runs_waits_for_it(said, launchpad):
    said(*WORDS)
    launchpad.fireworks.update_many({"fw_id": {"$in": [2, 4, 6]}}, {"$set": {"state": "ARCHIVED"}})
    assert "10 of 10 structures wait or run" in said(*WORDS)
    assert launchpad.fireworks.count_documents({}) == 6


def test_many_small_submissions_spread_their_campaign(said, site, monkeypatch):
    """No document of it may grow without bound, and none knows of the others' numbers."""
    monkeypatch.setattr(campaigns, "KEYS_PER_PAGE", 2)
    for element in ("Si", "Cu", "Al", "W"):
        words = ["submit", f"prototypes:{element}", "-p", "relax", "-n", "c", "--batch-size", "2"]
        said(*words)
    with site.results() as results:
        there = results.campaigns.head("c")["n_records"]
        (pages,) = results.campaigns.collection.distinct("n_pages")
    assert there == 20
    assert 2 * 2 * pages >= there


def test_a_dry_run_says_what_would_be_submitted_and_how_long_it_takes(said, launchpad, site):
    said(*WORDS)
    found = said(*WORDS, "--dry-run")
    assert "10 of 10 structures wait or run; nothing is left to submit" in found
    words = [w if w != "c" else "d" for w in WORDS]
    found = said(*words, "--dry-run")
    assert "Campaign d would have 10 structures in 6 fireworks." in found
    assert "relax    10 records; nobody has computed one with this potential to say how" in found
    with site.results() as results:
        document, blobs = record()
        spec = ScreenMaker("d", ("static",)).maker("static").spec()
        document["potential"] = {**document["potential"], "digest": spec.digest}
        document |= {"n_evaluations": 7, "nsites": 2}
        document["provenance"] = {**document["provenance"], "wall_time": 7200.0}
        results.put(document, blobs)
    atoms = sum(len(given.structure) for given in build_prototypes(["Si", "Cu"]))
    found = said(*words, "--dry-run")
    assert f"static   10 records, about 70 evaluations and {atoms:.2g} h of one worker" in found
    assert launchpad.fireworks.count_documents({}) == 6
