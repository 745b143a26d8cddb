"""Records and a campaign that the version before the declarations wrote: read, queried, gone on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bson import json_util
from jobflow import run_locally

import pet_flows
from pet_flows.cli import main
from pet_flows.compare.campaign import compare_campaign
from pet_flows.jobs.observe import observers
from pet_flows.models import catalogue
from pet_flows.properties.registry import get_property
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

BEFORE = Path(__file__).with_name("before.json")
PROPERTIES: dict[str, dict[str, Any]] = {
    "relax": {}, "static": {}, "eos": {}, "elastic": {},
    "phonon": {"min_length": 6.0, "max_atoms": 400, "mesh": [6, 6, 6]},
    "md": {"steps": 10, "ensemble": "nve", "min_length": 0},
}  # fmt: skip


@pytest.fixture
def before(monkeypatch):
    """The job store, as that version left it, with the weights that it had."""
    card = {**catalogue.bundled()["pet-mvl"], "path": str(BEFORE.with_suffix(".ckpt"))}
    monkeypatch.setattr(catalogue, "bundled", lambda: {"pet-mvl": card})
    content = json_util.loads(BEFORE.read_text())
    store = open_job_store()
    results = ResultStore.from_job_store(store)
    for record in content["records"]:
        results.records.insert_one(record)
    results.blobs.data.update(content["blobs"], key="blob_uuid")
    results.campaigns.collection.insert_one(content["campaign"])
    yield store
    store.close()


def test_read_and_queried(before, capsys) -> None:
    records = list(ResultStore.from_job_store(before).query({"sources.campaign": "before"}))
    assert {r["property"] for r in records} == set(PROPERTIES)
    for record in records:
        get_property(record["property"]).result.model_validate(record["result"])
        assert get_property(record["property"]).line(record)
    before.close()
    for words in (["query", "before"], ["report", "before"], ["show", records[0]["_id"]]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert not ended.value.code
        assert "W" in capsys.readouterr().out


def test_compared(before) -> None:
    (row,) = compare_campaign(ResultStore.from_job_store(before), "before").rows()
    assert row.references["b0"] == pytest.approx(303, abs=5)
    assert abs(row.comparisons["v0_per_atom"].relative) < 0.02


def test_the_same_campaign_goes_on_and_computes_only_what_has_another_key(before) -> None:
    computed = []

    def observe(name: str, slim: dict[str, Any], new: bool) -> None:
        computed.extend([name] * new)

    inputs = [i for i in pet_flows.build_prototypes(["Cu", "W"])
              if i.source["material_id"] in ("Cu-fcc", "W-bcc")]  # fmt: skip
    maker = pet_flows.ScreenMaker(name="before", properties=PROPERTIES)
    flow = maker.make(inputs[1:])
    observers.append(observe)
    try:
        run_locally(flow, store=before, log=False, ensure_success=True)
    finally:
        observers.remove(observe)
    assert computed == ["md"]  # checkpoint_every left its digest
