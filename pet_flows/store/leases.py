"""Which process computes a record now, so that no other does the same meanwhile."""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.store.clock import DECLARED, Silence, no_later, now_in
from pet_flows.store.patience import brief, patient
from pet_flows.store.process import name_of_process
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.writes import chunks, insert_new

logger = logging.getLogger(__name__)

#: s between signs of life of a holder, without which it counts as dead after that many s
BEAT, DEAD = 5.0, 20.0
#: s between two looks at what others hold; until the next sign where the server was away
_PAUSE = _AGAIN = 1.0


class TakenOver(PetFlowsError):
    """Another process has taken over what this one computed: it counted as dead."""


class Held:
    """Records that this process computes and no other.

    Parameters
    ----------
    keys
        Of the records.
    ask
        Asks the server whether they are still this process's.
    """

    def __init__(self, keys: set[str], ask: Callable[[], bool] = lambda: True):
        self.keys = keys
        self._ask = ask
        self._over = threading.Event()
        self._known = time.monotonic()

    def refuse_taken_over(self) -> None:
        """Stop computing what another process computes by now.

        Who stood still for a while asks the server first, so that nothing is written of what
        somebody else has in hand.

        Raises
        ------
        TakenOver
            This process had given no sign of life for too long.
        """
        if time.monotonic() - self._known > DEAD / 2 and not self._over.is_set():
            self.told(self._ask())
        if self._over.is_set():
            raise TakenOver(
                f"This process gave no sign of life for {DEAD:.0f} s, and another one computes its "
                "structures now: leave them to that one."
            )

    def told(self, alive: bool) -> None:
        """Remember what the server has said."""
        if alive:
            self._known = time.monotonic()
        else:
            self._over.set()


class Leases:
    """The collection ``pet_leases``: a document for each record that is being computed.

    Whoever holds some gives a sign every few seconds, a document of its own with the time of the
    server (`pet_flows.store.clock`). Of whom it is missing, or too old, everything is given back;
    should that one come back, it finds out. The embedded store has one writer, and needs none.

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    """

    def __init__(self, collection: Any):
        self.collection = collection
        self._silence = Silence(collection, "at")

    @contextmanager
    def held(self, keys: Sequence[str]) -> Iterator[Held]:
        """Hold those of the records that nobody else does, while inside."""
        if isinstance(self.collection, SqliteCollection) or not keys:
            yield Held(set(keys))
            return
        mine = f"{name_of_process()}-{uuid.uuid4().hex[:12]}"
        held = Held(set(), partial(self._is_alive, mine))
        self._appear(mine)  # first: who was never seen alive could not find out that it is dead
        held.keys = self._take(keys, mine)
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
    def free_dead(self) -> int:
        """Give back what dead processes hold; of how many records."""
        if isinstance(self.collection, SqliteCollection):
            return 0
        return self._bury(set(self.collection.distinct("owner")))[1]

    @property
    def undecided(self) -> int:
        """Processes seen last of which it is not known yet whether they are alive."""
        return self._silence.undecided

    @property
    def suspected(self) -> int:
        """How many of them are late."""
        return self._silence.suspected

    @patient
    def declare_dead(self, process: str) -> None:
        """Let everybody know that the process of this name has died."""
        if not isinstance(self.collection, SqliteCollection):
            its = {
                "_id": {"$regex": f"^{re.escape(process)}-"},
                "at": {"$exists": True},
            }
            self.collection.update_many(its, {"$set": {"at": DECLARED}})

    @patient
    def _appear(self, mine: str) -> None:
        sign = {"$set": {"owner": mine}, **now_in("at")}
        self.collection.update_one({"_id": mine}, sign, upsert=True)

    @patient
    def _is_alive(self, mine: str) -> bool:
        found = self.collection.update_one({"_id": mine}, now_in("at"))
        return bool(found.matched_count)

    @patient
    def _take(self, keys: Sequence[str], mine: str) -> set[str]:
        wanted = dict.fromkeys(keys)
        there = insert_new(self.collection, [{"_id": key, "owner": mine} for key in wanted])
        if not there:
            return set(wanted)
        others = {key for key, owner in self._owners(list(there)).items() if owner != mine}
        gone = there - others  # given back by now, also of the dead, or taken by a first attempt
        again = insert_new(self.collection, [{"_id": key, "owner": mine} for key in sorted(gone)])
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
        dead, _ = self._bury(set(owners.values()))
        return {key: owner for key, owner in owners.items() if owner not in dead}

    def _bury(self, owners: set[str]) -> tuple[set[str], int]:
        """Give back everything of those who are dead, what they have computed too.

        Returns
        -------
        set of str, int
            Who is dead; how many records were given back.
        """
        names = sorted(owners)
        silent = self._silence.look({"_id": {"$in": names}}, 1000 * DEAD)
        there = {d["_id"] for d in self.collection.find({"_id": {"$in": names}}, {"_id": 1})}
        dead = set(names) - there  # gave everything back, or were buried half
        for owner, sign in silent.items():
            # unless there is a sign since; later ones do not bring it back
            if self.collection.delete_one({"_id": owner, "at": no_later(sign)}).deleted_count:
                dead.add(owner)
        if not dead:
            return dead, 0
        given = self.collection.delete_many({"owner": {"$in": sorted(dead)}})
        return dead, int(given.deleted_count)

    def _beat(self, mine: str, held: Held, ended: threading.Event) -> None:
        wait = BEAT
        while not ended.wait(wait):
            try:
                found = self.collection.update_one({"_id": mine}, now_in("at"))
            except PyMongoError as error:
                logger.warning("no sign of life, MongoDB does not answer: %s", brief(error))
                wait = min(BEAT, _AGAIN)
                continue
            wait = BEAT
            held.told(bool(found.matched_count))
            if not found.matched_count:
                return
