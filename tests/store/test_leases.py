"""What a living process computes is computed by no other; what a dead one had is taken over."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pymongo
import pytest

from pet_flows.store import leases
from pet_flows.store.leases import Leases, TakenOver


@pytest.fixture
def collection(mongodb_uri: str, mongodb_database: str, monkeypatch) -> Iterator:
    monkeypatch.setattr(leases, "BEAT", 0.1)
    monkeypatch.setattr(leases, "DEAD", 0.8)
    monkeypatch.setattr(leases, "_PAUSE", 0.05)
    with pymongo.MongoClient(mongodb_uri) as client:
        yield client[mongodb_database]["pet_leases"]


def nothing() -> None:
    pass


def test_each_gets_what_nobody_else_has_and_gives_it_back(collection):
    one, other = Leases(collection), Leases(collection)
    with one.held(["a", "b"]) as mine, other.held(["b", "c"]) as theirs:
        assert (mine.keys, theirs.keys) == ({"a", "b"}, {"c"})
    assert collection.count_documents({}) == 0
    with other.held(["a", "b", "c"]) as theirs:
        assert theirs.keys == {"a", "b", "c"}


def test_who_waits_does_so_as_long_as_the_holder_lives(collection):
    one, other = Leases(collection), Leases(collection)
    waited = []

    def wait() -> None:
        start = time.monotonic()
        other.wait(["a", "b"], nothing)
        waited.append(time.monotonic() - start)

    thread = threading.Thread(target=wait)
    with one.held(["a", "b"]):
        thread.start()
        time.sleep(2.0)  # more than twice as long as the dead are waited for
        assert not waited
    thread.join()
    assert 1.8 < waited[0] < 4


def test_what_the_dead_had_is_taken_over_by_one(collection):
    dead = [{"_id": key, "owner": "dead"} for key in "abc"]  # c was stored already
    collection.insert_many([*dead, {"_id": "dead", "owner": "dead", "beat": 7}])
    two = [Leases(collection), Leases(collection)]
    for one in two:
        with one.held(["a", "b"]) as held:
            assert not held.keys  # it may be alive, for all that is known
    for one in two:
        one.wait(["a", "b"], nothing)
    with two[0].held(["a", "b"]) as first, two[1].held(["a", "b"]) as second:
        assert (first.keys, second.keys) == ({"a", "b"}, set())
    assert collection.count_documents({}) == 0


def test_who_comes_back_from_the_dead_leaves_it_to_the_other(collection):
    one, other = Leases(collection), Leases(collection)
    with one.held(["a"]) as mine:
        time.sleep(0.3)
        mine.refuse_taken_over()
        collection.delete_many({"beat": {"$exists": True}})  # as who takes it over does
        collection.update_one({"_id": "a"}, {"$set": {"owner": "other"}})
        time.sleep(0.3)
        with pytest.raises(TakenOver, match="another one computes its structures now"):
            mine.refuse_taken_over()
    with other.held(["a"]) as theirs:
        assert not theirs.keys  # what is another's by now is not given back


def test_who_freezes_at_once_finds_out_that_it_was_taken_over(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 1.0)  # nothing was said since it took them
    one, other = Leases(collection), Leases(collection)
    with one.held(["a"]) as frozen:
        before = {**collection.find_one({"beat": 0})}
        other._seen[before["owner"]] = (0, time.monotonic() - leases.DEAD)
        with other.held(["a"]) as theirs:
            assert theirs.keys == {"a"}
        time.sleep(1.3)
        with pytest.raises(TakenOver):
            frozen.refuse_taken_over()


def test_what_waits_can_be_told_to_stop(collection):
    collection.insert_one({"_id": "a", "owner": "somebody"})

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Leases(collection).wait(["a"], stop)
