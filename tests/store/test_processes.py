"""Kills, restarts and several writers: what was acknowledged stays, once."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore
from tests.mongodb_server.start import URI_VARIABLE, running
from tests.store.conftest import mongodb_job_store
from tests.store.examples import record

WRITE = """
    import sys
    from pet_flows.store.results import ResultStore
    from tests.store.examples import record

    with ResultStore.open() as store:
        print("open", flush=True)
        for number in range(int(sys.argv[1]), int(sys.argv[2])):
            document, blobs = record(number, energy=float(sys.argv[3]))
            if store.needs([document["_id"]]):
                store.put(document, blobs)
                print(document["_id"], flush=True)
            else:
                store.add_source(document["_id"], {"campaign": "second"})
"""


def write(start: int, stop: int, energy: float = -1.0, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITE), str(start), str(stop), str(energy)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.getcwd(), **environment},
    )


def configured(tmp_path, uri: str, database: str) -> str:
    path = tmp_path / "jobflow.yaml"
    path.write_text(
        f"""
JOB_STORE:
  docs_store: {{type: MongoStore, uri: "{uri}", database: {database}, collection_name: outputs}}
  additional_stores:
    data: {{type: GridFSStore, uri: "{uri}", database: {database}, collection_name: outputs_blobs}}
"""
    )
    return str(path)


def test_what_was_acknowledged_survives_kills():
    """A process is killed at any moment, four times; the next one goes on where it was."""
    acknowledged: list[str] = []
    for round_ in range(4):
        process = write(0, 2000)
        assert process.stdout.readline() == "open\n"
        acknowledged += [process.stdout.readline().strip() for _ in range(1 + round_)]
        time.sleep(0.02 * round_)
        process.send_signal(signal.SIGKILL)
        acknowledged += process.communicate()[0].split("\n")[:-1]
    assert len(acknowledged) >= 10
    assert len(set(acknowledged)) == len(acknowledged)  # nothing was computed twice
    with ResultStore.open() as store:
        stored = {document["_id"]: document for document in store.query({})}
        assert set(acknowledged) <= set(stored)
        for key, document in stored.items():
            arrays = store.blob(key, "static")  # no document names a blob that is not there
            assert arrays["forces"].shape == (2, 3)
            assert len(document["sources"]) >= 1


def test_two_processes_write_the_same_records_to_mongodb(tmp_path, mongodb_uri, mongodb_database):
    config = configured(tmp_path, mongodb_uri, mongodb_database)
    started = [write(0, 30, energy, JOBFLOW_CONFIG_FILE=config) for energy in (-1.0, -2.0)]
    for process in started:
        process.communicate()
        assert process.returncode == 0
    job_store = mongodb_job_store(mongodb_uri, mongodb_database)
    job_store.connect()
    with ResultStore.from_job_store(job_store) as store:
        assert store.count() == 30
        for document in store.query({}):
            campaigns = [source["campaign"] for source in document["sources"]]
            assert campaigns in (["first"], ["first", "second"])
            energy = store.blob(document["_id"], "static")["forces"][0, 0]
            assert energy == document["result"]["energy"]
            assert document["attempts"] == 1
    job_store.close()


def test_a_restarted_server_is_waited_for(tmp_path, mongodb_uri):
    if os.environ.get(URI_VARIABLE):
        pytest.skip("the server is not ours to kill")
    data = tmp_path / "server.mv"
    with running(data) as (uri, server):
        process = write(
            0, 80, PET_FLOWS_RECONNECT_SECONDS="60",
            JOBFLOW_CONFIG_FILE=configured(tmp_path, uri, "x"),
        )  # fmt: skip
        assert process.stdout.readline() == "open\n"
        before = [process.stdout.readline().strip() for _ in range(10)]
        server.kill()
        server.wait()
    time.sleep(1)
    with running(data, int(uri.rpartition(":")[2])) as (uri, _):
        rest = process.communicate()[0].split()
        assert process.returncode == 0
        job_store = mongodb_job_store(uri, "x")
        job_store.connect()
        with ResultStore.from_job_store(job_store) as store:
            assert {d["_id"] for d in store.query({}, ["_id"])} >= {*before, *rest}
            assert store.count() == 80
        job_store.close()


def test_a_server_that_stays_away_is_a_sentence(monkeypatch):
    monkeypatch.setenv("PET_FLOWS_RECONNECT_SECONDS", "0.3")
    get_settings.cache_clear()
    uri = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200"
    job_store = mongodb_job_store(uri, "x")
    with pytest.raises(PetFlowsError, match=r"MongoDB has not answered for 0 s .* start the"):
        ResultStore.from_job_store(job_store).put(*record())


def test_a_server_that_is_not_there_is_noticed_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("pet_flows.store.access.TIMEOUT", 0.3)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", configured(tmp_path, "mongodb://127.0.0.1:9", "x"))
    with pytest.raises(PetFlowsError, match=r"named in jobflow.yaml does not answer"):
        ResultStore.open()
