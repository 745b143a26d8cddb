"""Every test of the store runs on the embedded store and on MongoDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore

from pet_flows.store.locate import embedded_job_store
from pet_flows.store.results import ResultStore


def mongodb_job_store(uri: str, database: str) -> JobStore:
    return JobStore(
        MongoStore.from_uri(uri, "outputs", database=database),
        {"data": GridFSStore.from_uri(uri, "outputs_blobs", database=database)},
    )


@pytest.fixture(params=["embedded", "mongodb"])
def job_store(request: pytest.FixtureRequest) -> Iterator[JobStore]:
    if request.param == "mongodb":
        uri = request.getfixturevalue("mongodb_uri")
        store = mongodb_job_store(uri, request.getfixturevalue("mongodb_database"))
    else:
        store = embedded_job_store()
    store.connect()
    yield store
    store.close()


@pytest.fixture
def results(job_store: JobStore) -> Iterator[ResultStore]:
    with ResultStore.from_job_store(job_store) as store:
        yield store
