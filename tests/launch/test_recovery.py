"""What dead workers leave behind is brought back, and what the living have is left to them."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from fireworks import FWAction, FWorker
from jobflow import Flow

from pet_flows.cli import main
from pet_flows.launch import heartbeat, lock
from pet_flows.launch.blame import MOST_UNEXPLAINED
from pet_flows.launch.heartbeat import ALIVE, HEARTBEAT_SAID
from pet_flows.launch.interrupted import CLAIM
from pet_flows.launch.launchpad import CATEGORIES, load_fworker
from pet_flows.launch.recovery import RESERVED, Recovery, watch
from pet_flows.launch.submit import submit
from pet_flows.store import clock
from tests.launch.makers import FakeMaker
from tests.launch.test_worker import foreign, state, states
from tests.store.examples import crystal

pytestmark = pytest.mark.usefixtures("soon")


def quiet(left):
    pass


def test_stuck_reservations_are_released_and_others_left_to_their_owners(
    site, launchpad, here, monkeypatch
):
    monkeypatch.setattr("pet_flows.launch.recovery.STUCK_AFTER", 0.5)
    ids = [*submit(site.flow(3)), *launchpad.add_wf(foreign("vasp")).values()]

    def reserve(*chosen):
        now = {"state": "RESERVED", "updated_on": datetime.now(UTC)}
        launchpad.fireworks.update_many({"fw_id": {"$in": chosen}}, {"$set": now})

    reserve(ids[0], ids[3])
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().count == 0
    time.sleep(0.6)
    reserve(ids[1])  # what another worker has just reserved must not be run twice
    assert recovery.look().stuck == [ids[0]]
    assert [state(launchpad, n) for n in ids] == ["READY", "RESERVED", "READY", "RESERVED"]
    monkeypatch.setattr("pet_flows.launch.recovery.STUCK_AFTER", 45.0)
    assert here() == 2
    assert [state(launchpad, n) for n in ids] == ["COMPLETED", "RESERVED", "COMPLETED", "RESERVED"]


@pytest.mark.parametrize("end", ["COMPLETED", "FIZZLED"])
def test_a_launch_that_ended_while_its_firework_runs_is_finished(site, launchpad, end):
    ours, running = submit(site.flow(2))
    (other,) = launchpad.add_wf(foreign("vasp")).values()
    for fw_id in (ours, running):
        _, launch_id = launchpad.checkout_fw(load_fworker(("pet-gpu",)), "/gone", fw_id)
        if fw_id == ours:
            ended = {"state": end, "action": FWAction().to_dict()}
            launchpad.launches.update_one({"launch_id": launch_id}, {"$set": ended})
    launchpad.launches.insert_one({"launch_id": 99, "state": end})
    launchpad.fireworks.update_one(
        {"fw_id": other}, {"$set": {"state": "RUNNING", "launches": [99]}}
    )
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().ended == [ours]
    assert [state(launchpad, n) for n in (ours, running, other)] == [end, "RUNNING", "RUNNING"]
    assert recovery.look().count == 0


def test_workers_of_other_codes_may_beat_as_they_like(site, launchpad):
    (ours,) = submit(site.flow(1))
    (vasp,) = launchpad.add_wf(foreign("vasp")).values()
    # rlaunch says nothing of its heartbeat, an hour by default
    launchpad.checkout_fw(FWorker("plain", "pet-gpu"), "/gone", ours)
    (launch,) = launchpad.launches.find({}, {"_id": 0})
    beating = {**launch, "launch_id": 99, "fw_id": vasp, "fworker": {"env": {HEARTBEAT_SAID: 0.1}}}
    launchpad.launches.insert_one(beating)
    running = {"state": "RUNNING", "launches": [99]}
    launchpad.fireworks.update_one({"fw_id": vasp}, {"$set": running})
    launchpad.workflows.update_one({"nodes": vasp}, {"$set": {"locked": True}})
    assert watch(Recovery(launchpad, CATEGORIES), 1.0, 0.2, quiet).count == 0
    assert states(launchpad) == ["RUNNING", "RUNNING"]
    assert launchpad.workflows.find_one({"nodes": vasp})["locked"] is True


def test_a_lock_that_nobody_waits_for_is_released(site, launchpad, monkeypatch):
    monkeypatch.setattr("pet_flows.launch.recovery.EXPIRES", 0.5)
    (fw_id,) = submit(site.flow(1))
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": "gone"}})
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().count == 0
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": "alive"}})
    time.sleep(0.6)
    assert recovery.look().count == 0  # another one has it by now
    time.sleep(0.6)
    assert recovery.look().locked == [fw_id]
    assert "locked" not in launchpad.workflows.find_one({"nodes": fw_id})
    assert lock.EXPIRES > 5


def fizzled(launchpad, fw_id, last_line):
    """End a launch of a firework with an exception."""
    _, launch_id = launchpad.checkout_fw(FWorker("w", "pet-gpu"), "/gone", fw_id)
    data = {"_exception": {"_stacktrace": f"Traceback\n{last_line}"}}
    launchpad.complete_launch(launch_id, FWAction(stored_data=data), "FIZZLED")
    return launch_id


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("pet_flows.launch.stopping.Stopped", 1),
        ("pymongo.errors.AutoReconnect: gone", 1),
        ("ValueError: of the job", 0),
    ],
)
def test_what_a_worker_gave_up_before_it_died_is_run_again(site, launchpad, said, found):
    (fw_id,) = submit(site.flow(1))
    fizzled(launchpad, fw_id, said)
    assert states(launchpad) == ["FIZZLED"]
    assert len(Recovery(launchpad, CATEGORIES).look().interrupted) == found
    assert states(launchpad) == ["READY" if found else "FIZZLED"]


def test_many_interruptions_do_not_count_as_broken_connections(site, launchpad):
    (fw_id,) = submit(site.flow(1))
    recovery = Recovery(launchpad, CATEGORIES)
    for _ in range(7):
        fizzled(launchpad, fw_id, "pet_flows.launch.stopping.Stopped")
        assert recovery.look().interrupted == [fw_id]
    for n in range(6):
        fizzled(launchpad, fw_id, "pymongo.errors.AutoReconnect: gone")
        assert recovery.look().count == (n < 5)


def test_several_that_recover_at_once_run_nothing_twice(site, launchpad):
    ids = submit(site.flow(4))
    for fw_id in ids:
        fizzled(launchpad, fw_id, "pet_flows.launch.stopping.Stopped")
    one, other = Recovery(launchpad, CATEGORIES), Recovery(launchpad, CATEGORIES)
    over, _ = one._ended()  # what one has seen, the other does before it acts
    assert sorted(other.look().interrupted) == ids
    launchpad.checkout_fw(FWorker("w", "pet-gpu"), "/new", ids[0])
    assert not any(one._rerun(fw_id, launch_id) for fw_id, launch_id in over.items())
    assert states(launchpad) == ["RUNNING", "READY", "READY", "READY"]


def test_who_dies_while_it_recovers_is_followed_by_another(site, launchpad, monkeypatch):
    monkeypatch.setattr("pet_flows.launch.recovery.EXPIRES", 0.4)
    (fw_id,) = submit(site.flow(1))
    launch_id = fizzled(launchpad, fw_id, "pet_flows.launch.stopping.Stopped")
    launchpad.launches.update_one({"launch_id": launch_id}, {"$set": {CLAIM: "died"}})
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().count == 0
    time.sleep(0.5)
    assert recovery.look().interrupted == [fw_id]
    assert states(launchpad) == ["READY"]


def test_a_job_that_kills_its_workers_is_left_fizzled(site, launchpad):
    (fw_id,) = submit(site.flow(1))
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 0.02})
    recovery = Recovery(launchpad, CATEGORIES)
    for deaths in range(1, MOST_UNEXPLAINED + 1):
        launchpad.checkout_fw(worker, "/gone", fw_id)
        found = watch(recovery, 5.0, 0.12, quiet)
        assert found.dead == ([fw_id] if deaths < MOST_UNEXPLAINED else [])
    assert states(launchpad) == ["FIZZLED"]
    launch = launchpad.launches.find_one({}, sort=[("launch_id", -1)])
    assert (
        f"died on it {MOST_UNEXPLAINED} times"
        in launch["action"]["stored_data"]["_exception"]["_stacktrace"]
    )
    assert recovery.look().count == 0


def test_a_child_whose_parent_ended_inside_a_lock_is_let_go(site, launchpad, monkeypatch):
    monkeypatch.setattr("pet_flows.launch.recovery.EXPIRES", 0.3)
    parent = FakeMaker(log=str(site.log)).make([crystal()])
    ids = submit(Flow([parent, FakeMaker(log=str(site.log)).make(parent.output)]))
    _, launch_id = launchpad.checkout_fw(FWorker("w", "pet-gpu"), "/gone", ids[0])
    launchpad.complete_launch(launch_id, FWAction(), "COMPLETED")
    launchpad.fireworks.update_one({"fw_id": ids[1]}, {"$set": {"state": "WAITING"}})
    launchpad.workflows.update_one({"nodes": ids[1]}, {"$set": {"locked": "gone"}})
    recovery = Recovery(launchpad, CATEGORIES)
    recovery.look()
    time.sleep(0.4)
    assert len(recovery.look().locked) == 1
    assert states(launchpad) == ["COMPLETED", "READY"]


def test_what_fizzled_although_its_launch_never_ended_is_run_again(site, launchpad):
    (fw_id,) = submit(site.flow(1))
    launchpad.checkout_fw(FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 0.02}), "/gone", fw_id)
    launchpad.fireworks.update_one({"fw_id": fw_id}, {"$set": {"state": "FIZZLED"}})
    assert watch(Recovery(launchpad, CATEGORIES), 5.0, 0.12, quiet).dead == [fw_id]
    assert states(launchpad) == ["READY"]


def test_what_died_long_ago_is_brought_back_by_whoever_comes(site, launchpad):
    """By the clock of the server: whose own is wrong, and who has not looked before."""
    ids = submit(site.flow(2))
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 1})
    dead, alive = (launchpad.checkout_fw(worker, "/gone", fw_id)[1] for fw_id in ids)
    for launch_id in (dead, alive):
        heartbeat.give_sign(launchpad, launch_id)
    now = launchpad.launches.find_one({"launch_id": dead})[ALIVE]
    long_ago = {"$set": {ALIVE: now - timedelta(seconds=81)}}
    launchpad.launches.update_one({"launch_id": dead}, long_ago)
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().count == 0
    time.sleep(1.2)  # another sign of it was due
    assert recovery.look().dead == ids[:1]
    assert states(launchpad) == ["READY", "RUNNING"]


def test_a_worker_does_not_leave_before_it_knows_whom_it_suspects(site, launchpad, here):
    (fw_id,) = submit(site.flow(1))
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 0.5})
    _, launch_id = launchpad.checkout_fw(worker, "/gone", fw_id)
    heartbeat.give_sign(launchpad, launch_id)
    now = launchpad.launches.find_one({"launch_id": launch_id})[ALIVE]
    long_ago = {"$set": {ALIVE: now - timedelta(seconds=81)}}
    launchpad.launches.update_one({"launch_id": launch_id}, long_ago)
    assert here(idle_timeout=0.0, nlaunches=1) == 1
    assert states(launchpad) == ["COMPLETED"]


def test_who_gives_a_sign_when_the_server_is_back_is_alive(site, launchpad, monkeypatch):
    (fw_id,) = submit(site.flow(1))
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 0.5})
    _, launch_id = launchpad.checkout_fw(worker, "/here", fw_id)
    heartbeat.give_sign(launchpad, launch_id)
    now = launchpad.launches.find_one({"launch_id": launch_id})[ALIVE]
    away = {"$set": {ALIVE: now - timedelta(seconds=300)}}
    launchpad.launches.update_one({"launch_id": launch_id}, away)
    recovery = Recovery(launchpad, CATEGORIES)
    assert recovery.look().count == 0
    assert recovery.suspected
    heartbeat.give_sign(launchpad, launch_id)
    time.sleep(0.7)  # and not yet late again
    assert recovery.look().count == 0
    assert not recovery.suspected
    assert recovery.undecided == 0
    assert states(launchpad) == ["RUNNING"]


def test_locks_and_reservations_of_long_ago_are_seen_at_once(site, launchpad):
    (locked,), (stuck,) = submit(site.flow(1)), submit(site.flow(1))
    with lock.WorkflowLock(launchpad, locked):
        its = {"nodes": locked}
        assert set(launchpad.workflows.find_one(its)[lock.TAKEN]) == {"mark", "at"}
        long_ago = launchpad.workflows.find_one(its)[lock.TAKEN]["at"] - timedelta(seconds=60)
        launchpad.workflows.update_one(its, {"$set": {f"{lock.TAKEN}.at": long_ago}})
        launchpad.fireworks.update_one(
            {"fw_id": stuck}, {"$set": {"state": "RESERVED", RESERVED: long_ago}}
        )
        recovery = Recovery(launchpad, CATEGORIES)
        assert recovery.look().count == 0
        time.sleep(0.2)
        found = recovery.look()
        assert (found.locked, found.stuck) == ([locked], [stuck])
    assert states(launchpad) == ["READY", "READY"]


def test_the_command_tells_what_it_brought_back(site, launchpad, capsys):
    (fw_id,) = submit(site.flow(1))
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 20})
    _, launch_id = launchpad.checkout_fw(worker, "/gone", fw_id)
    launchpad.launches.update_one({"launch_id": launch_id}, {"$set": {ALIVE: clock.DECLARED}})
    with site.results() as results:
        results.leases.collection.insert_many(
            [{"_id": "k", "owner": "x"}, {"_id": "x", "owner": "x", "at": clock.DECLARED}]
        )
    with pytest.raises(SystemExit) as ended:
        main(["recover", "--launchpad", str(site.launchpad_file)])
    assert not ended.value.code
    said = capsys.readouterr().out
    assert said == (
        f"Brought back: 1 firework of dead workers ({fw_id}); 1 structure that dead workers had in "
        "hand.\n"
    )
