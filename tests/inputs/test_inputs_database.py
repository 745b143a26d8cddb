"""Structures from database documents, with the identifiers that the database gave them."""

from __future__ import annotations

import pytest
from maggma.stores import MemoryStore, MongoStore
from pymatgen.core import Lattice, Structure

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.database import _sibling, _wanted, read_store
from pet_flows.store.sqlite import SqliteStore


@pytest.fixture
def salt():
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@pytest.fixture
def store(salt):
    memory = MemoryStore("tasks", key="_id")
    memory.connect()
    memory.update(
        [
            {"_id": "a", "material_id": "mp-1", "task_id": "t-1", "structure": salt.as_dict()},
            {"_id": "b", "tags": ["x"], "output": {"structure": salt.as_dict()}, "k": 3},
            {"_id": "c", "sources": [{"material_id": "mp-3"}], "structure": salt.as_dict()},
        ]
    )
    return memory


def test_identifiers_come_from_the_document(store, salt):
    first, second, third = read_store(store)
    assert (first.source["material_id"], first.source["task_id"]) == ("mp-1", "t-1")
    assert first.source["collection"] == "tasks"
    assert first.structure == salt
    assert second.problem[0] == "no_structure"
    assert third.source["material_id"] == "mp-3"


def test_query_path_and_limit(store, salt):
    (found,) = read_store(store, {"k": {"$gt": 2}}, structure_path="output.structure")
    assert found.label == "b"
    assert found.source["tags"] == ["x"]
    assert found.structure == salt
    assert len(read_store(store, limit=2)) == 2


def test_nothing_found_is_a_mistake(store):
    with pytest.raises(PetFlowsError, match="No document of the collection 'tasks' matches"):
        read_store(store, {"k": 7})


def test_another_collection_of_the_same_database():
    store = MongoStore("db", "jobs", host="here", port=1, username="u", password="secret")
    other = _sibling(store, "structures")
    assert isinstance(other, MongoStore)
    assert (other.collection_name, other.database, other.host) == ("structures", "db", "here")
    assert other.password == "secret"


def test_an_unreachable_server_is_one_sentence():
    store = MongoStore("db", "jobs", port=1, mongoclient_kwargs={"serverSelectionTimeoutMS": 100})
    with pytest.raises(PetFlowsError, match="does not answer"):
        read_store(store, collection="structures")


@pytest.mark.parametrize("path", ["structure", "data", "data.material", "output.structure"])
def test_no_field_is_asked_for_together_with_its_parent(path):
    wanted = _wanted(path)
    assert any(path == name or path.startswith(f"{name}.") for name in wanted)
    assert not [(a, b) for a in wanted for b in wanted if b.startswith(f"{a}.")]


def test_the_embedded_store_serves_too_and_stays_open(tmp_path, salt):
    outputs = SqliteStore(str(tmp_path / "embedded.db"), "outputs", key="_id")
    mine = SqliteStore(str(tmp_path / "embedded.db"), "mine", key="_id")
    for store in (outputs, mine):
        store.connect()
    mine.update([{"_id": "a", "material_id": "mp-1", "structure": salt.as_dict()}])
    try:
        (found,) = read_store(outputs, {"material_id": "mp-1"}, collection="mine")
        assert found.structure == salt
        assert found.source["collection"] == "mine"
        outputs.update([{"_id": "b"}])
        assert outputs.count() == 1
    finally:
        mine.close()
        outputs.close()
