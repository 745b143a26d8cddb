"""Records are written once, whoever writes them and however often."""

import numpy as np
import pytest
from jobflow import JobConfig, JobStore, run_locally
from jobflow.core.job import job
from maggma.stores import JSONStore, MemoryStore
from pymatgen.core import Lattice, Structure

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import structure_digest
from pet_flows.store.results import ResultStore
from tests.store.examples import crystal, large, record


def test_a_record_comes_back_as_it_was(results):
    document, blobs = record()
    results.put(document, blobs)
    found = results.get(document["_id"])
    assert found["blobs"].keys() == {"static"}
    assert {**found, "blobs": {}} == document
    assert results.count() == 1
    arrays = results.blob(document["_id"], "static")
    np.testing.assert_array_equal(arrays["forces"], blobs["static"]["forces"])
    assert results.final_structure(found).volume == pytest.approx(document["volume"])


def test_writing_twice_changes_nothing(results):
    document, blobs = large(*record())
    results.put(document, blobs)
    before = results.get(document["_id"])
    later = {**document["sources"][0], "job_uuid": "another run", "fw_id": 7}
    results.put({**document, "sources": [later]}, blobs)
    results.add_source(document["_id"], later)
    assert results.get(document["_id"]) == before
    assert results.blobs.data.count() == 1


def test_small_arrays_are_in_their_document_and_large_ones_are_not(results):
    document, blobs = record()
    mixed = {
        **blobs,
        "text": {"species": np.array(["Si", "O"]), "pbc": np.array([True, False]),
                 "z": np.array(1 + 2j), "none": np.zeros((0, 3), dtype=np.float32)},
        "large": {"x": np.arange(5000.0)},
    }  # fmt: skip
    results.put(document, mixed)
    assert results.blobs.data.count() == 1
    for name, arrays in mixed.items():
        found = results.blob(document["_id"], name)
        assert found.keys() == arrays.keys()
        for key, array in arrays.items():
            assert (found[key].dtype, found[key].shape) == (array.dtype, array.shape)
            np.testing.assert_array_equal(found[key], array)
    blob = results.get(document["_id"])["blobs"]["text"]
    assert results.blobs.shapes(blob)["none"] == (0, 3)


def test_many_at_once_new_known_better_and_worse(results):
    results.put(*record(0, energy=-1.0))
    results.put(*record(1, "failed"))
    results.put(*record(2))
    given = [record(0, energy=-9.0), record(1), record(2, "failed"), record(3), record(4, "failed")]
    for document, _ in given:
        document["sources"] = [{"campaign": "second"}]
    results.put_all([large(*given[0]), *given[1:]])
    found = [results.get(document["_id"]) for document, _ in given]
    assert [one["state"] for one in found] == ["ok", "ok", "ok", "ok", "failed"]
    assert found[0]["result"]["energy"] == -1.0
    assert [one["attempts"] for one in found] == [1, 2, 1, 1, 1]
    assert [len(one["sources"]) for one in found] == [2, 2, 2, 1, 1]
    assert results.blobs.data.count() == 0  # the better one stayed, and has none there


def test_an_ok_record_stays(results):
    results.put(*large(*record(energy=-1.0)))
    key = record()[0]["_id"]
    results.put(*large(*record(energy=-2.0)))
    results.put(*record(state="failed"))
    results.put(*large(*record(state="unconverged", energy=-3.0)))
    found = results.get(key)
    assert (found["state"], found["result"]["energy"], found["attempts"]) == ("ok", -1.0, 1)
    assert results.blob(key, "static")["forces"][0, 0] == -1.0
    assert results.blobs.data.count() == 1


@pytest.mark.parametrize("lost", ["state", "blobs", "sources", "attempts"])
def test_a_damaged_record_is_repaired_by_computing_it_again(results, caplog, lost):
    document, blobs = record()
    key = document["_id"]
    results.put(document, blobs)
    results.records.update_one({"_id": key}, {"$unset": {lost: "", "state": ""}})
    assert results.needs([key]) == [key]
    assert f"Damaged records are computed again: {key}: its state is None" in caplog.text
    results.put(document, blobs)
    found = results.get(key)
    assert (found["state"], len(found["sources"])) == ("ok", 1)
    assert results.blob(key, "static")["forces"][0, 0] == -1.0
    assert results.needs([key]) == []


def test_a_failed_record_is_replaced_and_counted(results):
    document, _ = record(state="failed")
    key = document["_id"]
    for attempt in (1, 2, 3):
        assert results.needs([key]) == [key]
        results.put(document)
        assert results.get(key)["attempts"] == attempt
    assert results.needs([key]) == []
    assert results.needs([key], retry_failed=True) == [key]
    results.put(*large(*record(state="unconverged")))
    assert results.needs([key], retry_failed=True) == []
    results.put(*large(*record()))
    found = results.get(key)
    assert (found["state"], found["reason"], found["attempts"]) == ("ok", None, 5)
    assert results.blobs.data.count() == 1


def test_what_cannot_succeed_is_not_tried_again(results):
    document, _ = record(state="failed")
    results.put({**document, "retryable": False})
    other = record(1)[0]["_id"]
    assert results.needs([document["_id"], other, other]) == [other]


def test_one_crystal_under_two_identifiers_is_one_record(results):
    document, blobs = record()
    two = [{"material_id": "mp-149", "campaign": "a"}, {"material_id": "icsd-1", "campaign": "a"}]
    results.put({**document, "sources": [*two, two[0]]}, blobs)
    results.add_source(document["_id"], {"material_id": "mp-149", "campaign": "b"})
    results.add_source(document["_id"], {"material_id": "mp-149", "campaign": "b", "fw_id": 3})
    found = results.get(document["_id"])
    assert [(s["material_id"], s["campaign"]) for s in found["sources"]] == [
        ("mp-149", "a"), ("icsd-1", "a"), ("mp-149", "b"),
    ]  # fmt: skip
    assert found["provenance"] == document["provenance"]
    for name in ("mp-149", "icsd-1"):
        assert results.count({"sources.material_id": name}) == 1
    both = {"sources": {"$elemMatch": {"material_id": "icsd-1", "campaign": "b"}}}
    assert results.count(both) == 0


def test_tags_tell_sources_apart(results):
    document, _ = record()
    results.put({**document, "sources": []})
    for tags in (["a"], ["a", "b"], ["a"], []):
        results.add_source(document["_id"], {"tags": tags})
    assert len(results.get(document["_id"])["sources"]) == 3


def test_existing_and_query(results):
    keys = []
    for number, state in enumerate(["ok", "failed", "ok", "unconverged"]):
        document, blobs = record(number, state)
        results.put(document, blobs)
        keys.append(document["_id"])
    assert set(results.existing([*keys, "f" * 32])) == set(keys)
    found = results.query({"state": "ok"}, ["property", "result.energy"], {"_id": -1}, limit=1)
    last = max(keys[0], keys[2])
    assert list(found) == [{"_id": last, "property": "static", "result": {"energy": -1.0}}]
    with pytest.raises(PetFlowsError, match=r"MongoDB understands \([^{}]*\)"):
        list(results.query({"state": {"$sounds_like": "oak"}}))


REFUSED = r"^The query must be one that MongoDB understands \(.+\)\.$"


@pytest.mark.parametrize(
    "asked",
    [
        ({"$nope": 1},), ({"n": {"$expr": 1}},), ("abc",), ({"n": 2**70},), ({"n": 1j},), ({1: 2},),
        ({"n\0": 1},), ({"n": "\udce9"},), ({}, "state"), ({}, ["state", 3]),
        ({}, {"a": 1, "b": 0}), ({}, None, "state"), ({}, None, {"state": "up"}),
        ({}, None, None, -1), ({}, None, None, 1.5),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_said_on_every_store(results, asked):
    results.put(*record())
    with pytest.raises(PetFlowsError, match=REFUSED):
        list(results.query(*asked))
    if len(asked) == 1:
        with pytest.raises(PetFlowsError, match=REFUSED):
            results.count(*asked)


@pytest.mark.parametrize("name", ["Ångström 测试", "a.b.$c", "x" * 200, 'a"b\nc', "../x"])
def test_campaigns_may_have_any_name_of_text(results, name):
    results.campaigns.put({"name": name, "settings": {"a.b": {"$c": 1}}})
    document, blobs = record(sources=[{"campaign": name, "material_id": "$m.1"}])
    results.put(document, blobs)
    results.campaigns.add_keys(name, [document["_id"]])
    assert results.campaigns.get(name)["keys"] == [document["_id"]]
    assert results.campaigns.names() == [name]
    assert [r["_id"] for r in results.query({"sources.campaign": name})] == [document["_id"]]


def test_campaigns_keep_their_settings_and_their_keys_are_a_set(results):
    manifest = {
        "name": "c",
        "n_inputs": 2,
        "properties": ["relax"],
        "settings": {"relax": {"fmax": 0.01}},
    }
    digest = results.campaigns.put(manifest)
    assert results.campaigns.put(dict(reversed(manifest.items()))) == digest
    for name, said in {
        "": "name is empty: give it one",
        "  ": "name is empty: give it one",
        "a#1": "must have no #",
        "x" * 201: "at most 200",
        "\udce9": "must be text",
    }.items():
        with pytest.raises(PetFlowsError, match=said):
            results.campaigns.put({**manifest, "name": name})
    with pytest.raises(PetFlowsError, match="with other settings of relax: repeat those"):
        results.campaigns.put({**manifest, "settings": {"relax": {"fmax": 0.02}}})
    keys = [f"{n:032x}" for n in range(10)]
    results.campaigns.add_keys("c", keys[:6])
    results.campaigns.add_keys("c", keys[4:])
    found = results.campaigns.get("c")
    assert sorted(found["keys"]) == keys
    assert found["manifest"] == manifest
    with pytest.raises(PetFlowsError, match="choose from c"):
        results.campaigns.get("d")


def potential(sha256, *names):
    return {name: {"sha256": sha256, "symmetrization": "crystal", "dtype": "x"} for name in names}


def test_a_campaign_grows_by_properties_and_potentials(results):
    put = results.campaigns.put
    one = {"name": "c", "properties": ["relax"], "settings": {"relax": {"fmax": 0.01}}}
    first = put({**one, "potentials": potential("a", "relax")})
    assert put({**one, "potentials": potential("a", "relax")}) == first
    with pytest.raises(PetFlowsError, match="relaxes its structures first: name relax among"):
        put({"name": "c", "properties": ["static"], "settings": {"static": {}}})
    more = {**one, "properties": ["relax", "static"], "settings": {"static": {}}}
    put({**more, "potentials": potential("a", "relax", "static")})
    whole = put({**one, "potentials": potential("b", "relax")})
    found = results.campaigns.head("c")["manifest"]
    assert found["properties"] == ["relax", "static"]
    assert found["settings"] == {"relax": {"fmax": 0.01}, "static": {}}
    assert found["potentials"] == [potential("a", "relax", "static"), potential("b", "relax")]
    # what a job of an early submission knows of it changes nothing
    assert put({**one, "potentials": potential("a", "relax")}) == whole
    assert results.campaigns.head("c")["manifest"] == found


def test_the_lists_of_a_campaign_that_has_grown_are_spread(results):
    keys = [f"{n * 2654435761 % 2**32:08x}{'0' * 24}" for n in range(300)]
    results.campaigns.put({"name": "c"}, n_records=1)
    results.campaigns.add_keys("c", keys[:200], keys[:10])
    assert results.campaigns.collection.count_documents({}) == 1
    results.campaigns.spread("c", 10_000)  # twice as many as before are let be
    assert results.campaigns.collection.count_documents({}) == 1
    results.campaigns.spread("c", 40_000)
    results.campaigns.add_keys("c", keys, keys[:20])
    assert results.campaigns.collection.count_documents({}) == 8
    pages = list(results.campaigns.collection.find({}))
    assert sorted(key for page in pages for key in page["keys"]) == sorted(keys)
    assert sorted(results.campaigns.get("c")["keys"]) == sorted(keys)
    assert results.campaigns.count("c") == (20, 300)
    # a process that had not heard of it adds to where it was to be
    results.campaigns.collection.update_one(
        {"_id": "c"}, {"$addToSet": {"keys": pages[3]["keys"][0]}}
    )
    assert results.campaigns.count("c") == (20, 300)
    head = results.campaigns.head("c")
    assert (head["n_structures"], head["n_records"]) == (20, 300)


def test_large_campaigns_are_spread_over_documents(results):
    results.campaigns.put({"name": "large", "n_inputs": 20_000, "properties": ["relax"]})
    keys = [f"{n * 2654435761 % 2**32:08x}{'0' * 24}" for n in range(200)]
    for _ in range(2):
        results.campaigns.add_keys("large", keys)
    assert sorted(results.campaigns.get("large")["keys"]) == sorted(keys)
    assert results.campaigns.collection.count_documents({}) == 4
    assert results.campaigns.names() == ["large"]


def test_a_campaign_without_manifest_can_get_one(results):
    results.campaigns.add_keys("c", ["0" * 32])
    assert results.campaigns.get("c")["manifest"] is None
    results.campaigns.put({"name": "c", "n_inputs": 1})
    assert results.campaigns.get("c")["manifest"] == {"name": "c", "n_inputs": 1}
    assert results.campaigns.get("c")["keys"] == ["0" * 32]


def test_structures_come_back_by_digest(results):
    rng = np.random.default_rng(0)
    large = Structure(Lattice.cubic(40), ["Si"] * 250, rng.random((250, 3)))
    charged = crystal(1).add_oxidation_state_by_element({"Si": 4})
    given = [crystal(0), charged, large, crystal(0)]
    digests = results.structures.put(given)
    assert digests[0] == digests[3]
    assert results.structures.put(given) == digests
    found = results.structures.get([*digests, "unknown"])
    assert found.keys() == set(digests)
    assert found[digests[1]] == crystal(1)
    assert {key: structure_digest(value) for key, value in found.items()} == {k: k for k in found}


def test_comparisons_are_replaced_and_removed(results):
    for value in (1.0, 2.0):
        results.put_comparisons([{"_id": "c", "value": value, "record": "x", "reference": "r"}])
    assert results.comparisons.count_documents({"value": 2.0}) == 1
    results.put_comparisons([{"_id": "d"}])
    results.remove_comparisons(["c", "never"])
    assert [found["_id"] for found in results.comparisons.find({})] == ["d"]


def test_large_documents_are_refused(results):
    document, _ = record()
    with pytest.raises(PetFlowsError, match="more than the 1 MB"):
        results.put({**document, "message": "x" * 1_100_000})
    assert results.count() == 0


def test_records_that_are_not_there(results):
    assert results.get("nothing") is None
    with pytest.raises(PetFlowsError, match="no record nothing"):
        results.blob("nothing", "forces")
    document, blobs = record()
    results.put(document, blobs)
    with pytest.raises(PetFlowsError, match="choose from static"):
        results.blob(document["_id"], "bands")


@job(config=JobConfig(expose_store=True))
def _store_one(number):
    from jobflow import CURRENT_JOB

    store = ResultStore.from_job_store(CURRENT_JOB.store)
    document, blobs = record(number)
    store.put(document, blobs)
    return document["_id"]


def _run(work, store):
    run_locally(work, store=store, log=False, raise_immediately=True, create_folders=False)


def test_records_lie_beside_the_outputs_of_the_job(job_store, results):
    _run(_store_one(3), job_store)
    assert job_store.count() == 1
    assert results.count({"sources.material_id": "m-3"}) == 1


def test_results_of_jobs_in_memory_go_to_the_embedded_store(tmp_path):
    for docs in (MemoryStore(), JSONStore(str(tmp_path / "x.json"), read_only=False)):
        store = JobStore(docs, {"data": MemoryStore()})
        store.connect()
        _run(_store_one(1), store)
    with ResultStore.open(read_only=True) as found:
        assert found.count() == 1


def test_a_job_store_without_data_is_refused(job_store):
    without = JobStore(job_store.docs_store, {})
    with pytest.raises(PetFlowsError, match="no additional store called 'data'"):
        ResultStore.from_job_store(without)
