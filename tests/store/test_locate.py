"""jobflow.yaml decides where results are; mistakes in it are sentences."""

import os
import subprocess
import sys

import pytest
from jobflow import JobStore, run_locally
from maggma.stores import JSONStore, MemoryStore, MongoStore

from pet_flows import locks
from pet_flows.errors import PetFlowsError
from pet_flows.jobs import StaticMaker
from pet_flows.launch.launchpad import shared_job_store
from pet_flows.settings import get_settings
from pet_flows.store.locate import (
    configured_job_store,
    data_path,
    is_process_local,
    open_job_store,
    refuse_divided,
)
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore
from tests.store.examples import crystal


@pytest.fixture
def configure(tmp_path, monkeypatch):
    def write(content: str) -> None:
        path = tmp_path / "jobflow.yaml"
        path.write_text(content)
        monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(path))

    return write


def mongo(uri: str, database: str, data: bool = True) -> str:
    place = f'uri: "{uri}", database: {database}'
    text = f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
    if data:
        text += (
            f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
        )
    return text


def test_without_configuration_there_is_an_embedded_store(tmp_path):
    assert configured_job_store() is None
    store = open_job_store()
    assert store.docs_store.path == str(tmp_path / "pet_flows.db")
    assert (tmp_path / "pet_flows_data.db").is_file()
    assert data_path(get_settings().store) == tmp_path / "pet_flows_data.db"
    store.close()


def test_mongodb_of_jobflow_yaml_is_used(configure, mongodb_uri, mongodb_database):
    configure(mongo(mongodb_uri, mongodb_database))
    with ResultStore.open() as store:
        assert store.records.database.name == mongodb_database
        names = {tuple(key for key, _ in index["key"])
                 for index in store.records.index_information().values()}  # fmt: skip
        assert ("sources.campaign", "property", "state") in names


def test_readers_are_let_in_where_jobflow_yaml_names_the_embedded_store(configure, tmp_path):
    sqlite = '"@module": pet_flows.store.sqlite, "@class": SqliteStore'
    configure(
        f"""JOB_STORE:
  "@module": jobflow.core.store
  "@class": JobStore
  docs_store: {{{sqlite}, path: {tmp_path}/a.db, collection_name: outputs}}
  additional_stores:
    data: {{{sqlite}, path: {tmp_path}/b.db, collection_name: blobs}}
"""
    )
    writer = open_job_store()
    code = (
        "from pet_flows.store.results import ResultStore\n"
        "print(ResultStore.open(read_only=True).count({}))\n"
        "ResultStore.open()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    writer.close()
    assert done.stdout.strip() == "0", done.stderr
    assert f"process {os.getpid()}" in done.stderr


def test_a_store_in_memory_is_no_configuration(configure):
    configure("JOB_STORE: {docs_store: {type: MemoryStore}}\n")
    assert configured_job_store() is None


def test_no_data_store(configure, mongodb_uri, mongodb_database):
    configure(mongo(mongodb_uri, mongodb_database, data=False))
    with pytest.raises(PetFlowsError, match="no additional store called 'data'"):
        ResultStore.open()


@pytest.mark.parametrize(
    "content",
    ["JOB_STORE: {docs_store: {type: NoSuchStore}}", "JOB_STORE: [", "JOB_STORE: {docs: 1}"],
)
def test_a_broken_configuration_is_a_sentence(configure, content):
    configure(content)
    with pytest.raises(PetFlowsError, match=r"jobflow.yaml cannot be used .*: write it like"):
        open_job_store()


def test_a_configuration_that_is_not_there(monkeypatch):
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", "/nowhere/jobflow.yaml")
    with pytest.raises(PetFlowsError, match="names /nowhere"):
        open_job_store()


def test_what_other_processes_see(tmp_path):
    assert is_process_local(MemoryStore())
    assert is_process_local(JSONStore(str(tmp_path / "x.json"), read_only=False))
    assert not is_process_local(SqliteStore("x.db"))
    assert not is_process_local(MongoStore("x", "y"))


def test_arrays_in_memory_beside_documents_that_stay_are_refused(
    configure, mongodb_uri, mongodb_database
):
    configure(
        mongo(mongodb_uri, mongodb_database, data=False)
        + "  additional_stores:\n    data: {type: MemoryStore}\n"
    )
    sentence = (
        "its data in a MemoryStore, which no other process sees, .* would be without their arrays"
    )
    for opened in (open_job_store, ResultStore.open, shared_job_store):
        with pytest.raises(PetFlowsError, match=sentence):
            opened()


def test_documents_in_memory_beside_arrays_that_stay_are_refused(
    configure, mongodb_uri, mongodb_database
):
    place = f'uri: "{mongodb_uri}", database: {mongodb_database}, collection_name: b'
    configure(
        "JOB_STORE:\n  docs_store: {type: MemoryStore}\n"
        f"  additional_stores:\n    data: {{type: GridFSStore, {place}}}\n"
    )
    with pytest.raises(PetFlowsError, match=r"its docs_store in a MemoryStore.*their documents"):
        open_job_store()


def test_an_s3_store_is_as_good_as_its_index(tmp_path):
    from maggma.stores import S3Store

    docs = SqliteStore(str(tmp_path / "a.db"), "outputs")
    kept = SqliteStore(str(tmp_path / "b.db"), "index")
    refuse_divided(JobStore(docs, {"data": S3Store(kept, "bucket")}))
    with pytest.raises(PetFlowsError, match="its data in a S3Store, which no other process sees"):
        refuse_divided(JobStore(docs, {"data": S3Store(MemoryStore(), "bucket")}))


def test_a_job_that_would_lose_its_arrays_computes_nothing(tmp_path, caplog):
    store = JobStore(SqliteStore(str(tmp_path / "a.db"), "outputs"), {"data": MemoryStore()})
    job = StaticMaker(potential="no-such-model").make([crystal()])
    run_locally(job, store=store, raise_immediately=False)
    assert "its data in a MemoryStore" in caplog.text
    assert "no-such-model" not in caplog.text.rpartition("Traceback")[2]


def test_a_bucket_without_credentials_is_a_sentence(configure, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    sqlite = '"@module": pet_flows.store.sqlite, "@class": SqliteStore'
    configure(
        f"""JOB_STORE:
  "@module": jobflow.core.store
  "@class": JobStore
  docs_store: {{{sqlite}, path: {tmp_path}/a.db, collection_name: outputs}}
  additional_stores:
    data:
      "@module": maggma.stores.aws
      "@class": S3Store
      bucket: none
      index: {{{sqlite}, path: {tmp_path}/b.db, collection_name: index}}
"""
    )
    with pytest.raises(PetFlowsError, match=r"S3Store\) cannot be opened .*or its credentials"):
        open_job_store()


def test_a_store_whose_package_is_missing_is_a_sentence(configure, mongodb_uri, mongodb_database):
    try:
        import montydb  # noqa: F401
    except ImportError:
        pass
    else:
        pytest.skip("montydb is installed")
    configure(
        mongo(mongodb_uri, mongodb_database, data=False)
        + "  additional_stores:\n    data: {type: MontyStore, collection_name: b}\n"
    )
    with pytest.raises(PetFlowsError, match=r"jobflow.yaml cannot be used .*MontyDB"):
        open_job_store()


@pytest.mark.parametrize("begin", [ResultStore.open, lambda: ResultStore.from_job_store(memory())])
def test_what_was_opened_is_closed_where_the_rest_cannot_be(begin):
    path = get_settings().store
    data_path(path).write_text("this is no database, whatever its name may be")
    with pytest.raises(PetFlowsError, match=r"Cannot open the result store .*pet_flows_data\.db"):
        begin()
    locks.take(path.with_name(f"{path.name}.lock")).release()


def memory() -> JobStore:
    return JobStore(MemoryStore(), {"data": MemoryStore()})
