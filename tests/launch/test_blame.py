"""What ends processes is found, ends a bounded number of them, and fails alone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobflow import SETTINGS, Flow

from pet_flows.jobs import PropertyMaker
from pet_flows.jobs.caution import MOST_FRESH
from pet_flows.launch.blame import DEAD, FRESH, IN_HAND, MOST_DEATHS, left_to_the_user
from pet_flows.launch.launchpad import shared_job_store
from pet_flows.launch.submit import submit
from pet_flows.properties.registry import forget
from tests.launch.test_worker import states
from tests.store.examples import crystal

PLUGIN = Path(__file__).parent / "plugin"
#: of workers: what a dead one had is free after 2 s instead of 20
SOON = f"""
import sys
sys.path.insert(0, {str(PLUGIN)!r})
from pet_flows.store import clock, leases
leases.BEAT, leases.DEAD, leases._PAUSE, clock.CONFIRMED = 0.2, 2.0, 0.1, 0.3
"""


@pytest.fixture
def trouble(site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The property ``trouble`` is there, and logs which structures it began."""
    monkeypatch.setattr(SETTINGS, "JOB_STORE", shared_job_store())  # as in a process of its own
    monkeypatch.syspath_prepend(str(PLUGIN))
    log = tmp_path / "trouble.txt"
    monkeypatch.setenv("TROUBLE_LOG", str(log))
    forget()
    yield log
    forget()


def flow(kind: str, n: int = 4) -> Flow:
    maker = PropertyMaker(property_name="trouble", device="cpu", settings={"kind": kind})
    return Flow([maker.make([crystal(k) for k in range(n)])])


def records(site) -> dict[float, tuple[str, str | None]]:
    with site.results() as results:
        return {
            round(record["input_structure"]["lattice"]["a"], 3): (record["state"], record["reason"])
            for record in results.query({"property": "trouble"})
        }


@pytest.mark.parametrize("kind", ["device_error", "out_of_memory"])
def test_what_breaks_a_process_gets_fresh_ones_and_then_fails_alone(
    site, launchpad, work, trouble, kind
):
    submit(flow(kind))
    fresh = 0
    while (done := work()).fresh is not None:
        assert done.fresh == kind
        assert done.run == 0
        fresh += 1
        assert fresh < 6
        if states(launchpad) == ["COMPLETED"]:
            break
    assert (states(launchpad), done.fizzled) == (["COMPLETED"], 0)
    # a device that fails says nothing of the structure until that is alone with it, and is of no
    # use to the others after it
    assert fresh == MOST_FRESH + 2 * (kind == "device_error")
    found = records(site)
    assert [found[5 + 0.01 * k] for k in range(4)] == [
        ("ok", None), ("ok", None), ("failed", kind), ("ok", None),
    ]  # fmt: skip


@pytest.mark.slow
def test_a_structure_that_kills_its_workers_fails_alone(site, launchpad, trouble, work):
    (fw_id,) = submit(flow("kill"))
    deaths = 0
    while states(launchpad) == ["READY"]:
        worker = site.worker(SOON, idle_timeout=1.0)
        worker.communicate(timeout=120)
        if worker.returncode == 0:
            break
        assert worker.returncode == -signal.SIGKILL
        deaths += 1
        assert deaths < 8
        launchpad.launches.update_many(
            {"fw_id": fw_id, "state": "RUNNING"}, {"$set": {"state": "FIZZLED", DEAD: True}}
        )
        assert left_to_the_user(launchpad, fw_id) is None
        launchpad.rerun_fw(fw_id)
    assert states(launchpad) == ["COMPLETED"]
    assert deaths == 1 + MOST_DEATHS  # nobody knows at which the first one died
    found = records(site)
    assert found[5.02] == ("failed", "worker_died")
    assert sorted(state for state, _ in found.values()) == ["failed", "ok", "ok", "ok"]


def test_who_comes_farther_than_the_dead_before_it_is_not_blamed(site, launchpad, trouble):
    (fw_id,) = submit(flow("none"))
    launches = [
        {"launch_id": n, "fw_id": fw_id, DEAD: True, IN_HAND: {"key": "model", "done": done}}
        for n, done in enumerate((0, 0, 0, 5, 5, 5))
    ]
    launchpad.launches.insert_many(launches)
    assert left_to_the_user(launchpad, fw_id) is None
    again = {**launches[-1], "launch_id": 9}
    del again["_id"]
    launchpad.launches.insert_one(again)
    assert "died 4 times while the model was loaded" in left_to_the_user(launchpad, fw_id)


def test_a_model_that_fits_into_no_memory_is_not_the_jobs_fault(
    site, launchpad, trouble, work, monkeypatch
):
    submit(flow("none"))

    def no_memory(*given: object, **options: object) -> None:
        raise MemoryError("of the device")

    with monkeypatch.context() as patched:
        patched.setattr("pet_flows.engines.potential.get_potential", no_memory)
        assert work().fresh == "out_of_memory"
    assert states(launchpad) == ["READY"]
    assert launchpad.launches.find_one({FRESH: {"$exists": True}})[FRESH] == []
    assert work().run == 1
    assert len(trouble.read_text().split()) == 4


def test_what_one_worker_computes_another_waits_for(site, launchpad, trouble):
    for name in ("one", "other"):  # two campaigns of the same structures
        maker = PropertyMaker(
            property_name="trouble", device="cpu", campaign=name, settings={"seconds": 1.0}
        )
        submit(Flow([maker.make([crystal(k) for k in range(3)])]))
    workers = [site.worker(SOON, idle_timeout=1.0) for _ in range(2)]
    for worker in workers:
        assert "ran 1" in worker.communicate(timeout=120)[0]
    assert states(launchpad) == ["COMPLETED"] * 2
    assert sorted(trouble.read_text().split()) == ["5.00", "5.01", "5.02"]
    with site.results() as results:
        for record in results.query({}, ["sources"]):
            assert {source["campaign"] for source in record["sources"]} == {"one", "other"}
