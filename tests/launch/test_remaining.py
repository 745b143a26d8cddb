"""Structures that are done need no firework."""

from dataclasses import replace

import pytest

from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.structure import as_input, failed_input, make_source
from pet_flows.jobs.entries import batch_by_reference, load_entries, reference
from pet_flows.launch.remaining import Plan
from pet_flows.records.build import build_record
from pet_flows.store.results import ResultStore
from tests.store.examples import POTENTIAL, crystal, outcome

MAKER = ScreenMaker(name="c", properties=["relax", "static"], potential="pet-mvl")
SOUND = [replace(as_input(crystal(n)), source=make_source(material_id=f"m{n}")) for n in range(4)]
BROKEN = failed_input(make_source(material_id="m4", path="x.cif"), "unreadable", "It is cut.")
RELAXED = {
    **outcome().result, "n_steps": 3, "n_steps_float64": 0, "converged": True,
    "enthalpy_per_atom": -0.5, "energy_change": 0.0, "volume_change": 0.0, "rmsd": 0.0,
    "lattice": {**dict.fromkeys("abc", 5.0), **dict.fromkeys(("alpha", "beta", "gamma"), 90.0)},
}  # fmt: skip


def write(results, n, name, *, campaign="c", parent=None, **made):
    """Store the record of an input, as its job would."""
    of, given = MAKER.maker(name), [*SOUND, BROKEN][n]
    record, blobs = build_record(
        outcome(**{"result": RELAXED if name == "relax" else outcome().result, **made}),
        input_structure=given.structure, property=name, settings=of.physics(), parent=parent,
        sources=[{**given.source, "campaign": campaign}],
        potential={**POTENTIAL, "digest": of.spec().digest},
    )  # fmt: skip
    assert record["state"] == made.get("state", "ok"), record["message"]
    results.put(record, blobs)
    return record["_id"]


@pytest.fixture
def results():
    with ResultStore.open() as store:
        yield store


def missing(results, maker=MAKER):
    """Identifier → properties that are to be computed."""
    found = Plan(maker, results).of([reference(given) for given in [*SOUND, BROKEN]])
    names = {f"m{item.n}": names for (_, names), items in found.items.items() for item in items}
    assert (found.n_left, found.n_done, found.n_live) == (len(names), 5 - len(names), 0)
    return names


def left(results, maker=MAKER):
    return sorted(missing(results, maker))


def test_a_structure_is_done_with_the_last_of_its_properties(results):
    assert left(results) == ["m0", "m1", "m2", "m3", "m4"]
    relaxed = write(results, 0, "relax")
    write(results, 0, "static")  # of the input, not of what was relaxed
    assert "m0" in left(results)
    write(results, 0, "static", parent=relaxed)
    write(results, 1, "relax", state="unconverged")  # nothing starts from it
    assert left(results) == ["m2", "m3", "m4"]


def test_what_is_relaxed_starts_from_there(results):
    relaxed = write(results, 0, "relax")
    write(results, 1, "relax", campaign="other")
    found = missing(results)
    assert found["m0"] == ("static",)
    assert found["m1"] == ("relax", "static")  # its record does not know this campaign yet
    items = Plan(MAKER, results).of([reference(SOUND[0])]).items
    ((item,),) = items.values()
    assert item.given["key"] == relaxed
    assert item.given["source"]["material_id"] == "m0"
    reference_ = batch_by_reference([item.given], results)
    (entry,) = load_entries(reference_, results)
    assert entry.parent == relaxed
    assert entry.given.source["material_id"] == "m0"
    assert entry.given.structure is not None


def test_failures_are_done_unless_they_are_tried_again(results):
    final = {"state": "failed", "retryable": False, "result": {}}
    write(results, 2, "relax", **final)
    write(results, 4, "relax", **final, reason="unreadable")
    write(results, 3, "relax", **{**final, "retryable": True})
    assert left(results) == ["m0", "m1", "m3"]
    assert left(results, replace(MAKER, retry_failed=True)) == ["m0", "m1", "m2", "m3", "m4"]


def test_a_damaged_record_is_computed_again_or_told_again(results):
    one, other = (write(results, n, "relax", state="unconverged") for n in (0, 1))
    assert left(results) == ["m2", "m3", "m4"]
    results.records.update_one({"_id": one}, {"$unset": {"state": ""}})
    results.records.update_one({"_id": other}, {"$unset": {"sources": "", "retryable": ""}})
    assert left(results) == ["m0", "m1", "m2", "m3", "m4"]


def test_a_record_of_another_campaign_is_still_to_be_referred_to(results):
    key = write(results, 1, "relax", state="unconverged", campaign="other")
    assert "m1" in left(results)
    results.add_source(key, {"campaign": "c", "material_id": "renamed"})
    assert "m1" in left(results)
    results.add_source(key, {"campaign": "c", "material_id": "m1"})
    assert "m1" not in left(results)
