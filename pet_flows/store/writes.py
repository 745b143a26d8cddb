"""Writes of many documents at once, the same on MongoDB and on the embedded store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import bson
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from pet_flows.errors import PetFlowsError
from pet_flows.records.build import MAX_DOCUMENT
from pet_flows.records.schema import SOURCE_IDENTITY
from pet_flows.store.sqlite_collection import SqliteCollection

#: MongoDB's code of a key that is there
_DUPLICATE = 11000


def refuse_large(document: Mapping[str, Any], what: str) -> None:
    """Refuse documents above 1 MB.

    Raises
    ------
    PetFlowsError
        It is too large, or holds what BSON does not know.
    """
    try:
        size = len(bson.encode(document))
    except (bson.errors.InvalidDocument, OverflowError) as error:
        raise PetFlowsError(
            f"{what} must hold what MongoDB can store: text, numbers, lists, names with values "
            f"({error})."
        ) from None
    if size > MAX_DOCUMENT:
        raise PetFlowsError(
            f"{what} has {size / 1e6:.1f} MB, more than the 1 MB of a document; put its arrays "
            "into blobs."
        )


def at_once(collection: Any) -> AbstractContextManager[Any]:
    """Make several writes one transaction where that is faster: one flush of the disk, not many."""
    if isinstance(collection, SqliteCollection):
        return collection.file.writing()
    return nullcontext()


def insert_missing(collection: Any, documents: Iterable[Mapping[str, Any]]) -> None:
    """Insert the documents whose ``_id`` is not there yet, also when another process does so."""
    wanted = {document["_id"]: document for document in documents}
    known = {
        document["_id"]
        for chunk in chunks(list(wanted))
        for document in collection.find({"_id": {"$in": chunk}}, {"_id": 1})
    }
    insert_new(collection, [document for key, document in wanted.items() if key not in known])


def insert_new(collection: Any, documents: Iterable[Mapping[str, Any]]) -> set[Any]:
    """Insert documents; gives each ``_id`` that was there by then, whose document stayed out."""
    there: set[Any] = set()
    new = list(documents)
    if not isinstance(collection, SqliteCollection):
        for chunk in chunks(new):
            try:
                collection.insert_many(chunk, ordered=False)
            except BulkWriteError as error:
                failed = error.details["writeErrors"]
                if any(one["code"] != _DUPLICATE for one in failed):
                    raise
                there.update(chunk[one["index"]]["_id"] for one in failed)
        return there
    with at_once(collection):
        for document in new:
            try:
                collection.insert_one(document)
            except DuplicateKeyError:
                there.add(document["_id"])
    return there


def replace_all(collection: Any, documents: Iterable[Mapping[str, Any]]) -> None:
    """Insert documents, or replace those with the same ``_id``."""
    with at_once(collection):
        for document in documents:
            collection.replace_one({"_id": document["_id"]}, document, upsert=True)


def update_all(
    collection: Any, updates: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> None:
    """Update one document by each pair of criteria and operators, in their order."""
    if not isinstance(collection, SqliteCollection):
        if operations := [UpdateOne(which, change) for which, change in updates]:
            collection.bulk_write(operations)
        return
    with at_once(collection):
        for which, change in updates:
            collection.update_one(which, change)


def chunks[T](items: list[T], size: int = 1000) -> Iterable[list[T]]:
    """Parts of a list that are small enough for one query."""
    return (items[start : start + size] for start in range(0, len(items), size))


def blob_ids(record: Mapping[str, Any] | None) -> set[str]:
    """Ids of the blobs in the store ``data`` that a document names, if it is there."""
    named = (record or {}).get("blobs")
    if not isinstance(named, Mapping):  # of a damaged one
        return set()
    return {blob for blob in named.values() if isinstance(blob, str)}


def distinct_sources(sources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop repeated sources; which job asked makes no difference."""
    seen: dict[str, dict[str, Any]] = {}
    for source in sources:
        seen.setdefault(repr([source[name] for name in SOURCE_IDENTITY]), source)
    return list(seen.values())
