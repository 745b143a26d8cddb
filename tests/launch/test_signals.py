"""Workers that are killed, told to end, or cut off from their server."""

import os
import signal
import threading
import time

import pytest
from pymongo.errors import AutoReconnect

from pet_flows.launch import heartbeat, lock
from pet_flows.launch.launchpad import CATEGORIES
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.launch.recovery import Recovery, watch
from pet_flows.launch.submit import submit
from tests.launch.test_recovery import quiet
from tests.launch.test_worker import state, states
from tests.mongodb_server.start import wait_until

pytestmark = pytest.mark.usefixtures("soon")

#: heartbeats of 0.5 s: a worker counts as dead after 2
QUICK = """
import pet_flows.launch.resident as w
import pet_flows.launch.heartbeat as h
import pet_flows.store.clock as c
h.HEARTBEAT = 0.5
c.CONFIRMED = 0.2
"""


def grace(seconds: float) -> str:
    """Code of a worker: s that a job has to tell its progress, before it is broken off."""
    return f"import pet_flows.launch.stopping as s; s.Stopping.__init__.__defaults__ = ({seconds},)"


def test_a_killed_worker_is_noticed_by_whoever_looks(site, launchpad):
    submit(site.flow(2, seconds=100))
    dead, _ = (site.worker(before=QUICK) for _ in range(2))
    assert wait_until(lambda: len(site.lines("start")) == 2)
    dead.kill()
    dead.wait()
    found = watch(Recovery(launchpad, CATEGORIES), 30.0, 0.3, quiet)
    assert found.count == len(found.dead) == 1
    assert sorted(states(launchpad)) == ["READY", "RUNNING"]
    assert state(launchpad, found.dead[0]) == "READY"


def test_an_idle_worker_does_what_a_killed_one_had(site, launchpad):
    submit(site.flow(1, seconds=100))
    dead = site.worker(before=QUICK)
    assert wait_until(lambda: site.lines("start"))
    dead.kill()
    dead.wait()
    other = site.worker(before=QUICK + "w._RECOVER_EVERY = 0.5", nlaunches=1)
    said, _ = other.communicate(timeout=60)
    assert "is dead; it is ready for others" in said
    assert states(launchpad) == ["COMPLETED"], said


def test_sigterm_leaves_what_is_not_done_to_others(site, launchpad):
    submit(site.flow(2, each=1.5))
    worker = site.worker(before=grace(20.0))
    with site.results() as results:
        assert wait_until(lambda: results.count())
        start = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        said, _ = worker.communicate(timeout=60)
        assert time.monotonic() - start < 15
        assert "ran 0" in said
        assert "SIGTERM: the worker gives up its job" in said
        assert "Traceback" not in said
        assert states(launchpad) == ["READY", "READY"]
        assert 1 <= results.count() < 4
    worker = site.worker(nlaunches=2)
    assert "ran 2" in worker.communicate(timeout=60)[0]
    assert states(launchpad) == ["COMPLETED", "COMPLETED"]


@pytest.mark.parametrize("how", ["SIGTERM", "time limit"])
def test_a_job_that_says_nothing_is_broken_off(site, launchpad, how):
    submit(site.flow(1, seconds=60))
    limit = {"time_limit": 9.0} if how == "time limit" else {}
    worker = site.worker(before=grace(1.5), **limit)
    assert wait_until(lambda: site.lines("start"))
    start = time.monotonic()
    if how == "SIGTERM":
        worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=60)
    assert time.monotonic() - start < 20
    assert "ran 0" in said
    assert states(launchpad) == ["READY"]
    # however often: it is the queue that ends them
    assert len(launchpad.get_fw_dict_by_id(1)["archived_launches"]) == 1


def test_the_first_interrupt_lets_the_job_finish(site, launchpad):
    submit(site.flow(2, seconds=2.0))
    worker = site.worker()
    assert wait_until(lambda: site.lines("start"))
    worker.send_signal(signal.SIGINT)
    said, _ = worker.communicate(timeout=60)
    assert "ran 1" in said
    assert "SIGINT: the worker ends after this job" in said
    assert states(launchpad) == ["COMPLETED", "READY"]


def test_a_heartbeat_outlives_a_server_that_is_away(monkeypatch, tmp_path):
    beats, stop, note = [], threading.Event(), tmp_path / "begun"
    note.touch()
    os.utime(note, (1e9, 1e9))

    def sign(launchpad, launch_id):
        beats.append(launch_id)
        if len(beats) < 3:
            raise AutoReconnect("gone")
        stop.set()

    monkeypatch.setattr(heartbeat, "give_sign", sign)
    monkeypatch.setattr("fireworks.core.rocket.PING_TIME_SECS", 0.01)
    heartbeat._beat(None, 7, stop, threading.current_thread(), note)
    assert beats == [7, 7, 7]
    assert (note.stat().st_atime > 1.5e9, note.stat().st_mtime) == (True, 1e9)


def test_a_connection_that_breaks_while_a_workflow_is_refreshed_fizzles_nothing(
    site, launchpad, here, monkeypatch
):
    submit(site.flow(1))
    use_workflow_lock()
    own, broken = type(launchpad).get_wf_by_fw_id_lzyfw, []

    def breaks(pad, fw_id):
        broken.append(fw_id)
        if len(broken) in (1, 3):
            raise AutoReconnect("gone")
        return own(pad, fw_id)

    monkeypatch.setattr(lock, "EXPIRES", 0.5)
    monkeypatch.setattr(type(launchpad), "get_wf_by_fw_id_lzyfw", breaks)
    assert here() == 1
    assert len(broken) >= 4
    assert states(launchpad) == ["COMPLETED"]
