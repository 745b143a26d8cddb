"""Comparing as a job, at the end of a flow."""

from __future__ import annotations

import pytest
from jobflow import run_locally

from pet_flows.errors import PetFlowsError
from pet_flows.jobs import CompareMaker
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.compare.stored import element, put_record


def test_a_job_compares_beside_its_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_job_store()
    with ResultStore.from_job_store(store) as results:
        put_record(results, "eos", element("Si", "diamond"))
        job = CompareMaker(campaigns=["first"]).make()
        answers = run_locally(job, store=store, log=False, ensure_success=True)
        output = answers[job.uuid][1].output
        assert (output["records"], output["looked_at"], output["problems"]) == (1, 1, {})
        assert results.comparisons.count_documents({"campaigns": "first", "reason": None}) == 1
    store.close()


def test_nothing_to_compare_is_refused_when_the_job_is_made():
    with pytest.raises(PetFlowsError, match="campaigns is empty"):
        CompareMaker().make()
