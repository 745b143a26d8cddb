"""What `status` counts, the same on the embedded store and on a server."""

from datetime import UTC, datetime, timedelta

from pet_flows.store import counts
from tests.store.examples import record


def test_records_are_counted_by_property_state_reason_and_time(results):
    for number, state in enumerate(["ok", "ok", "failed", "unconverged"]):
        results.put(*record(number, state))
    other, blobs = record(4, sources=[{"campaign": "second"}])
    results.put(other, blobs)
    damaged, blobs = record(5)
    results.put({**damaged, "property": ["static"], "state": "done"}, blobs)
    found = {"static": {"ok": 2, "failed": 1, "unconverged": 1}}
    assert {n: dict(+c) for n, c in counts.by_state(results, "first", ["static"]).items()} == found
    empty = counts.by_state(results, "first", ["relax", "static"])
    assert {name: count.total() for name, count in empty.items()} == {"relax": 0, "static": 4}
    assert {n: dict(+c) for n, c in counts.by_state(results, "first").items()} == found
    assert counts.reasons(results, "first") == {"static killed": 2}
    now = datetime.now(UTC).replace(tzinfo=None)
    n_recent, first = counts.since(results, "second", now - timedelta(minutes=1))
    assert (n_recent, first) == (1, results.get(other["_id"])["last_updated"])
    assert counts.since(results, "second", now + timedelta(minutes=1)) == (0, None)
