"""Copies of trajectories go when nobody computes them, and tell who had them the truth."""

import pytest

from pet_flows.errors import StructureError
from pet_flows.store.check import check_store, clean
from tests.store.examples import record


def test_a_run_that_is_computed_again_keeps_its_copy(results):
    document, blobs = record(state="failed")  # final, and computed again with retry_failed
    key = document["_id"]
    results.put({**document, "retryable": False}, blobs)
    mine, others = results.runs.of(key), results.runs.of("e" * 32)
    for one in (mine, others):
        assert one.write("mark", 1, b"c", b"f", 0, 1)
    results.leases.collection.insert_one({"_id": key, "owner": "somebody"})
    clean(results, check_store(results))
    assert mine.write("mark 2", 2, b"c", b"f", 1, 2)
    results.leases.collection.delete_many({"_id": key})
    results.runs.remove_finished(["e" * 32])  # of another batch
    assert mine.write("mark 3", 3, b"c", b"f", 2, 3)
    clean(results, check_store(results))
    with pytest.raises(StructureError, match="was removed meanwhile") as ended:
        mine.write("mark 4", 4, b"c", b"f", 3, 4)
    assert (ended.value.reason, ended.value.retryable) == ("storage_error", True)
    assert others.write("mark 2", 2, b"c", b"f", 1, 2)


class Interrupted(Exception):
    """In the middle of a copy."""


def test_who_was_overtaken_leaves_the_pieces_of_the_other(results, monkeypatch):
    """Between the two commands of one claim another process claims, and begins a copy."""
    key, runs = "e" * 32, results.runs
    assert runs.of(key).write("mark", 1, b"c1", b"f1", 0, 1)
    one, other = runs.of(key), runs.of(key)
    read, put = runs.collection.find_one, runs.blobs.put

    def put_one(*piece):
        put(*piece)
        raise Interrupted

    def meanwhile(*query):
        monkeypatch.undo()
        assert other.claim().mark == "mark"
        with monkeypatch.context() as patch:
            patch.setattr(runs.blobs, "put", put_one)
            with pytest.raises(Interrupted):
                other.write("mark 2", 2, b"c2", b"f2", 1, 2)
        return read(*query)

    monkeypatch.setattr(runs.collection, "find_one", meanwhile)
    with pytest.raises(StructureError, match="is computed by a process on") as refused:
        one.claim()
    assert (refused.value.reason, refused.value.retryable) == ("run_in_use", True)
    begun = runs.collection.find_one({"_id": key})["begun"]
    assert len(runs.blobs.there(begun)) == 1
