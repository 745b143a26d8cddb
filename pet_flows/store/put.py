"""Records are put where there are none or worse ones; several processes may do so at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from pet_flows.errors import PetFlowsError
from pet_flows.records.schema import SOURCE_IDENTITY, Source
from pet_flows.store.blobs import Arrays, BlobStore
from pet_flows.store.damage import problem_in
from pet_flows.store.writes import (
    at_once,
    blob_ids,
    chunks,
    distinct_sources,
    insert_new,
    refuse_large,
    update_all,
)

logger = logging.getLogger(__name__)

#: a record and its blobs by name
Computed = tuple[Mapping[str, Any], Mapping[str, Arrays]]
#: attempts to replace a record while others change it
_MOST_TRIES = 100
_RANK = {"failed": 0, "unconverged": 1, "ok": 2}


def put_records(records: Any, blobs: BlobStore, computed: Sequence[Computed]) -> None:
    """See `pet_flows.store.results.ResultStore.put_all`.

    Parameters
    ----------
    records
        Collection of pymongo, or of the embedded store.
    blobs
        Where large arrays go.
    computed
        Records, each once.
    """
    documents: dict[str, tuple[dict[str, Any], Mapping[str, Arrays]]] = {}
    for record, arrays in computed:
        refuse_large(record, f"Record {record['_id']}")
        sources = [Source(**source).model_dump() for source in record["sources"]]
        documents[record["_id"]] = ({**record, "sources": distinct_sources(sources)}, arrays)
    old = [
        head["_id"]
        for keys in chunks(list(documents))
        for head in records.find({"_id": {"$in": keys}}, {"_id": 1})
    ]
    new = [
        {**document, "blobs": blobs.write(key, arrays)}
        for key, (document, arrays) in documents.items()
        if key not in old
    ]
    # another process may have been faster
    again = [*old, *insert_new(records, new)]
    unnamed: set[str] = set()
    with at_once(records):
        for key in again:
            unnamed |= _replace(records, blobs, documents[key])
        more = [(key, source) for key in again for source in documents[key][0]["sources"]]
        update_all(records, [_referred(*one) for one in more])
    blobs.remove(unnamed)  # not before the records are written for good that name them no more


def add_sources(records: Any, given: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Let more campaigns or identifiers refer to records, by key."""
    whole = [(key, Source(**source).model_dump()) for key, source in given]
    update_all(records, [_referred(*one) for one in whole])


def _replace(
    records: Any, blobs: BlobStore, computed: tuple[dict[str, Any], Mapping[str, Arrays]]
) -> set[str]:
    """Replace a record that is there and worse, or damaged: all but its sources.

    Returns
    -------
    set of str
        Blobs that no record names afterwards.
    """
    record, arrays = computed
    key = record["_id"]
    lasting = [s for s, rank in _RANK.items() if rank >= max(1, _RANK[record["state"]])]
    written: dict[str, Any] | None = None
    for _ in range(_MOST_TRIES):
        old = records.find_one({"_id": key})
        said = None if old is None else problem_in(old, blobs)
        if old is not None and said is None and old["state"] in lasting:
            # where it was by another process, with a result as good: its blobs stay
            return blob_ids(written) - blob_ids(old)
        if written is None:
            written = {**record, "blobs": blobs.write(key, arrays)}
        if old is None:  # somebody removed it
            if not insert_new(records, [written]):
                return set()
            continue
        before = old.get("attempts")
        new = {
            **written,
            "sources": distinct_sources([*_sound_sources(old), *record["sources"]]),
            "attempts": 1 + (before if isinstance(before, int | float) and before > 0 else 0),
        }
        # whatever changes a record changes its time: nobody has meanwhile
        same = {"_id": key, **{name: {"$eq": old.get(name)} for name in ("state", "last_updated")}}
        if records.replace_one(same, new).matched_count:
            if said is not None:
                logger.warning("Record %s was damaged (%s), and is replaced", key, said)
            return blob_ids(old) - blob_ids(written)
    raise PetFlowsError(
        f"Record {key} is another one whenever it is to be replaced: remove it from the collection "
        "pet_records, then run the same again."
    )


def _sound_sources(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Sources of a record that may be damaged."""
    listed = record.get("sources")
    found = []
    for source in listed if isinstance(listed, list) else []:
        with suppress(ValidationError, TypeError):
            found.append(Source(**source).model_dump())
    return found


def _referred(key: str, source: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Which record, and what changes it, so that a source refers to it that does not yet."""
    # one atomic step: looking first and adding then would add twice under two writers
    same = {"$elemMatch": {name: source[name] for name in SOURCE_IDENTITY}}
    now = datetime.now(UTC).replace(tzinfo=None)
    return (
        {"_id": key, "sources": {"$not": same}},
        {"$push": {"sources": source}, "$set": {"last_updated": now}},
    )
