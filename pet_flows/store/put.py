"""Records are put where there are none or worse ones; several processes may do so at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pet_flows.records.schema import SOURCE_IDENTITY, Source
from pet_flows.store.blobs import Arrays, BlobStore
from pet_flows.store.writes import (
    at_once,
    blob_ids,
    chunks,
    distinct_sources,
    insert_new,
    refuse_large,
    update_all,
)

#: a record and its blobs by name
Computed = tuple[Mapping[str, Any], Mapping[str, Arrays]]
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
    old = {
        head["_id"]: head
        for keys in chunks(list(documents))
        for head in records.find({"_id": {"$in": keys}}, {"state": 1, "blobs": 1})
    }
    new = [
        {**document, "blobs": blobs.write(key, arrays)}
        for key, (document, arrays) in documents.items()
        if key not in old
    ]
    # another process may have been faster
    again = [*old, *insert_new(records, new)]
    with at_once(records):
        for key in again:
            _replace(records, blobs, documents[key], old.get(key))
        more = [(key, source) for key in again for source in documents[key][0]["sources"]]
        update_all(records, [_referred(*one) for one in more])


def add_sources(records: Any, given: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Let more campaigns or identifiers refer to records, by key."""
    whole = [(key, Source(**source).model_dump()) for key, source in given]
    update_all(records, [_referred(*one) for one in whole])


def _replace(
    records: Any,
    blobs: BlobStore,
    computed: tuple[dict[str, Any], Mapping[str, Arrays]],
    old: Mapping[str, Any] | None,
) -> None:
    """Replace a record that is there and worse, all but its sources."""
    record, arrays = computed
    key = record["_id"]
    old = old or _head(records, key)
    # a record without any of the known states is damaged, and replaced by whatever there is
    lasting = [s for s, rank in _RANK.items() if rank >= max(1, _RANK[record["state"]])]
    if old is not None and old.get("state") in lasting:
        return
    written = {**record, "blobs": blobs.write(key, arrays)}
    content = {k: v for k, v in written.items() if k not in ("_id", "sources", "attempts")}
    replaced = records.update_one(
        {"_id": key, "state": {"$nin": lasting}}, {"$set": content, "$inc": {"attempts": 1}}
    )
    if replaced.matched_count:
        blobs.remove(blob_ids(old) - blob_ids(written))
    else:  # by another process, with a result as good: its blobs stay, not ours
        blobs.remove(blob_ids(written) - blob_ids(_head(records, key)))


def _head(records: Any, key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = records.find_one({"_id": key}, {"state": 1, "blobs": 1})
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
