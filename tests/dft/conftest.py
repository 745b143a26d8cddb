"""Documents are made once; each test fills stores of its own with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jobflow import JobStore

from pet_flows.dft.importers.importing import Imported
from pet_flows.store.locate import embedded_job_store
from pet_flows.store.results import ResultStore
from tests.dft.jobs import bring_in, documents, fill, run_flows
from tests.store.conftest import mongodb_job_store


@pytest.fixture(scope="session")
def emt_jobs(tmp_path_factory) -> tuple[list[dict], list[dict]]:
    """What atomate2's flows with EMT left in a store."""
    return documents(run_flows(tmp_path_factory.mktemp("flows")))


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


@pytest.fixture
def imported(emt_jobs, job_store: JobStore, results: ResultStore) -> Imported:
    """What reading a store with those documents did."""
    fill(job_store, *emt_jobs)
    return bring_in(results, job_store)
