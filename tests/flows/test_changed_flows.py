"""Flows that were changed with jobflow's own calls after they were made."""

from __future__ import annotations

import pytest
from ase.build import bulk
from jobflow import JobConfig, JobStore, run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.flows import ScreenMaker
from pet_flows.jobs import StaticMaker
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore


@pytest.fixture
def elsewhere(tmp_path):
    data = SqliteStore(str(tmp_path / "b.db"), "blobs", key="blob_uuid")
    store = JobStore(SqliteStore(str(tmp_path / "a.db"), "outputs"), {"data": data})
    yield store
    store.close()


def structure(name):
    return AseAtomsAdaptor.get_structure(bulk(name))


@pytest.mark.parametrize("config", [JobConfig(manager_config={"_fworker": "w"}), {"a": 1}, None])
def test_records_lie_beside_the_outputs_whatever_the_config(elsewhere, tmp_path, config):
    job = StaticMaker(campaign="queue").make([structure("Cu")])
    if isinstance(config, dict):
        job.update_config({"manager_config": config})
    elif config is not None:
        job.update_config(config)
    run_locally(job, store=elsewhere, log=False, ensure_success=True)
    found = ResultStore.from_job_store(elsewhere).query({"sources.campaign": "queue"})
    assert len(list(found)) == 1
    assert not (tmp_path / "pet_flows.db").exists()
    if isinstance(config, JobConfig):
        assert job.config.manager_config == {"_fworker": "w", "_category": "pet-gpu"}


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"symmetrization": "none"}, "symmetrization 'crystal:icosahedral', not 'none'"),
        ({"settings": {}, "phase_comparison": False}, "symmetrization 'crystal:icosahedral', not"),
    ],
)
def test_a_campaign_is_what_its_manifest_says(elsewhere, update, said, caplog):
    flow = ScreenMaker(name="first", properties=["static"]).make([structure("Si")])
    flow.update_maker_kwargs(update)
    with pytest.raises(RuntimeError):  # jobflow's own; the sentence is in its log
        run_locally(flow, store=elsewhere, ensure_success=True)
    assert said in caplog.text
    assert "give ScreenMaker the potential and settings" in caplog.text
    results = ResultStore.from_job_store(elsewhere)
    assert not list(results.query({}))
    assert results.campaigns.names() == []


def test_settings_changed_in_the_maker_are_the_manifests(elsewhere):
    maker = ScreenMaker(name="second", properties=["relax"])
    maker = maker.update_kwargs({"steps": 3}, name_filter="relax")
    flow = maker.make([structure("Cu")])
    run_locally(flow, store=elsewhere, log=False, ensure_success=True)
    results = ResultStore.from_job_store(elsewhere)
    assert results.campaigns.get("second")["manifest"]["settings"]["relax"]["steps"] == 3
    (record,) = results.query({})
    assert record["settings"]["steps"] == 3
