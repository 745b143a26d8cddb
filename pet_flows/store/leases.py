"""Which process computes a record now, so that no other does the same meanwhile."""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.store.patience import brief, patient
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.writes import chunks, insert_new

logger = logging.getLogger(__name__)

#: s between signs of life of a holder, without which it counts as dead after that many s
BEAT, DEAD = 5.0, 20.0
#: s between two looks at what others hold
_PAUSE = 1.0


class TakenOver(PetFlowsError):
    """Another process has taken over what this one computed: it counted as dead."""


class Held:
    """Records that this process computes and no other.

    Attributes
    ----------
    keys
        Of the records.
    """

    def __init__(self, keys: set[str]):
        self.keys = keys
        self._over = threading.Event()

    def refuse_taken_over(self) -> None:
        """Stop computing what another process computes by now.

        Raises
        ------
        TakenOver
            This process had given no sign of life for too long.
        """
        if self._over.is_set():
            raise TakenOver(
                f"This process gave no sign of life for {DEAD:.0f} s, and another one computes its "
                "structures now: leave them to that one."
            )


class Leases:
    """The collection ``pet_leases``: a document for each record that is being computed.

    Whoever holds some gives a sign every few seconds, and others see by their own clocks whether it
    still comes: clocks of machines differ. The embedded store has one writer, and needs none.

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    """

    def __init__(self, collection: Any):
        self.collection = collection
        self._seen: dict[str, tuple[Any, float]] = {}
        self._dead: set[str] = set()

    @contextmanager
    def held(self, keys: Sequence[str]) -> Iterator[Held]:
        """Hold those of the records that nobody else does, while inside."""
        if isinstance(self.collection, SqliteCollection) or not keys:
            yield Held(set(keys))
            return
        mine = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._appear(
            mine
        )  # first: one that was never seen alive could not find out that it is dead
        held = Held(self._take(keys, mine))
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(mine, held, ended), daemon=True)
        beat.start()
        try:
            yield held
        finally:
            ended.set()
            beat.join()
            with suppress(PyMongoError):  # it gives no sign of life any more, and is taken in time
                self.collection.delete_many({"owner": mine})

    def wait(self, keys: Sequence[str], tell: Callable[[], object]) -> None:
        """Wait until somebody has done with one of the records, or is dead.

        Parameters
        ----------
        keys
            Of records that others hold.
        tell
            Called again and again; what it raises ends the waiting.
        """
        logger.warning("%d structures are computed by another process: waiting", len(keys))
        while len(self._owners(keys)) == len(set(keys)):
            tell()
            time.sleep(_PAUSE)

    @patient
    def _appear(self, mine: str) -> None:
        self.collection.update_one({"_id": mine}, {"$set": {"owner": mine, "beat": 0}}, upsert=True)

    @patient
    def _take(self, keys: Sequence[str], mine: str) -> set[str]:
        wanted = dict.fromkeys(keys)
        there = insert_new(self.collection, [{"_id": key, "owner": mine} for key in wanted])
        if not there:
            return set(wanted)
        others = {key for key, owner in self._owners(list(there)).items() if owner != mine}
        gone = sorted(there - others)  # given back by now, taken by a first attempt, or of the dead
        for key in gone:
            self.collection.delete_one({"_id": key, "owner": {"$in": sorted(self._dead)}})
        again = insert_new(self.collection, [{"_id": key, "owner": mine} for key in gone])
        if again:
            own = self.collection.find({"_id": {"$in": sorted(again)}, "owner": mine}, {"_id": 1})
            again -= {document["_id"] for document in own}
        return set(wanted) - others - again

    @patient
    def _owners(self, keys: Sequence[str]) -> dict[str, str]:
        """Key → who holds it and is alive, as far as can be told yet."""
        owners = {
            document["_id"]: document["owner"]
            for chunk in chunks(list(keys))
            for document in self.collection.find({"_id": {"$in": chunk}}, {"owner": 1})
        }
        names = sorted(set(owners.values()))
        beats = {
            document["_id"]: document.get("beat")
            for document in self.collection.find({"_id": {"$in": names}}, {"beat": 1})
        }
        now = time.monotonic()
        dead = set()
        for owner in set(names) - self._dead:
            before, since = self._seen.get(owner, (None, now))
            if owner not in self._seen or beats.get(owner) != before:
                self._seen[owner] = (beats.get(owner), now)
            elif now - since >= DEAD:
                dead.add(owner)
        if dead:  # of what it had computed too; should one of them come back, it finds out
            self._dead |= dead
            self.collection.delete_many({"owner": {"$in": sorted(dead)}})
        return {key: owner for key, owner in owners.items() if owner not in self._dead}

    def _beat(self, mine: str, held: Held, ended: threading.Event) -> None:
        while not ended.wait(BEAT):
            try:
                found = self.collection.update_one({"_id": mine}, {"$inc": {"beat": 1}})
            except PyMongoError as error:
                logger.warning("no sign of life, MongoDB does not answer: %s", brief(error))
                continue
            if not found.matched_count:
                held._over.set()
                return
