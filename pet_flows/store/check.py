"""What is wrong in a store: damaged records, arrays that are gone, arrays that nobody names."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from maggma.stores import GridFSStore

from pet_flows.errors import PetFlowsError
from pet_flows.records.schema import SCHEMA_VERSION
from pet_flows.store import buckets
from pet_flows.store.damage import LOOKED_AT, STATES, UNREADABLE, problem
from pet_flows.store.patience import ServerAwayError, patient
from pet_flows.store.results import ResultStore
from pet_flows.store.runs import pieces
from pet_flows.store.writes import blob_ids

logger = logging.getLogger(__name__)

#: younger blobs may be of records that are about to be written
YOUNGEST = timedelta(hours=1)


@dataclass
class Checked:
    """What was found."""

    versions: Counter[int | float] = field(default_factory=Counter)
    """schema version → records"""
    damaged: dict[str, str] = field(default_factory=dict)
    """key of a record → what is wrong with it"""
    gone: dict[str, list[str]] = field(default_factory=dict)
    """collection and key of a document → names of arrays that are not there, or not whole"""
    orphans: list[str] = field(default_factory=list)
    """ids of blobs that no document names"""
    chunks: list[Any] = field(default_factory=list)
    """ids of files of GridFS that have chunks only"""
    broken: list[Any] = field(default_factory=list)
    """ids of files of GridFS that lack some of theirs"""

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
            found.versions[version if isinstance(version, int | float) else 0] += 1
        blobs = document.get("blobs")
        if not isinstance(blobs, Mapping):
            continue
        ids = blob_ids(document)
        named |= ids
        missing = [n for n, b in blobs.items() if isinstance(b, str) and b in broken]
        absent = {blob for blob in ids if blob not in there}
        if absent:  # or written since
            absent -= results.blobs.there(absent)
            missing += [name for name, blob in blobs.items() if blob in absent]
        if missing:
            found.gone[f"{collection} {key}"] = missing
    for head in results.runs.collection.find():
        named |= pieces(head)
    found.orphans = [blob for blob, free in there.items() if free and blob not in named]
    found.chunks, found.broken = loose, list(broken.values())
    return found


@patient
def clean(results: ResultStore, found: Checked) -> None:
    """Remove blobs that no document names or that are not whole, and copies of finished runs.

    A damaged record is left without its state, by which whoever submits or screens sees that it is
    to be computed again. Others may write meanwhile: what they have written since is left alone.
    """
    runs = [head["_id"] for head in results.runs.collection.find({}, {"_id": 1})]
    results.runs.remove_finished(set(runs) - _leased(results))
    results.blobs.remove_unnamed(found.orphans, _long_ago())
    data = results.blobs.data
    if isinstance(data, GridFSStore):
        for file in found.broken:
            data._collection.delete(file)
        if found.chunks:
            data._chunks_collection.delete_many({"files_id": {"$in": found.chunks}})
    else:
        results.blobs.remove(found.broken)
    for key in found.damaged:
        record = results.get(key)
        if record is not None and record.get("state") in STATES and problem(record) is not None:
            same = {name: {"$eq": record.get(name)} for name in ("_id", "state", "last_updated")}
            results.records.update_one(same, {"$unset": {"state": ""}})


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
        same = {"_id": key, "blobs": {"$eq": blobs}}
        if results.records.update_one(same, change).matched_count:
            results.blobs.remove(blob_ids(record) - blob_ids({"blobs": new}))
            count += 1
    return count


def _documents(results: ResultStore) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents that may name blobs, of records all that is needed to judge them."""
    for document in results.records.find({}, list(LOOKED_AT)):
        yield "records", document
    for name, collection in (
        ("references", results.references.collection),
        ("structures", results.structures.collection),
    ):
        for document in collection.find({}, ["blobs"]):
            yield name, document


def _blobs(results: ResultStore) -> tuple[dict[str, bool], dict[str, Any], list[Any]]:
    """Blobs of ours: id → whether it may be nobody's; what is not whole; loose chunks.

    What is young, or of a record that somebody computes now, may be named in a moment.
    """
    data = results.blobs.data
    before = _long_ago()
    leased = _leased(results)
    if not isinstance(data, GridFSStore):
        ours = data.query(
            {"record": {"$exists": True}}, ["blob_uuid", "record", data.last_updated_field]
        )
        there = {}
        for document in ours:
            at = document.get(data.last_updated_field) or _made(document.get("_id"))
            free = at < before and document["record"] not in leased
            there[document["blob_uuid"]] = free
        whole = buckets.objects(data) if buckets.is_bucket(data) else set(there)
        return there, {blob: blob for blob in there if blob not in whole}, []
    sizes: Counter[Any] = Counter(
        chunk["files_id"] for chunk in data._chunks_collection.find({}, {"files_id": 1})
    )
    there, broken, files = {}, {}, set()
    for file in data._files_collection.find({}):
        files.add(file["_id"])
        about = file.get("metadata") or {}
        # jobflow's own are named by their job
        if "blob_uuid" not in about or "job_uuid" in about:
            continue
        blob, n_chunks = about["blob_uuid"], -(-file["length"] // file["chunkSize"])
        there[blob] = file["uploadDate"] < before and about.get("record") not in leased
        its = {"files_id": file["_id"]}  # some may have come since
        if sizes[file["_id"]] < n_chunks > data._chunks_collection.count_documents(its):
            broken[blob] = file["_id"]
    # of a file that is being written, the chunks come first
    return there, broken, [n for n in sizes if n not in files and _made(n) < before]


def _leased(results: ResultStore) -> set[str]:
    """Keys of records that somebody computes now."""
    return {lease["_id"] for lease in results.leases.collection.find({}, {"_id": 1})}


def _long_ago() -> datetime:
    """What is older than this is not being written."""
    return datetime.now(UTC).replace(tzinfo=None) - YOUNGEST


def _made(id_: Any) -> datetime:
    """When a document was made that MongoDB has given its id."""
    made = id_.generation_time if isinstance(id_, ObjectId) else datetime.min
    return made.replace(tzinfo=None)
