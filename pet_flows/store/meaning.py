"""What MongoDB means by criteria, updates and orders, of one document at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import bson
from bson import ObjectId
from bson.errors import InvalidDocument
from mongomock_ng.filtering import BsonComparable, filter_applies, iter_key_candidates
from pymongo.errors import OperationFailure

from pet_flows.errors import PetFlowsError
from pet_flows.store.access import is_refusal, refused

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


def refuse_impossible(
    criteria: Mapping[str, Any] | None,
    projection: Mapping[str, Any] | Sequence[str] | None = None,
    sort: Mapping[str, int] | None = None,
    limit: int = 0,
) -> None:
    """Refuse what no database can be asked, in the same sentence for every one.

    Raises
    ------
    OperationFailure
        An argument of ``find`` is of the wrong type, or holds what BSON cannot.
    """
    for name, value in (("query", criteria), ("sort", sort)):
        if value is not None and not isinstance(value, Mapping):
            raise OperationFailure(f"the {name} must be a mapping, not {value!r:.40}")
    if projection is not None and not isinstance(projection, Mapping):
        if isinstance(projection, str) or not isinstance(projection, Sequence):
            raise OperationFailure(
                f"the fields must be a list or a mapping, not {projection!r:.40}"
            )
        projection = {"fields": list(projection)}
        if not all(isinstance(name, str) for name in projection["fields"]):
            raise OperationFailure("the name of a field must be text")
    for name, direction in (sort or {}).items():
        if type(direction) is not int or direction not in (1, -1):
            raise OperationFailure(
                f"the sort of {name} must be 1 (up) or -1 (down), not {direction!r:.40}"
            )
    if type(limit) is not int or not 0 <= limit < 2**31:
        raise OperationFailure(f"the limit must be 0 or a number of records, not {limit!r:.40}")
    try:
        bson.encode({"query": criteria, "fields": projection, "sort": sort})
    except (InvalidDocument, OverflowError, ValueError) as error:
        said = str(error).removeprefix("Invalid document: ")
        raise OperationFailure(said[0].lower() + said[1:]) from None


@contextmanager
def refusals_said() -> Iterator[None]:
    """Make a database's refusal of a query the user's mistake."""
    try:
        yield
    except (OperationFailure, NotImplementedError, re.error) as error:
        if isinstance(error, OperationFailure) and is_refusal(error):
            raise refused(error, "jobflow.yaml") from None
        said = str(error).partition(", full error:")[0].rstrip(".")
        raise PetFlowsError(f"The query must be one that MongoDB understands ({said}).") from None


def applies(criteria: Document, document: Document) -> bool:
    """Whether a document matches, as mongomock sees it.

    Raises
    ------
    OperationFailure
        An operator has another operand than it takes, of which mongomock says so in many ways.
    """
    try:
        return bool(filter_applies(criteria, document))
    except (AssertionError, AttributeError, TypeError, ValueError) as error:
        raise OperationFailure(str(error)) from None


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
    there = [
        value
        for candidate in iter_key_candidates(path, document)
        for value in (candidate if isinstance(candidate, list) and candidate else [candidate])
    ]
    known = sorted(BsonComparable(v) for v in there if isinstance(v, _SORTABLE) and v != [])
    if not known:
        return BsonComparable(None)
    return known[0] if direction > 0 else known[-1]
