"""Workers whose server is away for a while, has no time for them, or is not there."""

import re
import signal
import socket
import time

import pytest
from fireworks import LaunchPad

from pet_flows.errors import PetFlowsError
from pet_flows.launch.submit import submit
from pet_flows.launch.worker import run_worker
from tests.launch.test_worker import states
from tests.mongodb_server.start import running, wait_until

#: s that a worker gives its server to answer at first
WAITED = 0.5
#: before it works: so it does, and it says what is left of its time when it begins
SOON = f"""
import pet_flows.store.access as access
from pet_flows.launch.stopping import Stopping
access.TIMEOUT = {WAITED}
listening = Stopping.listening
def told(self, time_limit=None):
    print("left", time_limit, "s")
    return listening(self, time_limit)
Stopping.listening = told
"""


def test_a_server_that_restarts_is_waited_for(tmp_path, site):
    data = tmp_path / "server.mv"
    with running(data) as (uri, server):
        site.uri = uri
        site.__post_init__()
        pad = LaunchPad.from_file(str(site.launchpad_file))
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
        submit(site.flow(4, seconds=0.7), launchpad=pad)
        worker = site.worker(idle_timeout=4.0)
        assert wait_until(lambda: len(site.lines("start")) == 2)
        server.kill()
        server.wait()
    time.sleep(1.5)
    with running(data, int(uri.rpartition(":")[2])):
        said, _ = worker.communicate(timeout=150)
        assert worker.returncode == 0, said
        assert states(pad) == ["COMPLETED"] * 4, said
        pad.connection.close()


def test_a_server_that_has_no_time_yet_is_waited_for(tmp_path, site):
    with running(tmp_path / "server.mv") as (uri, server):
        site.uri = uri
        site.__post_init__()
        pad = LaunchPad.from_file(str(site.launchpad_file))
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
        submit(site.flow(1), launchpad=pad)
        server.send_signal(signal.SIGSTOP)
        try:
            worker = site.worker(SOON, nlaunches=1, time_limit=1000.0)
            assert wait_until(lambda: "The worker tries again" in worker.said())
        finally:
            server.send_signal(signal.SIGCONT)
        said, _ = worker.communicate(timeout=60)
        assert "ran 1" in said
        left = float(re.search(r"left ([\d.]+) s", said)[1])
        assert 900 < left < 1000 - WAITED  # which was of its time
        assert states(pad) == ["COMPLETED"], said
        pad.connection.close()


def test_a_server_that_is_not_there_is_not_waited_for(site, monkeypatch):
    monkeypatch.setattr("pet_flows.store.access.TIMEOUT", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        site.uri = f"mongodb://127.0.0.1:{free.getsockname()[1]}"
    site.__post_init__()
    with pytest.raises(PetFlowsError, match=r"does not answer .*refused.*correct host and port"):
        run_worker(launchpad=site.launchpad_file)
