"""pet-flows check: one line for each thing, and an exit code."""

from __future__ import annotations

import json
import re

import pymongo
import pytest
from jobflow import JobStore
from monty.json import jsanitize

from pet_flows.cli import main
from pet_flows.launch.check import check as check_all
from pet_flows.store.locate import BLOBS
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore


def check(capsys, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    with pytest.raises(SystemExit) as ended:
        main(["check", *options])
    said = capsys.readouterr().out
    lines = re.findall(r"^(ok|wrong) +(\w+) +(.+)$", said, re.MULTILINE)
    assert len(lines) == len(said.splitlines())  # and no traceback
    return int(ended.value.code or 0), {what: (state, text) for state, what, text in lines}


def test_all_is_well_on_a_site(site, launchpad, capsys, monkeypatch):
    monkeypatch.chdir(site.folder)
    before = sorted(path.name for path in site.folder.iterdir())
    code, said = check(capsys, "--launchpad", str(site.launchpad_file))
    assert code == 0, said
    assert {state for state, _ in said.values()} == {"ok"}
    assert list(said) == ["store", "LaunchPad", "folder", "model", "device"]
    assert said["store"][1].startswith(f"{site.database} with 0 records, arrays in a GridFSStore")
    with pymongo.MongoClient(site.uri) as client:  # what was tried is removed again
        database = client[site.database]
        assert "pet_flows_check" not in database.list_collection_names()
        assert database["b.files"].count_documents({}) == 0
        assert database["b.chunks"].count_documents({}) == 0
    assert sorted(path.name for path in site.folder.iterdir()) == before


def test_everything_that_is_wrong_is_said_at_once(site, launchpad, capsys, monkeypatch):
    monkeypatch.chdir(site.folder)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    text = (site.folder / "jobflow.yaml").read_text()
    (site.folder / "jobflow.yaml").write_text(text.replace("  additional_stores", "  others"))
    launchpad.fw_id_assigner.delete_many({})
    (site.folder / "full").touch()
    code, said = check(
        capsys, "--launchpad", str(site.launchpad_file), "--folder", str(site.folder / "full"),
        "--model", "pet-nothing",
    )  # fmt: skip
    assert code == 1
    assert {what: state for what, (state, _) in said.items()} == dict.fromkeys(said, "wrong")
    assert "no additional store called 'data'" in said["store"][1]
    assert "was never set up as a LaunchPad" in said["LaunchPad"][1]
    assert "cannot be written" in said["folder"][1]
    assert "No model is called 'pet-nothing'" in said["model"][1]
    assert "CUDA_VISIBLE_DEVICES is 7" in said["device"][1]


def test_without_a_server_screen_works(capsys, tmp_path, monkeypatch):
    from fireworks import fw_config

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fw_config, "LAUNCHPAD_LOC", None)
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    code, said = check(capsys)
    assert code == 0, said
    assert "suffices for pet-flows screen" in said["LaunchPad"][1]
    assert list(tmp_path.iterdir()) == []


def test_the_embedded_store_may_be_named_in_jobflow_yaml(tmp_path, monkeypatch):
    """It is no server, and is not asked what only a server answers."""
    places = {
        name: SqliteStore(str(tmp_path / f"{name}.db"), name, **more)
        for name, more in (("outputs", {}), (BLOBS, {"key": "blob_uuid"}))
    }
    store = JobStore(places["outputs"], {"data": places[BLOBS]})
    file = tmp_path / "jobflow.yaml"
    file.write_text(json.dumps({"JOB_STORE": jsanitize(store.as_dict())}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(file))
    found = next(iter(check_all()))
    assert found.said.startswith(f"the embedded one at {tmp_path / 'outputs.db'}, not begun")
    with ResultStore.open() as results:
        results.records.insert_one({"_id": "k"})
    found = next(iter(check_all()))
    assert found.ok
    assert "outputs.db, 1 records; workers need a server instead" in found.said


def test_an_error_without_text_is_a_sentence(site, launchpad, monkeypatch):
    def refuse(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("pet_flows.store.access.TIMEOUT", 60.0)  # the machine may be busy
    monkeypatch.setattr("pet_flows.store.blobs.BlobStore.write", refuse)
    found = next(iter(check_all(launchpad=site.launchpad_file)))
    assert "cannot be written (RuntimeError: it does not say why): ask for the right" in found.said
