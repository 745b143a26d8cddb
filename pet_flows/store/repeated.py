"""Which failed records are computed again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pet_flows.store.writes import at_once


def is_to_be_repeated(head: Mapping[str, Any], retry_failed: bool, most: int) -> bool:
    """Whether a record that is whole and has these fields is computed again: it failed.

    Parameters
    ----------
    head
        ``state``, ``retryable``, ``attempts``.
    retry_failed
        Whether every failed one is.
    most
        Attempts, where it is not.
    """
    worth_it = retry_failed or (head.get("retryable") and head.get("attempts", 1) < most)
    return bool(head["state"] == "failed" and worth_it)


def allow_again(records: Any, criteria: Mapping[str, Any]) -> int:
    """Let failed records that match be computed again, whatever their reason; says how many."""
    failed = {**criteria, "state": "failed"}
    keys = [record["_id"] for record in records.find(failed, {"_id": 1})]
    with at_once(records):
        for key in keys:
            again = {"$set": {"retryable": True, "attempts": 1}}
            records.update_one({"_id": key, "state": "failed"}, again)
    return len(keys)
