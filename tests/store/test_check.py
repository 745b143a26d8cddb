"""What is damaged, gone or left over is found, and what can be is put right."""

from datetime import timedelta

import numpy as np
import pytest
from maggma.stores import GridFSStore

from pet_flows.cli import main
from pet_flows.store import check
from pet_flows.store.blobs import encode
from pet_flows.store.check import check_store, clean, migrate
from pet_flows.store.results import ResultStore
from tests.store.examples import crystal, large, record


@pytest.fixture
def stored(results, monkeypatch):
    """Three records, of which two have large arrays, and a large structure."""
    monkeypatch.setattr(check, "YOUNGEST", timedelta(seconds=-1))
    for number in range(3):
        made = record(number)
        results.put(*(large(*made) if number else made))
    results.structures.put([crystal() * (8, 8, 8)])
    return results


def key(number):
    return record(number)[0]["_id"]


def test_a_sound_store(stored):
    found = check_store(stored)
    assert found.is_sound
    assert found.versions == {2: 3}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"$set": {"state": "done"}}, "its state is 'done'"),
        ({"$unset": {"blobs": ""}}, "its blobs is None"),
        ({"$set": {"sources": "first"}}, "its sources is 'first'"),
        ({"$unset": {"potential.digest": ""}}, "its potential has no digest"),
        ({"$set": {"result": {}}}, "its result is empty"),
        ({"$set": {"blobs.static": {"format": "bytes"}}}, "its blob 'static' cannot be read"),
        ({"$unset": {"schema_version": ""}}, "its schema_version is None"),
    ],
)
def test_damaged_records_are_named(stored, change, said):
    stored.records.update_one({"_id": key(0)}, change)
    found = check_store(stored)
    assert not found.is_sound
    assert found.damaged.keys() == {key(0)}
    assert found.damaged[key(0)].startswith(said)


def test_arrays_that_are_gone_and_arrays_that_nobody_names(stored):
    blob = stored.get(key(1))["blobs"]["static"]
    stored.blobs.remove([blob])
    stored.records.update_one({"_id": key(2)}, {"$set": {"blobs": {}}})
    # of a jobflow job, which is nobody's business here
    job = {"blob_uuid": "j", "job_uuid": "u", "job_index": 1, "data": {}}
    stored.blobs.data.update(job, key=["blob_uuid", "job_uuid", "job_index"])
    found = check_store(stored)
    assert found.gone == {f"records {key(1)}": ["static"]}
    assert len(found.orphans) == 1
    before = stored.blobs.data.count()
    clean(stored, found)
    assert stored.blobs.data.count() == before - 1
    assert check_store(stored).orphans == []


def test_copies_of_unfinished_runs_are_nobodys_leftovers(stored):
    for number, name in enumerate((key(0), "e" * 32)):  # the first has its record
        backup = stored.runs.of(name)
        assert backup.claim() is None
        assert backup.write(f"mark {number}", 10, b"checkpoint", b"frames", 0, 2)
    found = check_store(stored)
    assert (found.orphans, found.gone) == ([], {})
    clean(stored, found)
    (left,) = stored.runs.collection.find()
    assert left["_id"] == "e" * 32
    backup = stored.runs.of("e" * 32)
    saved = backup.claim()
    checkpoint, frames = saved.read()
    assert (saved.mark, checkpoint, b"".join(frames)) == ("mark 1", b"checkpoint", b"frames")
    assert check_store(stored).orphans == []
    backup.drop()
    assert check_store(stored).orphans == []


def test_blobs_that_were_just_written_are_left_alone(stored, monkeypatch):
    monkeypatch.setattr(check, "YOUNGEST", timedelta(hours=1))
    stored.blobs.write("f" * 32, {"a": {"x": np.zeros(5000)}})
    assert check_store(stored).orphans == []


def test_files_of_gridfs_and_their_chunks(stored):
    data = stored.blobs.data
    if not isinstance(data, GridFSStore):
        pytest.skip("no GridFS")
    blob = {n: stored.get(key(n))["blobs"]["static"] for n in (1, 2)}
    files = {n: data._files_collection.find_one({"metadata.blob_uuid": blob[n]}) for n in (1, 2)}
    data._chunks_collection.delete_many({"files_id": files[1]["_id"]})
    data._files_collection.delete_one({"_id": files[2]["_id"]})
    found = check_store(stored)
    assert found.gone == {f"records {key(n)}": ["static"] for n in (1, 2)}
    assert found.chunks == [files[2]["_id"]]
    clean(stored, found)
    assert check_store(stored).chunks == []


def test_records_of_before_come_up_to_this_version(stored):
    forces = record(0)[1]["static"]
    document = {"blob_uuid": "old", "record": key(0), "name": "static", "data": encode(forces)}
    stored.blobs.data.update(document, key="blob_uuid")
    old = {"$set": {"blobs": {"static": "old"}, "schema_version": 1}}
    stored.records.update_one({"_id": key(0)}, old)
    np.testing.assert_array_equal(stored.blob(key(0), "static")["forces"], forces["forces"])
    found = check_store(stored)
    assert (found.is_sound, found.n_older, found.n_newer) == (True, 1, 0)
    assert migrate(stored) == 1
    assert migrate(stored) == 0
    assert isinstance(stored.get(key(0))["blobs"]["static"], dict)
    np.testing.assert_array_equal(stored.blob(key(0), "static")["forces"], forces["forces"])
    found = check_store(stored)
    assert (found.is_sound, found.n_older, found.orphans) == (True, 0, [])


def test_a_record_that_cannot_come_up_keeps_no_other_from_it(stored, caplog):
    for number in range(3):
        stored.records.update_one({"_id": key(number)}, {"$set": {"schema_version": 1}})
    stored.blobs.remove([stored.get(key(1))["blobs"]["static"]])
    stored.records.update_one({"_id": key(0)}, {"$set": {"blobs": ["static"]}})
    assert migrate(stored) == 1
    assert stored.get(key(2))["schema_version"] == 2
    assert {stored.get(key(n))["schema_version"] for n in (0, 1)} == {1}
    assert all(key(n) in caplog.text for n in (0, 1))


def test_the_command(monkeypatch, capsys):
    def run(word):
        with pytest.raises(SystemExit) as ended:
            main(["store", word])
        return ended.value.code or 0, capsys.readouterr().out

    with ResultStore.open() as results:
        for number in range(2):
            results.put(*large(*record(number)))
    assert run("check") == (0, "2 records\nNothing is damaged, missing or left over.\n")
    with ResultStore.open() as results:
        results.records.update_one({"_id": key(0)}, {"$set": {"state": "?"}})
        results.records.update_one({"_id": key(1)}, {"$set": {"blobs": {}}})
    code, said = run("check")
    assert code == 1
    assert f"1 damaged:\n  {key(0)}: its state is '?'" in said
    assert "pet-flows store clean, then submit or screen their campaign again" in said
    assert "blob that no document names" not in said  # it may be of a record that is coming
    monkeypatch.setattr(check, "YOUNGEST", timedelta(seconds=-1))
    assert "1 blob that no document names:" in run("check")[1]
    code, said = run("clean")
    assert (code, said.splitlines()[0]) == (0, "1 blob and the chunks of 0 files removed.")
    assert said.splitlines()[1].startswith("1 record that cannot be read: submit or screen")
    assert "no document names" not in run("check")[1]
    assert run("migrate") == (0, "0 records brought up to this version.\n")
