"""The README's own Python blocks are run, as they stand there."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"<!-- tested(: mongodb)? -->\n```python\n(.*?)```", re.DOTALL)


def blocks(mongodb):
    return [code for mark, code in BLOCK.findall(README.read_text()) if bool(mark) is mongodb]


def test_every_block_is_tested():
    assert README.read_text().count("```python") == len(blocks(False)) + len(blocks(True)) == 3


def test_jobflow_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks(False)[0], "README.md", "exec"), {})
    lines = capsys.readouterr().out.strip().splitlines()
    printed = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in lines[-3:]}
    assert set(printed) == {"Si", "Cu", "W"}
    assert printed["Cu"][0] == pytest.approx(11.95, rel=0.02)  # all-electron PBE
    assert printed["W"][1] > printed["Cu"][1] > printed["Si"][1]


def test_atomate2_example():
    space = {}
    exec(compile(blocks(False)[1], "README.md", "exec"), space)
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
    (code,) = blocks(True)
    code = code.replace("mongodb://localhost:27017", mongodb_uri).replace(
        '"materials"', repr(mongodb_database)
    )
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.split() == ["W", "304.0", "W-bcc"]
