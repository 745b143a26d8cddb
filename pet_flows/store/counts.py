"""How many records a campaign has, asked in as few looks at them as a database allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pet_flows.store.damage import STATES
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite_collection import SqliteCollection


def by_state(
    results: ResultStore, campaign: str, names: Sequence[str] | None = None
) -> dict[str, Counter[str]]:
    """Count a campaign's records by property and state.

    Parameters
    ----------
    results
        Where they are.
    campaign
        Its name.
    names
        Of properties; those that have records without it.
    """
    ours = {"sources.campaign": campaign}
    if isinstance(results.records, SqliteCollection):  # its index counts, and it has no $group
        known = results.records.distinct("property", ours) if names is None else names
        return {
            name: Counter(
                {s: results.count({**ours, "property": name, "state": s}) for s in STATES}
            )
            for name in known
        }  # fmt: skip
    found: dict[str, Counter[str]] = {name: Counter() for name in names or ()}
    for name, state, count in _grouped(results, ours, "property", "state"):
        # a damaged record may have anything there
        if state in STATES and isinstance(name, str) and (names is None or name in found):
            found.setdefault(name, Counter())[state] = count
    return found


def reasons(results: ResultStore, campaign: str) -> Counter[str]:
    """Count records that failed or did not converge by ``property reason``."""
    bad = {"sources.campaign": campaign, "state": {"$in": ["failed", "unconverged"]}}
    if isinstance(results.records, SqliteCollection):
        found = results.query(bad, ["property", "reason"])
        return Counter(f"{record.get('property')} {record.get('reason')}" for record in found)
    grouped = _grouped(results, bad, "property", "reason")
    return Counter({f"{name} {reason}": count for name, reason, count in grouped})


def since(results: ResultStore, campaign: str, begin: datetime) -> tuple[int, datetime | None]:
    """How many records were last written since a time (UTC), and when the first of them was."""
    recent = {"sources.campaign": campaign, "last_updated": {"$gte": begin}}
    if isinstance(results.records, SqliteCollection):
        first = next(results.query(recent, ["last_updated"], {"last_updated": 1}, 1), None)
        return (0, None) if first is None else (results.count(recent), first["last_updated"])
    whole = {"_id": None, "n": {"$sum": 1}, "first": {"$min": "$last_updated"}}
    found = next(results.records.aggregate([{"$match": recent}, {"$group": whole}]), None)
    return (0, None) if found is None else (found["n"], found["first"])


def _grouped(
    results: ResultStore, criteria: Mapping[str, Any], first: str, second: str
) -> Iterator[tuple[Any, Any, int]]:
    """Values of two fields, and how many of the records that match have them."""
    group = {"_id": {"first": f"${first}", "second": f"${second}"}, "n": {"$sum": 1}}
    for found in results.records.aggregate([{"$match": dict(criteria)}, {"$group": group}]):
        yield found["_id"].get("first"), found["_id"].get("second"), found["n"]
