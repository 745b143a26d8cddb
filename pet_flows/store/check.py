"""What is wrong in a store: damaged records, arrays that are gone, arrays that nobody names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from maggma.stores import GridFSStore

from pet_flows.errors import PetFlowsError
from pet_flows.records.schema import SCHEMA_VERSION
from pet_flows.store.blobs import decode
from pet_flows.store.patience import ServerAwayError, patient
from pet_flows.store.results import ResultStore
from pet_flows.store.runs import pieces
from pet_flows.store.writes import blob_ids

logger = logging.getLogger(__name__)

#: younger blobs may be of records that are about to be written
YOUNGEST = timedelta(hours=1)
#: what decoding a blob raises that is not one
UNREADABLE = (KeyError, TypeError, ValueError)
_STATES = ("ok", "unconverged", "failed")
#: fields without which a record is of no use, and what they are
_NEEDED: dict[str, type | tuple[type, ...]] = {
    "schema_version": int,
    "property": str,
    "sources": list,
    "potential": dict,
    "settings": dict,
    "blobs": dict,
    "result": dict,
    "attempts": int,
    "elements": list,
}


@dataclass
class Checked:
    """What was found."""

    versions: Counter[int] = field(default_factory=Counter)
    """schema version → records"""
    damaged: dict[str, str] = field(default_factory=dict)
    """key of a record → what is wrong with it"""
    gone: dict[str, list[str]] = field(default_factory=dict)
    """collection and key of a document → names of arrays that are not there, or not whole"""
    orphans: list[str] = field(default_factory=list)
    """ids of blobs that no document names"""
    chunks: list[Any] = field(default_factory=list)
    """ids of files of GridFS that have chunks only"""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong; what takes space for nothing is not."""
        return not (self.damaged or self.gone or self.orphans or self.chunks)

    @property
    def n_newer(self) -> int:
        """Records that a later version of pet_flows wrote."""
        return sum(n for version, n in self.versions.items() if version > SCHEMA_VERSION)

    @property
    def n_older(self) -> int:
        """Records that could be brought up to this version."""
        return sum(n for version, n in self.versions.items() if 0 < version < SCHEMA_VERSION)


@patient
def check_store(results: ResultStore) -> Checked:
    """Look at every record, and at every array of records, references, structures and runs.

    Parameters
    ----------
    results
        Nothing of it is changed.
    """
    found = Checked()
    there, broken, loose = _blobs(results)
    named: set[str] = set()
    # what is named is read after what is there, as it is written
    for collection, document in _documents(results):
        key = document["_id"]
        if collection == "records":
            if (said := problem(document)) is not None:
                found.damaged[key] = said
            version = document.get("schema_version")
            found.versions[version if isinstance(version, int) else 0] += 1
        blobs = document.get("blobs")
        if not isinstance(blobs, Mapping):
            continue
        ids = blob_ids(document)
        named |= ids
        missing = [n for n, b in blobs.items() if isinstance(b, str) and b in broken]
        absent = {blob for blob in ids if blob not in there}
        if absent:  # or written since
            absent -= _present(results, absent)
            missing += [name for name, blob in blobs.items() if blob in absent]
        if missing:
            found.gone[f"{collection} {key}"] = missing
    for head in results.runs.collection.find():
        named |= pieces(head)
    found.orphans = [blob for blob, old in there.items() if old and blob not in named]
    found.chunks = loose
    return found


def problem(record: Mapping[str, Any]) -> str | None:
    """What makes a record useless, if anything does."""
    if record.get("state") not in _STATES:
        return f"its state is {record.get('state')!r}"
    for name, kind in _NEEDED.items():
        if not isinstance(record.get(name), kind):
            return f"its {name} is {record.get(name)!r:.40}"
    if not record["potential"].get("digest"):
        return "its potential has no digest"
    if record["state"] == "ok" and not record["result"]:
        return "its result is empty"
    for name, blob in record["blobs"].items():
        try:
            if not isinstance(blob, str):
                decode(blob)
        except UNREADABLE as error:
            return f"its blob {name!r} cannot be read ({type(error).__name__}: {error})"
    return None


@patient
def clean(results: ResultStore, found: Checked) -> None:
    """Remove blobs that no document names, chunks without a file, copies of finished runs."""
    results.runs.remove_finished()
    for start in range(0, len(found.orphans), 500):
        results.blobs.remove(found.orphans[start : start + 500])
    data = results.blobs.data
    if isinstance(data, GridFSStore) and found.chunks:
        data._chunks_collection.delete_many({"files_id": {"$in": found.chunks}})


@patient
def migrate(results: ResultStore) -> int:
    """Bring records of earlier versions up to this one; says how many there were.

    Their small arrays come into the record itself. Done again, or broken off, it changes nothing
    else. What is damaged, or without its arrays, is named in a warning and left as it is.
    """
    count = 0
    older = {"schema_version": {"$lt": SCHEMA_VERSION}}
    for record in list(results.records.find(older, {"blobs": 1})):
        key, blobs = record["_id"], record.get("blobs")
        try:
            if not isinstance(blobs, Mapping):
                raise TypeError(f"its blobs is {blobs!r:.40}")
            arrays = {n: results.blobs.read(b) for n, b in blobs.items() if isinstance(b, str)}
        except (PetFlowsError, *UNREADABLE) as error:
            if isinstance(error, ServerAwayError):
                raise
            logger.warning("Record %s stays of its version: %s", key, error)
            continue
        new = {**blobs, **results.blobs.write(key, arrays)}
        change = {"$set": {"blobs": new, "schema_version": SCHEMA_VERSION}}
        same = {"_id": key, "blobs": record.get("blobs")}
        if results.records.update_one(same, change).matched_count:
            results.blobs.remove(blob_ids(record) - blob_ids({"blobs": new}))
            count += 1
    return count


def _documents(results: ResultStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents that may name blobs, of records all that is needed to judge them."""
    fields = ["state", *_NEEDED]
    for document in results.records.find({}, fields):
        yield "records", document
    for name, collection in (
        ("references", results.references.collection),
        ("structures", results.structures.collection),
    ):
        for document in collection.find({}, ["blobs"]):
            yield name, document


def _blobs(results: ResultStore) -> tuple[dict[str, bool], set[str], list[Any]]:
    """Blobs of ours: id → whether it is old; ids of those that are not whole; loose chunks."""
    data = results.blobs.data
    if not isinstance(data, GridFSStore):
        ours = data.query({"record": {"$exists": True}}, ["blob_uuid"])
        return {document["blob_uuid"]: True for document in ours}, set(), []
    sizes: Counter[Any] = Counter(
        chunk["files_id"] for chunk in data._chunks_collection.find({}, {"files_id": 1})
    )
    there: dict[str, bool] = {}
    broken: set[str] = set()
    files = set()
    now = datetime.now(UTC).replace(tzinfo=None)
    for file in data._files_collection.find({}):
        files.add(file["_id"])
        about = file.get("metadata") or {}
        # jobflow's own are named by their job
        if "blob_uuid" not in about or "job_uuid" in about:
            continue
        blob = about["blob_uuid"]
        there[blob] = now - file["uploadDate"] > YOUNGEST
        if sizes[file["_id"]] < -(-file["length"] // file["chunkSize"]):
            broken.add(blob)
    loose = [file for file in sizes if file not in files]
    return there, broken, loose


def _present(results: ResultStore, ids: set[str]) -> set[str]:
    """Which of these blobs are there by now."""
    found = results.blobs.data.query({"blob_uuid": {"$in": list(ids)}}, ["blob_uuid"])
    return {document["blob_uuid"] for document in found}
