"""MongoDB's projections of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pymongo.errors import OperationFailure


def project(
    document: dict[str, Any], projection: Mapping[str, Any] | Sequence[str]
) -> dict[str, Any]:
    """Give the wanted fields of a document; ``_id`` is wanted unless it is excluded.

    Parameters
    ----------
    document
        Left as it is.
    projection
        Names of fields, or field → whether it is wanted; dots go into documents, and into the
        documents of lists.

    Raises
    ------
    OperationFailure
        Some fields are wanted and others excluded.
    """
    wanted = (
        dict(projection) if isinstance(projection, Mapping) else dict.fromkeys(projection, True)
    )
    if any(isinstance(value, Mapping | str) for value in wanted.values()):
        return _by_mongomock(document, wanted)
    with_id = wanted.pop("_id", None)
    including = [path for path, value in wanted.items() if value]
    if including and len(including) < len(wanted):
        raise OperationFailure("a projection either names what is wanted or what is not")
    if not wanted:
        if with_id:
            return {"_id": document["_id"]}
        return {key: value for key, value in document.items() if key != "_id"}
    tree = _tree(tuple(wanted))
    kept = _keep(document, tree) if including else _leave_out(document, tree)
    kept.pop("_id", None)
    if "_id" not in document or (with_id is not None and not with_id):
        return kept
    return {"_id": document["_id"], **kept}


@lru_cache(maxsize=64)  # one query asks the same of all of its documents
def _tree(paths: tuple[str, ...]) -> dict[str, Any]:
    """Dotted paths as nested dicts; an empty dict is a whole field."""
    tree: dict[str, Any] = {}
    whole = [path for path in paths if not any(path.startswith(f"{other}.") for other in paths)]
    for path in whole:
        branch = tree
        for part in path.split("."):
            branch = branch.setdefault(part, {})
    return tree


def _keep(value: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if key not in tree:
            continue
        if not tree[key]:
            kept[key] = item
        elif isinstance(item, Mapping):
            kept[key] = _keep(item, tree[key])
        elif isinstance(item, list):
            kept[key] = [_keep(entry, tree[key]) for entry in item if isinstance(entry, Mapping)]
    return kept


def _leave_out(value: Mapping[str, Any], tree: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        branch = tree.get(key)
        if branch is None:
            kept[key] = item
        elif branch and isinstance(item, Mapping):
            kept[key] = _leave_out(item, branch)
        elif branch and isinstance(item, list):
            kept[key] = [_leave_out(e, branch) if isinstance(e, Mapping) else e for e in item]
        elif branch:
            kept[key] = item
    return kept


def _by_mongomock(document: dict[str, Any], projection: dict[str, Any]) -> dict[str, Any]:
    """Let mongomock evaluate ``$slice`` and ``$elemMatch``."""
    from mongomock_ng import MongoClient

    scratch: Any = MongoClient().scratch.scratch
    scratch.insert_one(document)
    found: dict[str, Any] = scratch.find_one({}, projection)
    return found
