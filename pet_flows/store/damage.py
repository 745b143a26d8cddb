"""What makes a record useless: such a one counts as missing, and is computed again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import FIRST
from pet_flows.store.blobs import BlobStore, decode
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.writes import blob_ids, chunks

logger = logging.getLogger(__name__)

#: what decoding a blob raises that is not one
UNREADABLE = (KeyError, TypeError, ValueError)
STATES = ("ok", "unconverged", "failed")
#: fields without which a record is of no use, and what they are: shells write whole numbers as 1.0
NEEDED: dict[str, type | UnionType] = {
    "schema_version": int | float,
    "property": str,
    "sources": list,
    "potential": dict,
    "settings": dict,
    "blobs": dict,
    "result": dict,
    "attempts": int | float,
    "elements": list,
}
_TYPES: dict[object, str] = {int | float: "number", str: "string", list: "array", dict: "object"}
#: what `problem` looks at, of a structure only that it is there
LOOKED_AT = ("state", "structure.@class", *NEEDED)
#: what a record of MongoDB matches that has no `_problem_of_fields`
WHOLE: dict[str, Any] = {
    "state": {"$in": list(STATES)},
    **{name: {"$type": _TYPES[kind]} for name, kind in NEEDED.items()},
    "potential.digest": {"$type": "string", "$ne": ""},
    "$nor": [
        # which matches by what it contains
        *(
            {name: {"$type": "array"}}
            for name, kind in {"state": str, "potential.digest": str, **NEEDED}.items()
            if kind is not list
        ),
        {"state": "ok", "result": {}},
        {
            "property": FIRST,
            "state": "ok",
            "structure.@class": {"$exists": False},
            "blobs.structure": {"$exists": False},
        },
    ],
}
#: ids of the large blobs of a document of MongoDB: what is text among the values of ``blobs``,
#: which in BSON's order is from the empty text up to the empty document
_LARGE = {
    "$map": {
        "input": {
            "$filter": {
                "input": {"$objectToArray": "$blobs"},
                "as": "blob",
                "cond": {"$and": [{"$gte": ["$$blob.v", ""]}, {"$lt": ["$$blob.v", {}]}]},
            }
        },
        "as": "blob",
        "in": "$$blob.v",
    }
}
#: records without any of their arrays, after which it is the store that is looked for, not they
MOST_GONE = 20


def problem(record: Mapping[str, Any]) -> str | None:
    """What makes a record useless, if anything in it does.

    Parameters
    ----------
    record
        At least what is `LOOKED_AT`.
    """
    if (said := _problem_of_fields(record)) is not None:
        return said
    for name, blob in record["blobs"].items():
        try:
            if not isinstance(blob, str):
                decode(blob)
        except UNREADABLE as error:
            return f"its blob {name!r} cannot be read ({type(error).__name__}: {error})"
    return None


def _problem_of_fields(record: Mapping[str, Any]) -> str | None:
    """What makes a record useless that can be seen without decoding its blobs."""
    if record.get("state") not in STATES:
        return f"its state is {record.get('state')!r}"
    for name, kind in NEEDED.items():
        value = record.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            return f"its {name} is {value!r:.40}"
    digest = record["potential"].get("digest")
    if not digest or not isinstance(digest, str):
        return "its potential has no digest"
    if record["state"] == "ok" and not record["result"]:
        return "its result is empty"
    # what starts from it would start from the structure before the relaxation
    if record["property"] == FIRST and record["state"] == "ok":
        structure = record.get("structure")
        inside = isinstance(structure, Mapping) and "@class" in structure
        if not inside and "structure" not in record["blobs"]:
            return "it has no relaxed structure"
    return None


def problem_in(record: Mapping[str, Any], blobs: BlobStore) -> str | None:
    """What makes a record useless, if anything in it does, or if arrays of it are gone."""
    if (said := problem(record)) is not None:
        return said
    named = blob_ids(record)
    return _gone(named - blobs.there(named))


def usable(
    records: Any, blobs: BlobStore, keys: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Fields of those of the records that are whole, by key; a line in the log about the others.

    The database tells what is whole by the types of fields, and names large arrays, which have to
    be there. Whether small ones can be decoded is for `pet_flows.store.check` alone.

    Parameters
    ----------
    records, blobs
        Where records and their arrays are.
    keys
        Of records, of which some may not be there.
    fields
        That are wanted.

    Raises
    ------
    PetFlowsError
        Of many records no array is there: it is the wrong store ``data``, or all of it is gone.
    """
    found: dict[str, dict[str, Any]] = {}
    damaged: dict[str, str] = {}
    n_large = n_gone = 0
    for chunk in chunks(list(dict.fromkeys(keys))):
        whole = {head["_id"]: head for head in _whole(records, chunk, fields)}
        named = {key: set(head.pop("large")) for key, head in whole.items()}
        there = blobs.there(set().union(*named.values()))
        gone = {key: said for key, ids in named.items() if (said := _gone(ids - there))}
        n_large += sum(map(bool, named.values()))
        n_gone += len(gone)
        rest = [key for key in chunk if key not in whole]
        useless = {
            record["_id"]: problem(record) for record in records.find({"_id": {"$in": rest}})
        }
        # one that was replaced by a whole one meanwhile has no problem
        damaged |= {key: said for key, said in (useless | gone).items() if said}
        found |= {key: head for key, head in whole.items() if key not in gone}
    if n_gone == n_large >= MOST_GONE:
        raise PetFlowsError(
            f"The arrays of all {n_large} records that have large ones are gone from the "
            "additional store 'data': use the jobflow.yaml with which they were written, or "
            "restore that store. If they are gone for good, remove these records."
        )
    if damaged:
        some = "; ".join(f"{key}: {said}" for key, said in list(damaged.items())[:3])
        more = f"; and {len(damaged) - 3} more" if len(damaged) > 3 else ""
        logger.warning("Damaged records are computed again: %s%s", some, more)
    return found


def _gone(ids: set[str]) -> str | None:
    """What is said of a record that names blobs which are not there."""
    return f"its blob {min(ids)} is not in the store 'data'" if ids else None


def _whole(records: Any, keys: list[str], fields: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Fields of whole records, with the ids of their large blobs as ``large``."""
    if isinstance(records, SqliteCollection):
        for record in records.find({"_id": {"$in": keys}}):
            if _problem_of_fields(record) is None:
                head = {name: record[name] for name in ("_id", *fields) if name in record}
                yield {**head, "large": sorted(blob_ids(record))}
        return
    wanted = {**dict.fromkeys(fields, 1), "large": _LARGE}
    matching = {"_id": {"$in": keys}, **WHOLE}
    yield from records.aggregate([{"$match": matching}, {"$project": wanted}])
