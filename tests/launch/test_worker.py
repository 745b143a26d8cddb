"""Workers run what is ours, once, and nothing else; whatever happens to them."""

import hashlib
import os
import platform
import re
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from fireworks import Firework, PyTask
from jobflow import CURRENT_JOB

from pet_flows.cli import main
from pet_flows.errors import PetFlowsError
from pet_flows.launch.able import Able
from pet_flows.launch.interrupted import rerun_interrupted
from pet_flows.launch.launchpad import load_fworker
from pet_flows.launch.lock import WorkflowLock
from pet_flows.launch.recovery import RESERVED
from pet_flows.launch.resident import BEGUN, WorkDone
from pet_flows.launch.submit import submit
from pet_flows.launch.worker import _own_folder, run_worker
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.process import name_of_process
from tests.launch.conftest import script


def states(launchpad) -> list[str]:
    return [fw["state"] for fw in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]


def state(launchpad, fw_id: int) -> str:
    return launchpad.fireworks.find_one({"fw_id": fw_id})["state"]


def foreign(category: str | None) -> Firework:
    spec = {} if category is None else {"_category": category}
    return Firework([PyTask(func="time.sleep", args=[0])], spec=spec, name="foreign")


def test_two_workers_run_every_job_once(site, launchpad):
    submit(site.flow(6, together=2))
    workers = [site.worker(idle_timeout=1.0) for _ in range(2)]
    for worker in workers:
        assert "ran" in worker.communicate(timeout=120)[0]
        assert worker.returncode == 0
    assert states(launchpad) == ["COMPLETED"] * 6
    assert sorted(name for _, _, name in site.lines("start")) == sorted(
        f"fake {number}" for number in range(6)
    )
    assert len({pid for _, pid, _ in site.lines()}) == 2
    with site.results() as results:
        assert results.count({"state": "ok"}) == 12
    assert not (site.folder / "pet_flows_workers").exists()


def test_nothing_foreign_is_touched(site, launchpad, here):
    for category in (None, "vasp"):
        launchpad.add_wf(foreign(category))
    submit(site.flow(1), category="pet-cpu")
    submit(site.flow(1), category="pet-gpu")
    assert here(("pet-cpu",)) == 1
    assert states(launchpad) == ["READY", "READY", "COMPLETED", "READY"]


def rlaunch(site, category: str) -> str:
    fworker = site.folder / "my_fworker.yaml"
    fworker.write_text(f"name: here\ncategory: {category}\nquery: '{{}}'\n")
    command = [script("rlaunch"), "-l", str(site.launchpad_file), "-w", str(fworker), "singleshot"]
    done = subprocess.run(
        command, env=site.environment, cwd=site.folder, capture_output=True, text=True, timeout=120
    )
    return done.stdout + done.stderr


def test_plain_rlaunch_runs_ours_and_leaves_ours_alone(site, launchpad):
    submit(site.flow(1), category="pet-cpu")
    rlaunch(site, "vasp")
    assert states(launchpad) == ["READY"]
    rlaunch(site, "pet-cpu")
    assert states(launchpad) == ["COMPLETED"]
    with site.results() as results:
        assert results.count({"sources.0": {"$exists": True}}) == 2


def test_a_worker_ends_after_so_many_jobs(site, launchpad, here):
    submit(site.flow(3))
    counted = []
    assert here(nlaunches=2, on_launch=counted.append) == 2
    assert not launchpad.backup_fw_data  # nothing that a worker keeps of each job
    assert not launchpad.backup_launch_data
    assert counted == [1, 2]
    assert sorted(states(launchpad)) == ["COMPLETED", "COMPLETED", "READY"]


def test_a_lost_connection_does_not_fizzle_a_job(site, launchpad, here):
    submit(site.flow(1, fail="AutoReconnect"))
    assert here() == 1
    assert states(launchpad) == ["COMPLETED"]
    assert len(site.lines("start")) == 2


def test_a_job_that_fails_fizzles(site, launchpad, here):
    submit(site.flow(1, fail="InvalidName"))
    assert here() == 1
    assert states(launchpad) == ["FIZZLED"]
    assert len(site.lines("start")) == 1
    assert (CURRENT_JOB.job, CURRENT_JOB.store) == (None, None)  # nothing for the next job


@pytest.fixture
def weights(tmp_path) -> Path:
    file = tmp_path / "weights" / "mine.ckpt"
    file.parent.mkdir()
    file.write_bytes(b"weights")
    return file


@pytest.mark.parametrize("broken", ["gone", "other"])
def test_a_worker_without_the_weights_leaves_the_queue_to_others(
    site, launchpad, work, weights, broken
):
    spec = PotentialSpec(model=str(weights), sha256=hashlib.sha256(b"weights").hexdigest())
    submit(site.flow(4, potential=spec))
    if broken == "gone":
        weights.unlink()
    else:
        weights.write_bytes(b"others")
    done = work()
    assert (done.run, done.fizzled) == (0, 0)
    assert states(launchpad) == ["READY"] * 4
    assert len(launchpad.launches.distinct("launch_id")) == 0
    said = {"gone": "no model file at", "other": "was asked for"}[broken]
    assert re.fullmatch(rf"This worker could not do fireworks \d, \d .*{said}.*", done.problem)
    weights.write_bytes(b"weights")
    assert work() == WorkDone(4, 0)
    assert states(launchpad) == ["COMPLETED"] * 4


def test_one_firework_that_a_worker_cannot_do_keeps_it_from_no_other(
    site, launchpad, work, weights
):
    spec = PotentialSpec(model=str(weights), sha256="ab" * 32)
    (first,) = submit(site.flow(1, "no", potential=spec), priority=9)
    submit(site.flow(3))
    done = work()
    assert done.run == 3
    assert f"could not do firework {first} and" in done.problem
    assert sorted(states(launchpad)) == ["COMPLETED"] * 3 + ["READY"]


def test_a_worker_whose_disk_is_full_leaves_the_queue_to_others(site, launchpad):
    submit(site.flow(3))
    # what the kernel says to a process with a quota is what it says on a full disk
    quota = "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (50_000, 50_000))"
    code = f"""
{quota}
from pet_flows.cli import main
main(["worker", "--idle-timeout", "1", "--launchpad", {str(site.launchpad_file)!r}])
"""
    worker = site.fork(code)
    said, _ = worker.communicate(timeout=60)
    assert worker.returncode == 1, said
    assert "0 jobs run." in said
    assert re.search(
        r"Error: This worker could not do .* cannot be written \(File too large\)", said
    )
    assert "Traceback" not in said
    assert states(launchpad) == ["READY"] * 3


def test_the_last_line_and_the_exit_code_are_true(site, launchpad, capsys, monkeypatch):
    submit(site.flow(1, "bad", fail="InvalidName"))
    submit(site.flow(2))
    monkeypatch.chdir(site.folder)
    words = ["worker", "--idle-timeout", "0.3", "--launchpad", str(site.launchpad_file)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 1
    assert "3 jobs run, 1 fizzled (" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    assert "0 jobs run.\n" in capsys.readouterr().out


def test_only_launches_in_the_own_folder_are_run_again(site, launchpad):
    ids = submit(site.flow(2))
    fworker = load_fworker(("pet-gpu",))
    for folder, fw_id in zip(("/mine", "/other"), ids, strict=True):
        launchpad.checkout_fw(fworker, folder, fw_id)
    assert states(launchpad) == ["RUNNING", "RUNNING"]
    assert rerun_interrupted(launchpad, "/mine") == [ids[0]]
    assert rerun_interrupted(launchpad, "/mine") == []
    assert [state(launchpad, n) for n in ids] == ["READY", "RUNNING"]


def test_a_lock_of_a_killed_process_stops_nobody(site, launchpad):
    (fw_id, *_) = submit(site.flow(2))
    launchpad.workflows.update_one({"nodes": fw_id}, {"$set": {"locked": True}})
    code = "import pet_flows.launch.lock as lock; lock.EXPIRES = 1.0"
    start = time.monotonic()
    worker = site.worker(idle_timeout=1.0, before=code)
    said, _ = worker.communicate(timeout=60)
    assert time.monotonic() - start < 45  # FireWorks' own waits 300 s, at each of four steps
    assert states(launchpad) == ["COMPLETED"] * 2, said
    assert said.count("was locked by a process that is gone") == 1
    assert "locked" not in launchpad.workflows.find_one({"nodes": fw_id})


def test_a_lock_that_living_processes_have_in_turn_is_left_to_them(site, launchpad):
    (fw_id,) = submit(site.flow(1))
    others = [WorkflowLock(launchpad, fw_id, expires=0.6) for _ in range(5)]
    held = []

    def hold(lock):
        with lock:
            held.append("in")
            time.sleep(0.3)
            assert launchpad.workflows.find_one({"nodes": fw_id})["locked"] == lock.mark
            held.append("out")

    threads = [threading.Thread(target=hold, args=[lock]) for lock in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held == ["in", "out"] * 5  # 1.5 s for the last one, and nobody was interrupted


def test_who_comes_back_too_late_leaves_the_lock_to_its_new_owner(site, launchpad):
    (fw_id,) = submit(site.flow(1))
    slow, quick = (WorkflowLock(launchpad, fw_id, expires=0.2) for _ in range(2))
    slow.__enter__()
    with quick:
        slow.__exit__()
        assert launchpad.workflows.find_one({"nodes": fw_id})["locked"] == quick.mark
    assert "locked" not in launchpad.workflows.find_one({"nodes": fw_id})


def test_sentences(site, tmp_path):
    with pytest.raises(
        PetFlowsError, match=r"category must be pet-gpu or pet-cpu, or both .got vasp"
    ):
        run_worker(categories=("vasp",))
    (tmp_path / "jobflow.yaml").write_text("DIRECTORY_FORMAT: '%Y'\n")
    with pytest.raises(PetFlowsError, match="needs a database for all workers"):
        run_worker()


def test_a_store_that_is_named_after_jobflow_was_imported_is_refused(site, launchpad):
    submit(site.flow(1))
    with pytest.raises(PetFlowsError, match="set JOBFLOW_CONFIG_FILE before Python starts"):
        run_worker(launchpad=site.launchpad_file, idle_timeout=1.0)
    assert states(launchpad) == ["READY"]


def test_my_fworker_gives_name_and_query_but_not_its_category(tmp_path):
    file = tmp_path / "w.yaml"
    file.write_text('name: node7\ncategory: vasp\nquery: \'{"spec.campaign": "x"}\'\n')
    fworker = load_fworker(("pet-cpu",), file)
    assert (fworker.name, fworker.category) == ("node7", ["pet-cpu"])
    assert fworker.query["spec.campaign"] == "x"
    assert fworker.query["spec._category"] == {"$in": ["pet-cpu"]}


def test_a_class_that_is_not_installed_here_is_left_to_others(site, launchpad, work):
    submit(site.flow(3))
    for firework in list(launchpad.fireworks.find()):
        maker = "spec._tasks.0.job.function.@bound.@module"
        launchpad.fireworks.update_one({"_id": firework["_id"]}, {"$set": {maker: "not.installed"}})
    done = work()
    assert (done.run, done.fizzled) == (0, 0)
    assert "needs FakeMaker of not.installed, which cannot be imported here" in done.problem
    assert states(launchpad) == ["READY"] * 3


@pytest.mark.parametrize(("order", "first"), [("FIFO", "old"), ("FILO", "new")])
def test_the_order_of_fw_config_holds(site, launchpad, here, monkeypatch, order, first):
    monkeypatch.setattr("fireworks.fw_config.SORT_FWS", order)
    for name in ("old", "new"):
        submit(site.flow(1, name))
    here(nlaunches=1)
    assert [line[2] for line in site.lines("start")] == [f"{first} 0"]


def test_a_folder_that_the_user_names_stays_though_it_is_empty(site, launchpad, monkeypatch):
    # there is no job here that could use another store
    monkeypatch.setattr("pet_flows.launch.worker.refuse_other_settings", lambda store: None)
    for folder in (".", "pet_flows_workers", site.folder / "empty" / "pet_flows_workers"):
        here = site.folder / "empty"
        here.mkdir(exist_ok=True)
        monkeypatch.chdir(here)
        run_worker(launchpad=launchpad, folder=folder, idle_timeout=0.0)
        assert here.exists()
        assert list(here.iterdir()) == []
        assert Path.cwd() == here


def test_a_folder_where_a_job_runs_stays_though_nobody_here_has_its_number(tmp_path):
    """Another container may have the same host name and numbers of its own."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    running, idle = (tmp_path / f"{platform.node()}-{gone.pid}-{k * 8}" for k in "ab")
    for folder in (running, idle):
        folder.mkdir()
        (folder / "FW.json").touch()
    (running / BEGUN).touch()
    own = _own_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {own.name, running.name}
    assert len(list(running.iterdir())) == 2


def test_what_was_given_to_others_meanwhile_is_left_to_them(site, launchpad, work, monkeypatch):
    """Looking for what a job needs may take longer than a reservation lasts."""
    submit(site.flow(1))

    def last(able: Able, firework: Firework) -> None:
        since = launchpad.fireworks.find_one({})[RESERVED]
        launchpad.fireworks.update_one({}, {"$set": {RESERVED: since + timedelta(seconds=46)}})

    monkeypatch.setattr(Able, "refuse", last)
    assert work().run == 0
    assert launchpad.launches.count_documents({}) == 0
    assert states(launchpad) == ["RESERVED"]


def test_what_a_killed_job_left_is_removed_after_a_day_and_results_are_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folder = tmp_path / f"{platform.node()}-{gone.pid}"
    (folder / "scratch").mkdir(parents=True)
    (tmp_path / f"elsewhere-{gone.pid}").mkdir()

    def left(days: float) -> None:
        now = time.time() - 86_400 * days
        times = {"FW.json": 0, "md.traj": -9, BEGUN: 0, "core": 5, "scratch/half.npz": 9}
        for name, later in times.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
            os.utime(folder / name, (now + later, now + later))
        os.utime(folder / "scratch", (now, now))

    left(0.5)
    _own_folder(tmp_path)
    assert {path.name for path in folder.iterdir()} == {
        "FW.json", "md.traj", BEGUN, "core", "scratch",
    }  # fmt: skip
    left(1.5)
    _own_folder(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["md.traj"]
    (folder / "md.traj").unlink()
    own = _own_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {own.name, f"elsewhere-{gone.pid}"}
    assert own.name == name_of_process()
    assert not folder.exists()
