"""References in both stores: what is the same is found to be the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.documents import document_of, reference_of
from pet_flows.dft.reference import LevelOfTheory, Origin, Reference
from pet_flows.errors import PetFlowsError
from pet_flows.store.references import stored_date

SILICON = AseAtomsAdaptor.get_structure(bulk("Si", cubic=True))
#: finer than a store keeps, and not in UTC
WHEN = datetime(2026, 3, 1, 12, 0, 0, 123_987, timezone(timedelta(hours=2)))


def reference(b0: float = 88.8, functional: str = "PBE", when: datetime = WHEN) -> Reference:
    return Reference(
        property="eos",
        result={"v0_per_atom": 20.4, "b0": b0},
        structure=SILICON,
        level=LevelOfTheory(functional=functional, u_with=("O", "F")),
        source=Origin(name="a table", completed_at=when),
        material_ids=("mp-149",),
        arrays={"points": {"volumes": np.linspace(19, 21, 7)}},
    )


def test_a_date_is_what_a_store_gives_back(results):
    assert stored_date(WHEN) == datetime(2026, 3, 1, 10, 0, 0, 123_000)
    results.references.put(*document_of(reference()))
    (found,) = results.references.find()
    assert found["source"]["completed_at"] == stored_date(WHEN)


def test_the_same_is_the_same_and_a_change_is_one(results):
    put = results.references.put
    assert put(*document_of(reference())) == "new"
    (first,) = results.references.find()
    assert put(*document_of(reference())) == "same"
    utc = WHEN.astimezone(UTC).replace(tzinfo=None)
    assert put(*document_of(reference(when=utc))) == "same"
    assert list(results.references.find()) == [first]
    assert put(*document_of(reference(b0=90.0))) == "changed"
    assert put(*document_of(reference(b0=90.0, when=WHEN + timedelta(seconds=1)))) == "changed"


def test_another_level_takes_the_place_and_leaves_no_blob(results):
    results.references.put(*document_of(reference()))
    (old,) = results.references.find()
    assert results.references.put(*document_of(reference(functional="PBEsol"))) == "changed"
    (new,) = results.references.find()
    assert new["_id"] != old["_id"]
    read = results.references.blob(new, "points")["volumes"]
    assert read == pytest.approx(np.linspace(19, 21, 7))
    assert results.blobs.data.count({"blob_uuid": {"$in": list(old["blobs"].values())}}) == 0


def test_a_reference_comes_back_as_it_was(results):
    results.references.put(*document_of(reference()))
    (document,) = results.references.find()
    found = reference_of(document, results.blobs.read)
    assert found.id == reference().id
    assert (found.result, found.level) == (reference().result, reference().level)
    assert len(found.structure) == 2  # the primitive cell
    assert results.references.remove({"property": "eos"}) == 1
    assert not list(results.references.find())


def test_no_number_that_is_none_is_stored(results):
    document, blobs = document_of(reference())
    document["entry"] = {"data": {"gap": float("nan")}}
    with pytest.raises(PetFlowsError, match="a number that is nan"):
        results.references.put(document, blobs)
    assert not list(results.references.find())
    assert results.blobs.data.count({}) == 0


@pytest.mark.parametrize(
    "query", [{"result.b0": {"$above": 3}}, {"$or": {}}, {"property": {"$regex": "("}}]
)
def test_a_query_that_is_none_is_a_sentence(results, query):
    results.references.put(*document_of(reference()))
    with pytest.raises(PetFlowsError, match="The query must be one that MongoDB understands"):
        list(results.references.find(query))
    with pytest.raises(PetFlowsError, match="The query must be one that MongoDB understands"):
        results.references.remove(query)
    assert len(list(results.references.find())) == 1
