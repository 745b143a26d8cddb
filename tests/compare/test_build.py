"""Comparisons are made anew only where a record or a reference changed, and nothing is lost."""

from __future__ import annotations

from datetime import datetime

import pytest
from pymatgen.core import Lattice, Structure

from pet_flows.compare.build import build
from pet_flows.compare.shelf import Shelf
from pet_flows.dft.reference import Origin
from pet_flows.store.results import ResultStore
from tests.compare.stored import element, put_record, put_reference, rocksalt
from tests.store.conftest import mongodb_job_store

METALS = ("Mg", "Ca", "Sr", "Ba", "Cd", "Pb")


@pytest.fixture(params=["embedded", "mongodb"])
def store(request):
    if request.param == "embedded":
        with ResultStore.open() as store:
            yield store
        return
    uri = request.getfixturevalue("mongodb_uri")
    job_store = mongodb_job_store(uri, request.getfixturevalue("mongodb_database"))
    job_store.connect()
    with ResultStore.from_job_store(job_store) as store:
        yield store
    job_store.close()


def halides(store, **changes):
    """Records and references of six oxides, matched by structure."""
    ids = {}
    for n, metal in enumerate(METALS):
        source = Origin(name=metal, database="halides")
        ids[metal] = put_reference(
            store, "static", rocksalt(4.2 + n / 10, metal), source=source, energy_per_atom=-5.0 - n
        )
        put_record(store, "static", rocksalt(4.25 + n / 10, metal), f"{metal}O", **changes)
    return ids


def documents(store, **criteria):
    return {d["_id"]: d for d in store.comparisons.find(criteria)}


def test_what_did_not_change_is_not_looked_at_again(store):
    halides(store)
    first = build(store, ["first"])
    assert (first.records, first.looked_at, first.written, first.removed) == (6, 6, 6, 0)
    before = documents(store)
    again = build(store, ["first"])
    assert (again.records, again.looked_at, again.written, again.removed) == (6, 0, 0, 0)
    assert documents(store) == before


def test_one_changed_reference_touches_one_comparison(store):
    halides(store)
    build(store, ["first"])
    before = documents(store)
    source = Origin(name="Sr", database="halides")
    put_reference(store, "static", rocksalt(4.4, "Sr"), source=source, energy_per_atom=-7.5)
    built = build(store, ["first"])
    assert (built.looked_at, built.written, built.removed) == (1, 1, 0)
    after = documents(store)
    (changed,) = [after[id_] for id_ in after if after[id_] != before[id_]]
    assert changed["formula_pretty"] == "SrO"
    assert changed["values"][0]["dft"] == -7.5


def test_a_changed_reference_leaves_other_crystals_of_its_formula_as_they_are(store):
    halides(store)
    cubic = Structure(Lattice.cubic(2.8), ["Sr", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    put_reference(store, "static", cubic, energy_per_atom=-3.0)
    put_record(store, "static", cubic)
    build(store, ["first"])
    before = documents(store)
    source = Origin(name="Sr", database="halides")
    put_reference(store, "static", rocksalt(4.4, "Sr"), source=source, energy_per_atom=-7.5)
    built = build(store, ["first"])
    assert (built.looked_at, built.confirmed, built.written) == (2, 1, 1)
    after = documents(store)
    assert sum(after[id_]["built_at"] != before[id_]["built_at"] for id_ in after) == 1
    assert build(store, ["first"]).looked_at == 0


def test_what_is_clearly_one_crystal_is_not_set_beside_others(store, monkeypatch):
    from pet_flows.compare.matching import same

    asked = []
    real = same._matcher()
    monkeypatch.setattr(same, "_matcher", lambda: Counting())

    class Counting:
        def get_rms_dist(self, ours, theirs):
            asked.append(len(ours))
            return real.get_rms_dist(ours, theirs)

    put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    cubic = Structure(Lattice.cubic(2.7), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    put_reference(store, "static", cubic, energy_per_atom=-4.0)
    for property in ("static", "relax"):
        put_record(store, property, rocksalt())
    build(store, ["first"])
    assert asked == [2]


def test_a_changed_record_touches_its_comparisons_alone(store):
    halides(store)
    build(store, ["first"])
    # one more campaign asks for it
    put_record(store, "static", rocksalt(4.25, "Mg"), "MgO", campaign="second")
    built = build(store, ["first"])
    assert (built.looked_at, built.written) == (1, 1)
    assert [d["campaigns"] for d in store.comparisons.find({"campaigns": "second"})] == [
        ["first", "second"]
    ]


def test_a_reference_that_comes_is_found_and_one_that_goes_leaves_a_reason(store):
    key = put_record(store, "static", rocksalt())
    build(store, ["first"])
    (alone,) = documents(store).values()
    assert (alone["record"], alone["reference"]) == (key, None)
    id_ = put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    built = build(store, ["first"])
    assert (built.looked_at, built.written, built.removed) == (1, 1, 1)
    (pair,) = documents(store).values()
    assert (pair["record"], pair["reference"]) == (key, id_)
    store.references.remove({"_id": id_})
    build(store, ["first"])
    (document,) = documents(store).values()
    assert document == {**alone, "built_at": document["built_at"]}


def test_a_record_that_goes_takes_its_comparisons_with_it(store):
    ids = halides(store)
    build(store, ["first"])
    store.records.delete_many({"formula_pretty": "CaO"})
    put_record(store, "static", rocksalt(9.0, "Ca", "S"))
    built = build(store, ["first"])
    assert built.removed == 1
    assert documents(store, reference=ids["Ca"]) == {}
    # another crystal of that formula comes: the reference is now listed without one
    cubic = Structure(Lattice.cubic(2.7), ["Ca", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    put_record(store, "static", cubic)
    build(store, ["first"])
    (alone,) = documents(store, reference=ids["Ca"]).values()
    assert (alone["record"], alone["reason"]) == (None, "no record stands beside it")
    assert alone["campaigns"] == ["first"]


def test_references_alone_are_listed_for_each_campaign(store):
    cubic = Structure(Lattice.cubic(2.6), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    salt = put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    put_record(store, "static", rocksalt(), campaign="first")
    put_record(store, "static", cubic, campaign="second")
    for campaign in ("first", "second", "first"):
        build(store, [campaign])
    (alone,) = documents(store, reference=salt, record=None).values()
    assert alone["campaigns"] == ["second"]


def test_a_failed_record_stands_beside_its_reference_without_values(store):
    id_ = put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    key = put_record(store, "static", rocksalt(), state="failed")
    build(store, ["first"])
    (document,) = documents(store).values()
    assert (document["record"], document["reference"]) == (key, id_)
    assert (document["record_state"], document["values"]) == ("failed", [])
    assert document["reason"] == "failed: max_steps"


def test_what_starts_from_a_failed_relaxation_is_matched_by_that(store):
    id_ = put_reference(store, "eos", rocksalt(), b0=160.0)
    relaxed = put_record(store, "relax", rocksalt(), state="failed")
    key = put_record(store, "eos", None, state="failed", parent=relaxed)
    build(store, ["first"])
    (document,) = documents(store, record=key).values()
    assert (document["reference"], document["formula_pretty"]) == (id_, "MgO")


def test_an_unconverged_record_has_values_and_says_so(store):
    put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    put_record(store, "static", rocksalt(), state="unconverged")
    build(store, ["first"])
    (document,) = documents(store).values()
    assert document["record_state"] == "unconverged"
    assert document["values"][0]["dft"] == -5.0


def test_a_property_of_another_package_decides_what_is_compared(store, monkeypatch):
    """Also that two results are not of the same thing; what is not finite is left out."""
    from dataclasses import replace

    from pet_flows.compare import documents as module
    from pet_flows.properties.registry import properties

    put_reference(store, "static", rocksalt(), energy_per_atom=-5.0)
    put_record(store, "static", rocksalt())
    declared = properties()["static"]
    for name, expected in (
        ("strange", ["one"]), ("refusing", "ions were clamped"), ("broken", "KeyError 'phonon'")
    ):  # fmt: skip
        changed = replace(declared, compared=f"tests.compare.comparing:{name}")
        monkeypatch.setattr(module, "properties", lambda changed=changed: {"static": changed})
        store.comparisons.delete_many({})
        build(store, ["first"])
        (document,) = documents(store).values()
        if isinstance(expected, list):
            assert [value["name"] for value in document["values"]] == expected
        else:
            assert expected in document["reason"]
            assert document["values"] == []


def test_one_damaged_reference_or_record_stops_no_other(store):
    ids = halides(store)
    broken = put_reference(store, "static", rocksalt(), energy_per_atom=-4.0)
    store.references.collection.update_one({"_id": broken}, {"$set": {"structure": {"sites": 3}}})
    key = put_record(store, "static", rocksalt(4.5, "Ba"))
    store.records.update_one({"_id": key}, {"$set": {"spacegroup": 225}})
    built = build(store, ["first"])
    assert set(built.problems) == {broken, key}
    assert all(reason.startswith("cannot be compared (") for reason in built.problems.values())
    (alone,) = documents(store, record=None).values()
    assert (alone["reference"], alone["reason"]) == (broken, built.problems[broken])
    (of_record,) = documents(store, record=key).values()
    assert of_record["reason"] == built.problems[key]
    assert {d["reference"] for d in documents(store).values()} >= set(ids.values())


def test_nothing_is_written_where_the_store_is_only_read(store):
    put_record(store, "eos", element("Si", "diamond"), "mp-149", v0_per_atom=20.5)
    shelf = Shelf(store, keep=False)
    build(shelf, ["first"])
    pair = next(d for d in shelf.comparisons(["first"]) if d["record"])
    assert [v["name"] for v in pair["values"]][:1] == ["v0_per_atom"]
    assert next(shelf.references([pair["reference"]])).name == "Si-diamond"
    assert next(store.comparisons.find({}), None) is None
    assert next(store.references.find(), None) is None
    # and with what is there already, only what changed is in memory
    build(store, ["first"])
    kept = documents(store)
    put_record(store, "eos", element("Si", "fcc"), "other")
    reader = Shelf(store, keep=False)
    assert build(reader, ["first"]).looked_at == 1
    assert {d["_id"] for d in reader.comparisons(["first"])} > set(kept) - {
        d["_id"] for d in kept.values() if d["record"] is None
    }
    assert documents(store) == kept


def test_references_of_packages_are_stored_once_and_follow_their_package(store, monkeypatch):
    from pet_flows.dft import acwf

    put_record(store, "eos", element("Si", "diamond"))
    build(store, ["first"])
    stored = {r["_id"]: r for r in store.references.find({"formula_pretty": "Si"})}
    assert sorted(r["source"]["name"] for r in stored.values()) == [
        "Si-bcc", "Si-diamond", "Si-fcc", "Si-sc",
    ]  # fmt: skip
    assert next(store.references.find({"formula_pretty": "Ge"}), None) is None
    assert build(store, ["first"]).written == 0
    diamond = acwf.find("Si", "diamond")
    changed = diamond.model_copy(update={"result": {**diamond.result, "b0": 90.0}})
    monkeypatch.setattr(acwf, "references", lambda elements=None: (changed,))
    assert build(store, ["first"]).written == 1
    assert store.references.get(changed.id)["result"]["b0"] == 90.0
    # what a package does not give any more is gone, and so is what was listed of it
    assert [r["_id"] for r in store.references.find({"formula_pretty": "Si"})] == [changed.id]
    assert {d["reference"] for d in documents(store).values()} == {changed.id}


def test_the_whole_document(store):
    id_ = put_reference(
        store, "static", rocksalt(), "mp-1265", energy_per_atom=-5.0, problems=("old",)
    )
    key = put_record(store, "static", rocksalt(), "mp-1265")
    build(store, ["first"])
    (document,) = documents(store).values()
    record, reference = store.get(key), store.references.get(id_)
    assert isinstance(document.pop("built_at"), datetime)
    assert len(document.pop("made_of")) == 16
    assert document == {
        "_id": document["_id"],
        "record": key,
        "reference": id_,
        "campaigns": ["first"],
        "property": "static",
        "matched_by": "identifier",
        "rmsd": None,
        "level_differs": [],
        "potential": {"digest": record["potential"]["digest"], "name": "test"},
        "material_id": "mp-1265",
        "formula_pretty": "MgO",
        "spacegroup": {"tight": 225, "loose": 225},
        "level": {"functional": "PBE", "digest": reference["level"]["digest"]},
        "values": [
            {"name": "energy_per_atom", "unit": "eV", "pet": -1.0, "dft": -5.0,
             "difference": 4.0, "relative": None},
            {"name": "volume_per_atom", "unit": "Å³", "pet": pytest.approx(4.2**3 / 8),
             "dft": pytest.approx(4.2**3 / 8), "difference": pytest.approx(0.0, abs=1e-9),
             "relative": pytest.approx(0.0, abs=1e-9)},
        ],
        "corrections": None,
        "warnings": ["old"],
        "reason": None,
        "alternatives": [],
        "of_other_levels": [], "frames": None,
        "record_state": "ok",
        "record_updated": record["last_updated"],
        "reference_updated": reference["last_updated"],
    }  # fmt: skip
