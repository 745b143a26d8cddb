"""pet-flows check: one line for each thing, and an exit code."""

from __future__ import annotations

import re

import pymongo
import pytest

from pet_flows.cli import main


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
