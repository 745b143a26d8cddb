"""Molecular dynamics killed on one machine goes on on another, which sees the store alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import MDMaker
from pet_flows.jobs.observe import watchers
from pet_flows.store import clock, leases
from pet_flows.store.locate import open_job_store
from pet_flows.store.patience import ServerAwayError
from pet_flows.store.results import ResultStore

STEPS = 60


def made(ensemble: str, folder: str | Path, **execution: object) -> MDMaker:
    return MDMaker(
        ensemble=ensemble, temperature=600.0, steps=STEPS, stride=4, timestep=2.0, min_length=5.0,
        rdf_cutoff=3.0, correlation_time=0.02,
        execution={
            "checkpoints": str(folder), "checkpoint_every": 5, "store_every": 15, **execution
        },
    )  # fmt: skip


def run(maker: MDMaker) -> None:
    structure = AseAtomsAdaptor.get_structure(bulk("W", cubic=True))
    store = open_job_store()
    try:
        run_locally(maker.make([structure]), store=store, log=False, ensure_success=True)
    finally:
        store.close()


@dataclass
class Child:
    """Another process, forked so that it need not load the model again."""

    pid: int
    steps: TextIO
    """a line for each step"""
    leave: int
    """file in which a byte lets it go on"""

    def killed(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.ended()

    def goes_on(self) -> list[int]:
        """Steps that it still does."""
        os.write(self.leave, b".")
        rest = [int(line) for line in self.steps]
        self.ended()
        return rest

    def ended(self) -> None:
        os.waitpid(self.pid, 0)
        self.steps.close()
        os.close(self.leave)


def until(step: int, ensemble: str, folder: Path) -> Child:
    """A process whose run has come to a step, where it waits."""
    reading, writing = os.pipe()
    wait, leave = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            folder.mkdir(exist_ok=True)
            os.chdir(folder)

            def tell(name: str, label: str | None, done: int, total: int) -> None:
                if label is not None:
                    os.write(writing, f"{done}\n".encode())
                if label is not None and done == step:
                    os.read(wait, 1)

            watchers.append(tell)
            run(made(ensemble, folder / "runs"))
        finally:
            os._exit(0)
    os.close(writing)
    os.close(wait)
    child = Child(pid, os.fdopen(reading), leave)
    for line in child.steps:
        if int(line) == step:
            return child
    child.ended()
    raise AssertionError(f"ended before step {step}")


def killed_at(step: int, ensemble: str, folder: Path) -> None:
    until(step, ensemble, folder).killed()


@pytest.fixture(params=["embedded", "mongodb"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What two machines have in common: a file, or a server."""
    if request.param == "mongodb":
        uri = request.getfixturevalue("mongodb_uri")
        where = f'uri: "{uri}", database: {request.getfixturevalue("mongodb_database")}'
        file = tmp_path / "jobflow.yaml"
        file.write_text(
            f"JOB_STORE:\n  docs_store: {{type: MongoStore, {where}, collection_name: outputs}}\n"
            f"  additional_stores:\n    data: {{type: GridFSStore, {where}, collection_name: b}}\n"
        )
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(file))
        monkeypatch.setattr(leases, "BEAT", 0.2)  # of processes that are killed, as of others
        monkeypatch.setattr(leases, "DEAD", 2.0)
        monkeypatch.setattr(clock, "CONFIRMED", 0.3)
    return str(request.param)


@pytest.fixture(scope="module")
def whole(
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """What runs give that nobody disturbs."""
    from pet_flows.settings import get_settings

    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for ensemble in ("nve", "npt_langevin"):
            folder = tmp_path_factory.mktemp(ensemble)
            patch.setenv("PET_FLOWS_STORE", str(folder / "pet_flows.db"))
            get_settings.cache_clear()
            run(made(ensemble, folder / "runs"))
            found[ensemble] = stored()
    get_settings.cache_clear()
    return found


def stored() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Trajectory and observables of the one record there is; nothing else of its run is left."""
    with ResultStore.open(read_only=True) as results:
        (record,) = results.query({"property": "md"})
        assert record["state"] == "ok"
        assert not list(results.runs.collection.find())
        found = (
            results.blob(record["_id"], "trajectory"),
            results.blob(record["_id"], "observables"),
        )
        named = {blob for blob in record["blobs"].values() if isinstance(blob, str)}
        assert {d["blob_uuid"] for d in results.blobs.data.query(properties=["blob_uuid"])} <= named
    return found


@pytest.mark.parametrize("ensemble", ["nve", "npt_langevin"])
def test_it_goes_on_elsewhere_as_if_nothing_had_been(
    ensemble: str, place: str, whole: Mapping, tmp_path: Path
) -> None:
    killed_at(38, ensemble, tmp_path / "one")
    with ResultStore.open(read_only=True) as results:
        (head,) = results.runs.collection.find()
    assert head["step"] == 30
    begun: list[int] = []

    def note(name: str, label: str | None, done: int, total: int) -> None:
        if label is not None:
            begun.append(done)

    watchers.append(note)
    try:
        run(made(ensemble, tmp_path / "two" / "runs"))
    finally:
        watchers.remove(note)
    assert begun == list(range(31, STEPS + 1))
    trajectory, observables = stored()
    expected, observed = whole[ensemble]
    for found, before in ((trajectory, expected), (observables, observed)):
        assert found.keys() == before.keys()
        for name, values in before.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(found[name], values, rtol=0, atol=1e-9, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_files_that_others_went_on_from_are_a_cache_no_more(
    place: str, whole: Mapping, tmp_path: Path
) -> None:
    """The first machine comes back with files that are older than the copy, then newer."""
    one, two = tmp_path / "one", tmp_path / "two"
    killed_at(25, "nve", one)
    killed_at(50, "nve", two)
    with ResultStore.open(read_only=True) as results:
        (head,) = results.runs.collection.find()
    assert head["step"] == 45
    killed_at(52, "nve", one)
    killed_at(55, "nve", two)  # its file of step 50 is one that nobody went on from since
    run(made("nve", one / "runs"))
    found, expected = stored()[0], whole["nve"][0]
    np.testing.assert_array_equal(found["step"], expected["step"])
    np.testing.assert_allclose(found["positions"], expected["positions"], rtol=0, atol=1e-9)
    assert not (one / "runs").exists()


def test_whoever_a_run_was_taken_from_writes_nothing_more(place: str, tmp_path: Path) -> None:
    if place == "embedded":
        pytest.skip("one process at a time has the embedded store")
    first = until(20, "nve", tmp_path / "one")
    os.kill(first.pid, signal.SIGSTOP)  # gives no sign of life, and counts as dead
    second = until(31, "nve", tmp_path / "two")
    os.kill(first.pid, signal.SIGCONT)
    assert first.goes_on()[-1] == 30  # refused when it was to copy that step
    with ResultStore.open(read_only=True) as results:
        (head,) = results.runs.collection.find()
        records = list(results.query({"property": "md"}))
    assert head["step"] == 30
    # none, where it has learned of being dead before it could write one
    assert all((r["reason"], r["retryable"]) == ("run_in_use", True) for r in records)
    second.goes_on()
    stored()


def test_who_stands_still_keeps_its_files_and_nobody_from_going_on(
    place: str, whole: Mapping, tmp_path: Path
) -> None:
    """Both in one folder: the first has its files locked, and gives no sign of life."""
    if place == "embedded":
        pytest.skip("one process at a time has the embedded store")
    first = until(20, "nve", tmp_path / "one")
    os.kill(first.pid, signal.SIGSTOP)
    begun: list[int] = []

    def note(name: str, label: str | None, done: int, total: int) -> None:
        if label is not None:
            begun.append(done)

    watchers.append(note)
    try:
        run(made("nve", tmp_path / "one" / "runs"))
    finally:
        watchers.remove(note)
    assert begun == list(range(16, STEPS + 1))  # from the copy
    found, expected = stored()[0], whole["nve"][0]
    np.testing.assert_allclose(found["positions"], expected["positions"], rtol=0, atol=1e-9)
    assert {path.stem.partition(".")[0] for path in (tmp_path / "one" / "runs").iterdir()} == {
        path.stem for path in (tmp_path / "one" / "runs").glob("*.lock")
    }  # those of the first are all that is left
    with ResultStore.open(read_only=True) as results:
        (record,) = results.query({"property": "md"})
    os.kill(first.pid, signal.SIGCONT)
    assert first.goes_on()[-1] <= 30  # refused when it was to copy that step
    with ResultStore.open(read_only=True) as results:
        assert list(results.query({"property": "md"})) == [record]
    stored()


def test_a_copy_that_is_not_whole_is_no_hindrance(
    place: str, whole: Mapping, tmp_path: Path
) -> None:
    killed_at(38, "nve", tmp_path / "one")
    with ResultStore.open() as results:
        (head,) = results.runs.collection.find()
        results.blobs.remove(head["frames"][:1])
    run(made("nve", tmp_path / "two" / "runs"))
    found, expected = stored()[0], whole["nve"][0]
    np.testing.assert_allclose(found["positions"], expected["positions"], rtol=0, atol=1e-9)


def test_the_files_stay_until_the_record_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:

        def put_all(self: ResultStore, computed: object) -> None:
            time.sleep(0.5)
            raise ServerAwayError("MongoDB has not answered.")

        away.setattr(ResultStore, "put_all", put_all)
        with pytest.raises(RuntimeError):
            run(made("nve", tmp_path / "runs"))
    assert list((tmp_path / "runs").glob("*.checkpoint.npz"))
    begun: list[int] = []

    def note(name: str, label: str | None, done: int, total: int) -> None:
        if label is not None:
            begun.append(done)

    watchers.append(note)
    try:
        run(made("nve", tmp_path / "runs"))
    finally:
        watchers.remove(note)
    assert begun in ([], [STEPS])
    stored()
    assert not (tmp_path / "runs").exists()


def test_a_worker_that_is_told_to_stop_leaves_its_very_step(place: str, tmp_path: Path) -> None:
    def stop(name: str, label: str | None, done: int, total: int) -> None:
        if done == 37 and label is not None:
            raise KeyboardInterrupt

    watchers.append(stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(made("nve", tmp_path / "one" / "runs"))
    finally:
        watchers.remove(stop)
    with ResultStore.open(read_only=True) as results:
        (head,) = results.runs.collection.find()
    assert head["step"] == 37
