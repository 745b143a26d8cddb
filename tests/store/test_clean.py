"""Cleaning beside those who write takes nothing from them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from bson import ObjectId
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore

from pet_flows.store import check, put
from pet_flows.store.check import check_store, clean
from pet_flows.store.results import ResultStore
from tests.store.examples import large, record


@pytest.fixture(params=[MongoStore, GridFSStore])
def job_store(request, mongodb_uri: str, mongodb_database: str) -> Iterator[JobStore]:
    where = {"database": mongodb_database}
    store = JobStore(
        MongoStore.from_uri(mongodb_uri, "outputs", **where),
        {"data": request.param.from_uri(mongodb_uri, "arrays", **where)},
    )
    store.connect()
    yield store
    store.close()


def of_age(results: ResultStore, blob: str, age: timedelta) -> None:
    """Let a blob have been written so long ago."""
    data, then = results.blobs.data, datetime.now(UTC).replace(tzinfo=None) - age
    if isinstance(data, GridFSStore):
        one = {"metadata.blob_uuid": blob}
        data._files_collection.update_one(one, {"$set": {"uploadDate": then}})
    else:
        data._collection.update_one({"blob_uuid": blob}, {"$set": {"last_updated": then}})


def written(results: ResultStore) -> str:
    """An array that no document names."""
    arrays = {"a": {"x": np.arange(5000.0)}}
    return str(results.blobs.write("f" * 32, arrays)["a"])


def test_arrays_of_records_that_are_being_written_stay(results, job_store, monkeypatch):
    monkeypatch.setattr(check, "YOUNGEST", timedelta(seconds=1.5))
    own, ended, n = put.insert_new, threading.Event(), 0

    def late(collection, documents):
        time.sleep(0.1)  # between the arrays and their document
        return own(collection, documents)

    monkeypatch.setattr(put, "insert_new", late)

    def write() -> None:
        nonlocal n
        with ResultStore.from_job_store(job_store) as store:
            while not ended.is_set():
                store.put(*large(*record(n)))
                n += 1

    leftover = written(results)
    of_age(results, leftover, timedelta(seconds=2))
    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(20):
        clean(results, check_store(results))
        time.sleep(0.1)
    ended.set()
    thread.join()
    found = check_store(results)
    assert (found.gone, found.damaged, found.versions.total()) == ({}, {}, n)
    assert results.blobs.there([leftover]) == set()
    assert n > 5


def test_arrays_of_a_record_that_somebody_computes_stay_whatever_their_age(results):
    blob = written(results)
    of_age(results, blob, timedelta(hours=2))
    with results.leases.held(["f" * 32]):
        clean(results, check_store(results))
        assert results.blobs.there([blob]) == {blob}
    clean(results, check_store(results))
    assert results.blobs.there([blob]) == set()


def test_arrays_that_were_written_again_since_they_were_found_stay(results):
    blob = written(results)
    of_age(results, blob, timedelta(hours=2))
    found = check_store(results)
    assert found.orphans == [blob]
    assert written(results) == blob  # the same content: the same id
    clean(results, found)
    assert results.blobs.read(blob)["x"][-1] == 4999.0


def test_arrays_of_before_have_the_age_of_their_document(results):
    data = results.blobs.data
    if isinstance(data, GridFSStore):
        pytest.skip("GridFS has always written down when")
    blob = written(results)
    document = data._collection.find_one_and_delete({"blob_uuid": blob})
    # the id of an upsert is the server's, and that of the tests has no time in it
    data._collection.insert_one(
        {k: v for k, v in document.items() if k not in ("_id", "last_updated")}
    )
    assert check_store(results).orphans == []


def test_chunks_of_a_file_that_is_being_written_stay(results):
    data = results.blobs.data
    if not isinstance(data, GridFSStore):
        pytest.skip("no GridFS")
    young, old = ObjectId(), ObjectId.from_datetime(datetime.now(UTC) - timedelta(hours=2))
    for file in (young, old):  # as GridFS does before there is a file of that id
        data._chunks_collection.insert_one({"files_id": file, "n": 0, "data": b"x"})
    found = check_store(results)
    assert found.chunks == [old]
    clean(results, found)
    assert [chunk["files_id"] for chunk in data._chunks_collection.find()] == [young]
