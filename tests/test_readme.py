"""The README's own Python blocks are run, as they stand there."""

import pytest

from tests.docs.examples import ROOT, blocks, mongodb, run_python

README = ROOT / "README.md"


def readme(mark):
    return [block for block in blocks(README) if block.language == "python" and block.mark == mark]


def test_every_block_is_tested():
    assert README.read_text().count("```python") == 4
    assert len(readme("tested")) + len(readme("tested: mongodb")) == 4


def test_python_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_python(readme("tested")[0], README, {})
    lines = capsys.readouterr().out.strip().splitlines()[-2:]
    assert [line.split()[0] for line in lines] == ["Si", "Cu"]
    assert float(lines[1].split()[1]) == pytest.approx(11.95, rel=0.02)  # all-electron PBE
    assert (tmp_path / "Si.png").stat().st_size > 5000


def test_jobflow_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_python(readme("tested")[1], README, {})
    lines = capsys.readouterr().out.strip().splitlines()
    printed = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in lines[-3:]}
    assert set(printed) == {"Si", "Cu", "W"}
    assert printed["Cu"][0] == pytest.approx(11.95, rel=0.02)  # all-electron PBE
    assert printed["W"][1] > printed["Cu"][1] > printed["Si"][1]


def test_atomate2_example():
    space = {}
    run_python(readme("tested")[2], README, space)
    assert type(space["flow"]).__name__ == "ElasticMaker"


def test_mongodb_example(mongodb_uri, mongodb_database, capsys):
    from pymongo import MongoClient

    found = {
        "property": "eos", "state": "ok", "elements": ["W"], "formula_pretty": "W",
        "result": {"b0": 304.0}, "sources": [{"material_id": "W-bcc"}],
        "potential": {"name": "pet-mvl"},
    }  # fmt: skip
    soft = {**found, "result": {"b0": 20.0}}
    with MongoClient(mongodb_uri) as client:
        client[mongodb_database]["pet_records"].insert_many([found, soft])
    (block,) = readme("tested: mongodb")
    run_python(mongodb(block, mongodb_uri, mongodb_database), README, {})
    assert capsys.readouterr().out.split() == ["W", "304.0", "W-bcc"]
