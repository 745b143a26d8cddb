"""What MongoDB means by criteria, updates and orders, of one document at a time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from mongomock_ng.filtering import BsonComparable, iter_key_candidates
from pymongo.errors import OperationFailure

Document = dict[str, Any]
_SORTABLE = (str, int, float, bool, datetime, ObjectId, dict, bytes)


def checked(criteria: Mapping[str, Any] | None) -> Document:
    """Give criteria with dates as BSON holds them.

    Raises
    ------
    OperationFailure
        ``$where`` is code; nothing here runs code out of a query.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, datetime):
            utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
        if isinstance(value, Mapping):
            if "$where" in value:
                raise OperationFailure("$where is not supported: write the condition as a query")
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return plain(criteria or {})


def updated(
    old: Document | None, criteria: Document, update: Mapping[str, Any], upsert: bool
) -> Document:
    """Let mongomock apply update operators to one document, or make it where there is none."""
    from mongomock_ng import MongoClient

    scratch: Any = MongoClient().scratch.scratch
    if old is not None:
        scratch.insert_one(old)
        criteria = {"_id": old["_id"]}
    scratch.update_one(criteria, checked(update), upsert=upsert)
    new = scratch.find_one()
    return {"_id": new.pop("_id"), **new}


def sort_key(document: Document, path: str, direction: int) -> BsonComparable:
    """Give what MongoDB sorts by: of a list its least element going up, its greatest going down."""
    reached = [
        value
        for candidate in iter_key_candidates(path, document)
        for value in (candidate if isinstance(candidate, list) and candidate else [candidate])
    ]
    known = sorted(BsonComparable(v) for v in reached if isinstance(v, _SORTABLE) and v != [])
    if not known:
        return BsonComparable(None)
    return known[0] if direction > 0 else known[-1]
