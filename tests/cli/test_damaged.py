"""One damaged record is named, and stops none of the others from being seen."""

import json

import pytest

from pet_flows.store.results import ResultStore
from tests.cli.stored import run


@pytest.fixture(params=["state", "property", "potential", "spacegroup", "result"])
def damaged(keys, request):
    key = keys["eos"]
    with ResultStore.open() as store:
        store.records.update_one({"_id": key}, {"$unset": {request.param: ""}})
    return key


@pytest.fixture(params=["state", "property"])
def nameless(keys, request):
    key = keys["eos"]
    with ResultStore.open() as store:
        store.records.update_one({"_id": key}, {"$unset": {request.param: ""}})
    return key


def test_show_says_what_is_missing(damaged, capsys):
    code, _, said = run(capsys, "show", damaged)
    assert code == 1
    assert f"Record {damaged} is damaged (it has no '" in said


def test_query_and_report_show_the_others(nameless, capsys, caplog):
    code, out, _ = run(capsys, "query", "metals")
    assert code == 0
    assert "9 records\n" in out
    assert f"Record {nameless} is damaged" in caplog.text
    caplog.clear()
    code, out, _ = run(capsys, "report", "metals", "--format", "json")
    assert code == 0
    assert len(json.loads(out)) == 3
    assert f"Record {nameless} is damaged" in caplog.text
    code, out, _ = run(capsys, "query", "metals", "--fields", "key,headline", "--format", "csv")
    assert code == 0
    assert nameless not in out
    code, out, _ = run(capsys, "query", "metals", "--format", "json")  # whole, whatever it is
    assert len(json.loads(out)) == 10


@pytest.mark.parametrize("field", ["state", "result", "volume_per_atom", "blobs"])
def test_plots_and_structures_of_the_others_are_written(
    keys, field, capsys, caplog, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    key = keys["eos"]
    with ResultStore.open() as store:
        store.records.update_one({"_id": key}, {"$unset": {field: ""}})
    code, out, said = run(capsys, "plot", "metals", "-o", "plots")
    assert code == 0
    assert out.count(".png") > 1
    if field in ("state", "result"):  # the others are not needed to draw
        assert f"Record {key} is damaged" in said + caplog.text
    caplog.clear()
    code, _, _ = run(capsys, "query", "metals", "--export", "extxyz", "all.extxyz")
    assert code == 0
    if field in ("state", "volume_per_atom"):
        assert f"Record {key} is damaged" in caplog.text
    assert (tmp_path / "all.extxyz").read_text().count("Lattice") == 3
