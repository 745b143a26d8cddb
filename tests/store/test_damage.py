"""A damaged record is computed again and replaced, and never one that is whole."""

from datetime import timedelta
from functools import partial

import numpy as np
import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.store import check, damage
from pet_flows.store.check import check_store, clean
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.writes import chunks
from tests.store.examples import large, record

DAMAGES = {
    "no state": {"$unset": {"state": ""}},
    "unknown state": {"$set": {"state": "done"}},
    "no schema": {"$unset": {"schema_version": ""}},
    "no blobs": {"$unset": {"blobs": ""}},
    "blobs of another type": {"$set": {"blobs": ["static"]}},
    "sources of another type": {"$set": {"sources": "first"}},
    "no sources": {"$unset": {"sources": ""}},
    "no potential": {"$unset": {"potential": ""}},
    "no digest": {"$unset": {"potential.digest": ""}},
    "no result": {"$set": {"result": {}}},
    "attempts of another type": {"$set": {"attempts": "one"}},
    "no elements": {"$set": {"elements": None}},
    "a digest of another type": {"$set": {"potential.digest": 5}},
    "a schema that is true": {"$set": {"schema_version": True}},
    "a list of properties": {"$set": {"property": ["static"]}},
    "a list of states": {"$set": {"state": ["ok"]}},
    "a time that is no number": {"$set": {"state": "", "last_updated": float("nan")}},
}


def key(number):
    return record(number)[0]["_id"]


@pytest.fixture
def stored(results):
    """A whole record, and two others of which the second has large arrays."""
    for number in range(3):
        made = record(number)
        results.put(*(large(*made) if number == 2 else made))
    return results


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES)
def test_it_counts_as_missing_and_is_replaced(stored, change, caplog):
    sound = stored.get(key(0))
    stored.add_source(key(1), {"campaign": "second", "material_id": "m-1"})
    stored.records.update_one({"_id": key(1)}, change)
    assert check_store(stored).damaged.keys() == {key(1)}
    assert stored.needs([key(0), key(1), key(2)]) == [key(1)]
    assert f"Damaged records are computed again: {key(1)}: its " in caplog.text
    found = [record(0, energy=-7.0), record(1, energy=-7.0), large(*record(2, energy=-7.0))]
    stored.put_all(found)
    assert f"Record {key(1)} was damaged (its " in caplog.text
    assert stored.get(key(0)) == sound
    energies = [stored.get(key(n))["result"]["energy"] for n in range(3)]
    assert energies == [-1.0, -7.0, -1.0]
    campaigns = [source["campaign"] for source in stored.get(key(1))["sources"]]
    assert campaigns == (["first"] if "sources" in str(change) else ["second", "first"][::-1])
    assert stored.needs([key(n) for n in range(3)]) == []
    assert check_store(stored).damaged == {}


def test_whole_numbers_that_a_shell_wrote_are_numbers(stored):
    stored.records.update_one({"_id": key(1)}, {"$set": {"attempts": 2.0, "schema_version": 2.0}})
    assert stored.needs([key(1)]) == []
    assert check_store(stored).damaged == {}
    stored.records.update_one({"_id": key(1)}, {"$set": {"state": "unconverged"}})
    stored.put(*record(1))
    assert stored.get(key(1))["attempts"] == 3


def test_a_state_that_is_a_query_is_replaced(stored):
    if not isinstance(stored.records, SqliteCollection):
        pytest.skip("MongoDB stores no such name")
    damaged = {**stored.get(key(1)), "state": {"$in": [1]}}
    stored.records.replace_one({"_id": key(1)}, damaged)
    stored.put(*record(1))
    assert stored.get(key(1))["state"] == "ok"


def test_a_transaction_that_is_undone_keeps_the_arrays_of_its_records(results):
    """The second record cannot be written after the first one was replaced."""
    results.put_all([large(*record(n, "unconverged")) for n in range(2)])
    broken = {"static": {"forces": np.array([object()])}}
    with pytest.raises(TypeError, match="not numbers"):
        results.put_all([large(*record(0, energy=-2.0)), (record(1)[0], broken)])
    assert check_store(results).gone == {}
    assert np.isfinite(results.blob(key(0), "static")["forces"]).all()


@pytest.mark.parametrize("structure", [None, {}, "Si"])
def test_a_relaxation_without_its_structure_counts_as_missing(results, structure):
    """What follows it would start from the structure before."""
    (small, blobs), (of_blob, _) = record(), record(1)
    small, of_blob = ({**one, "property": "relax"} for one in (small, of_blob))
    results.put(small, blobs)
    results.put({**of_blob, "structure": None}, {"structure": {"x": np.zeros(3)}})
    assert results.needs([small["_id"], of_blob["_id"]]) == []
    results.records.update_one({"_id": small["_id"]}, {"$set": {"structure": structure}})
    assert results.needs([small["_id"], of_blob["_id"]]) == [small["_id"]]
    assert check_store(results).damaged == {small["_id"]: "it has no relaxed structure"}
    results.put(small, blobs)
    assert results.final_structure(results.get(small["_id"])).is_ordered
    assert check_store(results).is_sound


@pytest.mark.parametrize("state", ["failed", "unconverged"])
def test_whatever_was_computed_replaces_it(stored, state):
    stored.records.update_one({"_id": key(1)}, {"$set": {"result": {}}})
    stored.put(*record(1, state))
    assert stored.get(key(1))["state"] == state


def test_arrays_that_are_gone_make_it_missing(stored, caplog):
    blob = stored.get(key(2))["blobs"]["static"]
    stored.blobs.remove([blob])
    assert stored.needs([key(1), key(2)]) == [key(2)]
    assert f"{key(2)}: its blob {blob} is not in the store 'data'" in caplog.text
    stored.put(*large(*record(2, energy=-7.0)))
    assert stored.blob(key(2), "static")["forces"][0, 0] == -7.0
    assert stored.get(key(2))["attempts"] == 2
    assert check_store(stored).gone == {}
    assert stored.blobs.data.count() == 1


def test_small_arrays_that_cannot_be_decoded_are_found_by_check(stored):
    stored.records.update_one({"_id": key(1)}, {"$set": {"blobs.static": {"format": "bytes"}}})
    assert stored.needs([key(1)]) == []  # nobody has looked into it
    clean(stored, check_store(stored))
    assert stored.needs([key(0), key(1)]) == [key(1)]
    stored.put(*record(1))
    assert stored.blob(key(1), "static")["forces"].shape == (2, 3)


def test_another_store_of_arrays_is_no_reason_to_compute_everything(results, monkeypatch):
    for number in range(damage.MOST_GONE):
        results.put(*large(*record(number)))
    keys = [key(number) for number in range(damage.MOST_GONE)]
    results.blobs.remove([results.get(one)["blobs"]["static"] for one in keys])
    with pytest.raises(PetFlowsError, match=r"use the jobflow\.yaml with which they were written"):
        results.needs(keys)
    monkeypatch.setattr(damage, "chunks", partial(chunks, size=damage.MOST_GONE))
    last = large(*record(damage.MOST_GONE))
    results.put(*last)  # asked for after all the others
    assert results.needs([*keys, last[0]["_id"]]) == keys
    results.put(*large(*record(0)))  # one of them is there: it is this store
    assert results.needs(keys) == keys[1:]


def test_two_that_replace_it_at_once_leave_one_whole_record(stored, monkeypatch):
    """The second one finds, when it comes to write, that the first one has."""
    stored.records.update_one({"_id": key(1)}, {"$set": {"result": {}}})
    own, done = damage.problem_in, []

    def meanwhile(document, blobs):
        said = own(document, blobs)
        if not done:
            done.append(True)
            stored.put(*large(*record(1, energy=-5.0)))
        return said

    monkeypatch.setattr("pet_flows.store.put.problem_in", meanwhile)
    stored.put(*large(*record(1, energy=-6.0)))
    assert done
    assert stored.get(key(1))["result"]["energy"] == -5.0
    assert stored.blob(key(1), "static")["forces"][0, 0] == -5.0
    monkeypatch.setattr(check, "YOUNGEST", timedelta(seconds=-1))
    assert check_store(stored).orphans == []


def test_a_lack_of_chunks_is_put_right(stored):
    data = stored.blobs.data
    if not hasattr(data, "_chunks_collection"):
        pytest.skip("no GridFS")
    blob = stored.get(key(2))["blobs"]["static"]
    file = data._files_collection.find_one({"metadata.blob_uuid": blob})["_id"]
    data._chunks_collection.delete_many({"files_id": file})
    assert stored.needs([key(2)]) == []  # its file is there
    clean(stored, check_store(stored))
    assert stored.needs([key(2)]) == [key(2)]
    stored.put(*large(*record(2)))
    assert np.isfinite(stored.blob(key(2), "static")["forces"]).all()
