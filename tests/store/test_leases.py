"""What a living process computes is computed by no other; what a dead one had is taken over."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pymongo
import pytest

from pet_flows.store import clock, leases
from pet_flows.store.leases import Leases, TakenOver
from pet_flows.store.process import name_of_process


@pytest.fixture
def collection(mongodb_uri: str, mongodb_database: str, monkeypatch) -> Iterator:
    monkeypatch.setattr(leases, "BEAT", 0.1)
    monkeypatch.setattr(leases, "DEAD", 0.8)
    monkeypatch.setattr(leases, "_PAUSE", 0.05)
    monkeypatch.setattr(clock, "CONFIRMED", 0.1)
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
    assert 1.8 < waited[0] < 30


def test_what_the_dead_had_is_taken_over_by_one(collection):
    dead = [{"_id": key, "owner": "dead"} for key in "abc"]  # c was stored already
    collection.insert_many([*dead, {"_id": "dead", "owner": "dead"}])
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
        collection.delete_many({"at": {"$exists": True}})  # as who takes it over does
        collection.update_one({"_id": "a"}, {"$set": {"owner": "other"}})
        collection.insert_one({"_id": "other", "owner": "other"})
        time.sleep(0.3)
        with pytest.raises(TakenOver, match="another one computes its structures now"):
            mine.refuse_taken_over()
    with other.held(["a"]) as theirs:
        assert not theirs.keys  # what is another's by now is not given back


def test_who_freezes_at_once_finds_out_that_it_was_taken_over(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 1.0)  # nothing was said since it took them
    one, other = Leases(collection), Leases(collection)
    with one.held(["a"]) as frozen:
        collection.update_one({"at": {"$exists": True}}, {"$set": {"at": clock.DECLARED}})
        with other.held(["a"]) as theirs:
            assert theirs.keys == {"a"}
        time.sleep(1.3)
        with pytest.raises(TakenOver):
            frozen.refuse_taken_over()


def test_who_stood_still_asks_before_it_writes(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 60.0)  # it has not come to its next sign yet
    one, other = Leases(collection), Leases(collection)
    with one.held(["a"]) as frozen:
        frozen.refuse_taken_over()
        time.sleep(leases.DEAD + 0.1)
        other.wait(["a"], nothing)
        with other.held(["a"]) as theirs:
            assert theirs.keys == {"a"}
            with pytest.raises(TakenOver):
                frozen.refuse_taken_over()


def test_who_was_away_and_is_not_missed_goes_on(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 60.0)
    with Leases(collection).held(["a"]) as held:
        time.sleep(leases.DEAD + 0.1)
        held.refuse_taken_over()
        with Leases(collection).held(["a"]) as theirs:
            assert not theirs.keys  # there is a sign since


def test_what_waits_can_be_told_to_stop(collection):
    collection.insert_many([{"_id": "a", "owner": "x"}, {"_id": "x", "owner": "x"}])

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Leases(collection).wait(["a"], stop)


def test_whoever_looks_gives_back_what_the_dead_had(collection):
    """Killed after its last record was stored: nobody asks for these structures again."""
    dead = [{"_id": key, "owner": "dead"} for key in "ab"]
    collection.insert_many([*dead, {"_id": "c", "owner": "half"}])  # half given back already
    collection.update_one({"_id": "dead"}, {"$set": {"owner": "dead"}, **clock.now_in("at")}, True)
    looker = Leases(collection)
    with Leases(collection).held(["living"]):
        assert looker.free_dead() == 1
        assert looker.undecided == 2
        time.sleep(leases.DEAD + 0.1)
        assert (looker.free_dead(), looker.suspected) == (0, 1)
        time.sleep(0.4)
        assert looker.free_dead() == 2
        assert looker.undecided == 0
        assert {lease["_id"] for lease in collection.find()} > {"living"}
        assert collection.count_documents({}) == 2
        collection.insert_one({"_id": "d", "owner": "dead"})  # it did not know that it was
        with looker.held(["d"]) as mine:
            assert mine.keys == {"d"}


def test_a_process_of_an_earlier_version_lives_as_long_as_it_counts(collection, monkeypatch):
    monkeypatch.setattr(leases, "DEAD", 0.1)
    collection.insert_many(
        [{"_id": "old", "owner": "old", "beat": 0}, {"_id": "a", "owner": "old"}]
    )
    for _ in range(3):
        new = Leases(collection)
        for _ in range(2):
            collection.update_one({"_id": "old"}, {"$inc": {"beat": 1}})
            assert new.free_dead() == 0
            time.sleep(0.2)
    collection.update_one({"_id": "old"}, {"$inc": {"beat": 1}})
    while not new.free_dead():
        time.sleep(0.05)
    assert collection.count_documents({}) == 0


def test_a_clock_of_the_server_that_is_set_forward_kills_nobody(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.6)
    monkeypatch.setattr(leases, "DEAD", 2.4)
    one, other = Leases(collection), Leases(collection)
    with one.held(["a"]):
        sign = collection.find_one({"at": {"$exists": True}})
        set_forward = {"$set": {"at": sign["at"] - datetime.timedelta(seconds=30)}}
        collection.update_one({"_id": sign["_id"]}, set_forward)  # every sign is older by that
        until, suspected = time.monotonic() + 1.0, 0
        while time.monotonic() < until:
            assert other.free_dead() == 0
            suspected += other.suspected
            time.sleep(0.05)
        assert suspected > 1
        assert other.suspected == 0


def test_who_is_declared_dead_is_dead_at_once(collection, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 60.0)  # what is declared dead gives no sign
    with Leases(collection).held(["a"]):
        Leases(collection).declare_dead(f"{platform.node()}-{os.getpid()}-{'0' * 8}")  # elsewhere
        with Leases(collection).held(["a"]) as theirs:
            assert not theirs.keys
        Leases(collection).declare_dead(name_of_process())
        with Leases(collection).held(["a"]) as theirs:
            assert theirs.keys == {"a"}


SKEWED = """
import datetime, sys, time
import pymongo
away = float(sys.argv[3])
own = time.time
time.time = lambda: own() + away
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(seconds=away)
datetime.datetime = Shifted
from pet_flows.store import clock, leases
leases.BEAT, leases.DEAD, leases._PAUSE, clock.CONFIRMED = 0.1, 0.8, 0.05, 0.1
collection = pymongo.MongoClient(sys.argv[1])[sys.argv[2]]["pet_leases"]
one = leases.Leases(collection)
with one.held(["a"]) as held:
    print(sorted(held.keys), flush=True)
    if held.keys:
        sys.stdin.readline()
        held.refuse_taken_over()
print("stopped", flush=True)
"""


@pytest.mark.parametrize("hours", [-5, 5])
def test_clocks_that_are_wrong_by_hours_make_nobody_dead_or_alive(
    collection, mongodb_uri, mongodb_database, hours
):
    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-c", SKEWED, mongodb_uri, mongodb_database, str(3600 * hours)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    with start() as process:
        assert process.stdout.readline() == "['a']\n"
        time.sleep(1.5)
        with Leases(collection).held(["a"]) as theirs:
            assert not theirs.keys
        process.kill()
    time.sleep(1.0)
    looker = Leases(collection)
    looker.free_dead()
    time.sleep(0.4)
    assert looker.free_dead() == 1
    with Leases(collection).held(["a"]), start() as process:
        assert process.stdout.readline() == "[]\n"  # nor does it take the living for dead
        process.communicate()
