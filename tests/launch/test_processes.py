"""Workers in processes of their own: a GPU for each, replaced, told to stop, added up."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pet_flows.cli.worker import summary
from pet_flows.launch import declared, processes
from pet_flows.launch.blame import DEAD
from pet_flows.launch.child import work
from pet_flows.launch.processes import MOST_IN_VAIN, Tally, run_workers, visible_gpus
from pet_flows.launch.stopping import Stopping
from pet_flows.launch.submit import submit
from tests.launch import bodies
from tests.launch.test_worker import states
from tests.mongodb_server.start import wait_until


@pytest.fixture(autouse=True)
def _hangs_up():
    """Signals end this process as they do at a terminal, also below nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def command(site, *options: str, before: str = "") -> object:
    """A worker with processes of its own, which do something first."""
    words = ["worker", "--launchpad", str(site.launchpad_file), *options]
    if not before:
        return site.fork(f"from pet_flows.cli import main\nmain({words!r})")
    file = site.folder / "start.py"
    file.write_text(
        f"{before}\nif __name__ == '__main__':\n    from pet_flows.cli import main\n"
        f"    main({words!r})\n"
    )
    return site.start(str(file))


def test_two_processes_share_the_work_and_one_line_tells_all(site, launchpad):
    submit(site.flow(4, together=2))
    worker = command(site, "--processes", "2", "--idle-timeout", "1")
    said, _ = worker.communicate(timeout=120)
    assert worker.returncode == 0, said
    assert "4 jobs run; 8 records: 8 ok.\n" in said
    assert states(launchpad) == ["COMPLETED"] * 4
    assert len({pid for _, pid, _ in site.lines()}) == 2


def test_each_process_sees_one_gpu_before_anything_loads_torch(site, launchpad):
    submit(site.flow(1))
    # what a process finds when it imports its first module is what it was started with
    tell = """
import json, os, sys
with open("seen.txt", "a") as stream:
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    seen = [os.environ.get(name) for name in names]
    stream.write(json.dumps([__name__, "torch" in sys.modules, *seen]) + "\\n")
"""
    os.environ.pop("OMP_NUM_THREADS", None)
    site_environment = {"CUDA_VISIBLE_DEVICES": "4,6"}
    file_worker = command(
        site, "--idle-timeout", "1",
        before=f"import os\nos.environ.setdefault('CUDA_VISIBLE_DEVICES', '4,6')\n"
        f"if __name__ == '__main__': os.environ.pop('OMP_NUM_THREADS', None)\n{tell}",
    )  # fmt: skip
    said, _ = file_worker.communicate(timeout=120)
    lines = [json.loads(line) for line in (site.folder / "seen.txt").read_text().splitlines()]
    children = sorted(line[2] for line in lines if line[0] == "__mp_main__")
    assert children == sorted(site_environment["CUDA_VISIBLE_DEVICES"].split(",")), said
    assert not any(line[1] for line in lines)
    assert all(int(line[3]) >= 1 for line in lines if line[0] == "__mp_main__")
    # there are no such GPUs here, which is for others to find out
    assert re.search(r"no GPU that PyTorch can use|1 job run", said)


@pytest.mark.parametrize(
    ("named", "gpus"), [("0,1, 3", ["0", "1", "3"]), ("", []), ("-1", []), ("GPU-a", ["GPU-a"])]
)
def test_visible_gpus_are_those_that_are_named(monkeypatch, named, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == gpus


def test_sigterm_ends_all_processes_within_ten_seconds(site, launchpad):
    submit(site.flow(2, seconds=60))
    worker = command(site, "--processes", "2")
    assert wait_until(lambda: len(site.lines("start")) == 2, 120)
    start = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    said, _ = worker.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert states(launchpad) == ["READY", "READY"], said
    assert "0 jobs run.\n" in said


def test_a_process_that_dies_is_replaced_and_not_for_ever(site, launchpad):
    submit(site.flow(1))
    dies = "import os\nif __name__ == '__mp_main__': os.kill(os.getpid(), 9)"
    worker = command(site, "--idle-timeout", "1", before=dies)
    said, _ = worker.communicate(timeout=120)
    assert worker.returncode == 1
    assert said.count("goes on in a new process") == MOST_IN_VAIN - 1
    assert "Error: A worker process ended early (signal 9); look into its messages" in said
    assert states(launchpad) == ["READY"]


def test_what_a_process_had_that_dies_is_ready_at_once(site, launchpad):
    """With heartbeats of 20 s nobody else would know for more than a minute."""
    submit(site.flow(1, seconds=60))
    worker = command(site, "--nlaunches", "1")
    assert wait_until(lambda: site.lines("start"), 120)
    (_, pid, _), *_ = site.lines("start")
    with site.results() as results:
        folder = launchpad.launches.find_one({})["launch_dir"]
        lease = {"owner": f"{Path(folder).name}-x"}
        results.leases.collection.insert_many(
            [{"_id": "k", **lease}, {"_id": lease["owner"], **lease, "at": datetime.now(UTC)}]
        )
        os.kill(int(pid), signal.SIGKILL)
        start = time.monotonic()
        assert wait_until(lambda: launchpad.launches.count_documents({DEAD: True}), 20)
        assert wait_until(lambda: results.leases.collection.count_documents({}) == 0, 20)
        assert time.monotonic() - start < 30
    assert states(launchpad) in (["READY"], ["RUNNING"])
    worker.kill()


def test_children_end_with_whoever_started_them(site, launchpad):
    """The one who listened is gone when the second record is there, and its job is for others."""
    submit(site.flow(1, each=1.5))
    worker = command(site)
    with site.results() as results:
        assert wait_until(lambda: results.records.count_documents({}), 120)
    (_, pid, _), *_ = site.lines("start")
    worker.kill()
    worker.wait()

    def gone() -> bool:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        return False

    assert wait_until(gone, 20)
    assert states(launchpad) == ["READY"]


OPTIONS = {"categories": ("pet-cpu",), "folder": "workers"}


def test_a_process_that_hears_nothing_is_ended_with_the_others(monkeypatch):
    monkeypatch.setattr(processes, "work", bodies.deaf)
    monkeypatch.setattr(processes, "GONE", 0.5)

    def fails(done: Tally) -> None:
        if done.doing == "deaf":
            raise OSError("the terminal is closed")

    with pytest.raises(OSError, match="the terminal is closed"):
        run_workers(OPTIONS, 1, tell=fails)
    assert not multiprocessing.active_children()


def test_an_interrupt_before_a_worker_listens_ends_it_quietly(tmp_path, capfd):
    os.mkfifo(tmp_path / "my_fworker.yaml")  # it waits for somebody who writes
    options = {"categories": ("pet-cpu",), "fworker": tmp_path / "my_fworker.yaml"}
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(theirs, options))
    process.start()
    theirs.close()
    assert ours.recv()[0] == "named"
    os.kill(process.pid, signal.SIGINT)
    process.join(20)
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""


def test_a_second_interrupt_ends_what_hears_nothing(monkeypatch):
    monkeypatch.setattr(processes, "work", bodies.deaf)
    monkeypatch.setattr(processes, "GONE", 0.5)
    timers = []

    def interrupt(done: Tally) -> None:
        if done.doing == "deaf" and len(timers) < 2:
            os.kill(os.getpid(), signal.SIGINT)
            timers.append(signal.getitimer(signal.ITIMER_REAL)[0] > 0)

    run_workers(OPTIONS, 1, tell=interrupt)
    assert timers == [False, True]
    assert not multiprocessing.active_children()


def test_a_database_that_is_away_delays_the_end_by_seconds(monkeypatch):
    """However many processes have died."""
    monkeypatch.setattr(processes, "work", bodies.dies)
    monkeypatch.setattr(processes, "_HURRIED", 0.2)
    monkeypatch.setattr(declared, "declare_dead", lambda *_: time.sleep(3.0))
    ended = []

    def end(done: Tally) -> None:
        if done.doing == "dies" and not ended:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append(time.monotonic())

    run_workers(OPTIONS, 3, tell=end)
    assert time.monotonic() - ended[0] < 2.5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_processes_are_started_is_for_all(monkeypatch, caplog, number):
    monkeypatch.setattr(processes, "work", bodies.waits)
    begin, started = multiprocessing.context.SpawnProcess.start, []

    def start(process: object) -> None:
        begin(process)
        started.append(process)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", start)
    assert run_workers(OPTIONS, 3).problems == []
    assert len(started) == 1
    assert started[0].exitcode < 0
    assert "goes on in a new process" not in caplog.text


def test_a_signal_later_is_no_reason_for_another_process(monkeypatch, caplog):
    """Such as that of a terminal that is closed."""
    monkeypatch.setattr(processes, "work", bodies.waits)

    def hang_up(done: Tally) -> None:
        if done.doing == "waits":
            os.kill(os.getpid(), signal.SIGHUP)

    assert run_workers(OPTIONS, 2, tell=hang_up).problems == []
    assert "goes on in a new process" not in caplog.text


def test_what_others_set_meanwhile_stays_in_the_environment(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    with processes._environment("6", 2):
        seen = {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
        monkeypatch.setenv("SET_MEANWHILE", "yes")
    assert seen["CUDA_VISIBLE_DEVICES"] == "6"
    assert int(seen["OMP_NUM_THREADS"]) >= 1
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4,6"
    assert "OMP_NUM_THREADS" not in os.environ
    assert os.environ["SET_MEANWHILE"] == "yes"


def test_hanging_up_gives_up_the_job_unless_it_is_ignored():
    stopping = Stopping()
    with stopping.listening():
        os.kill(os.getpid(), signal.SIGHUP)
        assert stopping.asked.is_set()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping = Stopping()
    with stopping.listening():  # below nohup
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stopping.asked.is_set()


def test_the_summary_says_what_became_of_records():
    done = Tally(run=3, fizzled=1)
    for slim in (
        {"state": "ok", "reason": None}, {"state": "ok", "reason": None},
        {"state": "failed", "reason": "out_of_memory"},
    ):  # fmt: skip
        done.add(slim)
    assert summary(done) == (
        "3 jobs run, 1 fizzled (pet-flows status says why); 3 records: 2 ok, 1 failed "
        "(1 out_of_memory)."
    )
