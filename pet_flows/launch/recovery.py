"""Fireworks that whoever had them will never bring to an end, made ready for others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from pet_flows.launch.blame import DEAD, left_to_the_user
from pet_flows.launch.heartbeat import ALIVE, HEARTBEAT_SAID, limit
from pet_flows.launch.interrupted import CLAIM, FIELDS, is_to_be_rerun, rerun_once
from pet_flows.launch.lock import EXPIRES, TAKEN, refresh_all
from pet_flows.store.clock import Silence, is_declared, late, no_later
from pet_flows.store.leases import Leases
from pet_flows.store.patience import patient

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: s; a checkout takes some tens of milliseconds: what is reserved so long without a launch is stuck
STUCK_AFTER = 45.0
#: s for which what was reserved or locked too long ago, by the server's clock, has to stay the same
CONFIRMED = 3.0

#: field of a firework: when a worker of ours reserved it, by the server's clock
RESERVED = "pet_flows_reserved"
#: kind of what is looked at, and its id
_Key = tuple[str, int]


@dataclass
class Recovered:
    """Ids of fireworks that were brought back, by what had happened to them."""

    locked: list[int] = field(default_factory=list)
    """first of a workflow that a dead process had locked"""
    stuck: list[int] = field(default_factory=list)
    """reserved and never launched"""
    ended: list[int] = field(default_factory=list)
    """their launch had ended, and they did not say so"""
    dead: list[int] = field(default_factory=list)
    """their worker is dead"""
    interrupted: list[int] = field(default_factory=list)
    """their worker gave them up, or its connection broke, and it died before they were ready"""

    n_leases: int = 0
    """records that dead processes held as being computed"""

    @property
    def count(self) -> int:
        """How many fireworks."""
        return sum(len(ids) for ids in self._lists().values())

    def add(self, other: Recovered) -> None:
        """Add what was found later."""
        for name, ids in self._lists().items():
            ids.extend(getattr(other, name))
        self.n_leases += other.n_leases

    def _lists(self) -> dict[str, list[int]]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, list)}


class Recovery:
    """Looks after fireworks of ours, again and again: what gives no sign of life is dead.

    Workers give theirs by the clock of the server (`pet_flows.store.clock`), so that a first look
    knows of everything that has been silent for too long; it counts when one after the next
    heartbeat was due finds the same. What FireWorks alone writes, by clocks of machines that
    differ, is seen to stand still by our own clock. Several at once are harmless, because one of
    them alone gets a launch (`pet_flows.launch.interrupted.rerun_once`); of other codes' fireworks
    and workflows nothing is touched.

    Parameters
    ----------
    launchpad
        Where they are.
    categories
        Of the fireworks.
    leases
        Of the records that workers compute; those of dead ones are given back.
    """

    def __init__(
        self, launchpad: LaunchPad, categories: Sequence[str], leases: Leases | None = None
    ):
        self.launchpad = launchpad
        self.categories = list(categories)
        self.leases = leases
        self._seen: dict[_Key, tuple[Any, float]] = {}
        # FireWorks' own ping is there
        self._silence = Silence(launchpad.launches, ALIVE, "launch_id", witness="state_history")

    def look(self) -> Recovered:
        """Bring back what has been found the same for too long."""
        found = Recovered(locked=self._release_locks())  # first: the others need them
        found.stuck = self._release_stuck()
        over, found.ended = self._ended()
        dead = self._dead()
        begun = {("claim", launch_id) for launch_id in (*over.values(), *dead.values())}
        self._seen = {k: v for k, v in self._seen.items() if k[0] != "claim" or k in begun}
        for fw_id, launch_id in [*over.items(), *dead.items()]:
            if self._rerun(fw_id, launch_id):
                said = "is dead" if fw_id in dead else "died before it was ready again"
                logger.warning("the worker of firework %d %s; it is ready for others", fw_id, said)
                (found.dead if fw_id in dead else found.interrupted).append(fw_id)
        if self.leases is not None:
            found.n_leases = self.leases.free_dead()
        return found

    @property
    def undecided(self) -> int:
        """How many things were seen last of which it is not known yet whether they are alive."""
        leases = 0 if self.leases is None else self.leases.undecided
        return len(self._seen) + self._silence.undecided + leases

    @property
    def suspected(self) -> bool:
        """Whether another look within seconds may find something dead."""
        return bool(self._seen) or self.late

    @property
    def late(self) -> bool:
        """Whether a sign of life is late: whose it is dies or lives with the next that is due."""
        leases = 0 if self.leases is None else self.leases.suspected
        return bool(self._silence.suspected or leases)

    def _dead(self) -> dict[int, int]:
        """Fireworks whose launch is one of a worker of ours that does not beat any more."""
        from fireworks import FWAction

        pad = self.launchpad
        running = self._ours(
            {"state": {"$in": ["RUNNING", "RESERVED", "FIZZLED"]}}, {"fw_id": 1, "launches": 1}
        )
        by_launch = {fw["launches"][-1]: fw["fw_id"] for fw in running if fw["launches"]}
        beat = f"fworker.env.{HEARTBEAT_SAID}"
        query = {"launch_id": {"$in": list(by_launch)}, "state": "RUNNING", beat: {"$gt": 0}}
        dead = {}
        for launch_id, sign in self._silence.look(query, limit(beat)).items():
            fw_id = by_launch[launch_id]
            same = {"launch_id": launch_id, "state": "RUNNING", ALIVE: no_later(sign)}
            ended = {"$set": {"state": "FIZZLED", DEAD: True}}
            if not pad.launches.update_one(same, ended).modified_count:
                continue  # there is a sign since, or somebody else sees to it
            if (said := left_to_the_user(pad, fw_id)) is None:
                dead[fw_id] = launch_id
                continue
            action = FWAction(stored_data={"_exception": {"_stacktrace": said}}, exit=True)
            end = {"$set": {"action": action.to_dict()}}
            pad.launches.update_one({"launch_id": launch_id}, end)
            logger.warning("firework %d: %s", fw_id, said)
            pad._refresh_wf(fw_id)
        return dead

    def _ended(self) -> tuple[dict[int, int], list[int]]:
        """Fireworks to be run again whose launch ended badly; those brought to a launch's end.

        A worker writes the end of a launch first, and then, inside the lock of the workflow, that
        of the firework; one that is killed in between leaves this, and ``detect_lostruns`` never
        sees it. Who is alive and about to do the same is not harmed.
        """
        pad = self.launchpad
        fireworks = {
            fw["launches"][-1]: fw
            for fw in self._ours(
                {"state": {"$in": ["RUNNING", "FIZZLED"]}}, {"fw_id": 1, "launches": 1, "state": 1}
            )
            if fw["launches"]
        }
        query = {"launch_id": {"$in": list(fireworks)}, "state": {"$in": ["COMPLETED", "FIZZLED"]}}
        over, ended = {}, []
        for launch in list(pad.launches.find(query, FIELDS)):
            firework = fireworks[launch["launch_id"]]
            fw_id = firework["fw_id"]
            if is_to_be_rerun(pad, launch):
                over[fw_id] = launch["launch_id"]
            elif firework["state"] == "RUNNING":
                pad._refresh_wf(fw_id)  # what `lpad admin refresh` calls
                now = pad.fireworks.find_one({"fw_id": fw_id}, {"state": 1})
                if now is not None and now["state"] == launch["state"]:
                    logger.warning("firework %d had ended and says so now", fw_id)
                    ended.append(fw_id)
        return over, ended

    def _rerun(self, fw_id: int, launch_id: int) -> bool:
        """Make one ready again; of somebody who has begun to and died, it is taken over."""
        launch = self.launchpad.launches.find_one({"launch_id": launch_id}, {CLAIM: 1}) or {}
        key = ("claim", launch_id)
        if (claim := launch.get(CLAIM)) is not None:
            before, since = self._seen.setdefault(key, (claim, time.monotonic()))
            if before != claim or time.monotonic() - since < EXPIRES:
                if before != claim:
                    self._seen[key] = (claim, time.monotonic())
                return False
        self._seen.pop(key, None)
        return rerun_once(self.launchpad, fw_id, launch_id, claim)

    def _release_stuck(self) -> list[int]:
        """Make fireworks of ours ready again that are reserved without any launch.

        A server or a worker that ends between reserving and launching leaves this; FireWorks'
        ``detect_lostruns`` and ``detect_unreserved`` look at launches only, and never see it.
        """
        stuck = {"state": "RESERVED", "launches": []}
        long_ago = {**stuck, **late(RESERVED, 1000 * STUCK_AFTER)}
        known = {fw["fw_id"] for fw in self._ours(long_ago, {"fw_id": 1})}
        stamps: dict[_Key, tuple[Any, float]] = {
            ("stuck", fw["fw_id"]): (
                fw.get("updated_on"), CONFIRMED if fw["fw_id"] in known else STUCK_AFTER
            )
            for fw in self._ours(stuck, {"fw_id": 1, "updated_on": 1})
        }  # fmt: skip
        released = []
        for (_, fw_id), stamp in self._unchanged("stuck", stamps):
            same = {"fw_id": fw_id, **stuck, "updated_on": stamp}
            ready = {"$set": {"state": "READY"}}
            if self.launchpad.fireworks.update_one(same, ready).modified_count:
                logger.warning("firework %d was stuck and is ready again", fw_id)
                released.append(fw_id)
        return released

    def _release_locks(self) -> list[int]:
        """Unlock workflows of ours whose lock nobody alive has, and nobody waits for."""
        workflows = self.launchpad.workflows
        locks: dict[_Key, tuple[Any, float]] = {}
        nodes: dict[int, list[int]] = {}
        locked = {"locked": {"$exists": True}}
        names = {"nodes": 1, "locked": 1, "updated_on": 1, TAKEN: 1}
        long_ago = {**locked, **late(f"{TAKEN}.at", 1000 * EXPIRES)}
        known = {found["nodes"][0] for found in workflows.find(long_ago, {"nodes": 1})}
        for found in workflows.find(locked, names):
            if next(self._ours({"fw_id": {"$in": found["nodes"]}}, {"fw_id": 1}), None):
                stamp = (found["locked"], found.get("updated_on"))
                taken, patience = found.get(TAKEN) or {}, EXPIRES
                if taken.get("mark") == found["locked"] and found["nodes"][0] in known:
                    patience = 0 if is_declared(taken["at"]) else CONFIRMED
                locks["lock", found["nodes"][0]] = (stamp, patience)
                nodes[found["nodes"][0]] = found["nodes"]
        released = []
        for (_, fw_id), (mark, updated_on) in self._unchanged("lock", locks):
            same = {"nodes": fw_id, "locked": mark, "updated_on": updated_on}
            if workflows.update_one(same, {"$unset": {"locked": "", TAKEN: ""}}).modified_count:
                logger.warning("the workflow of firework %d is not locked any more", fw_id)
                refresh_all(self.launchpad, nodes[fw_id])
                released.append(fw_id)
        return released

    def _unchanged(
        self, kind: str, found: dict[_Key, tuple[Any, float]]
    ) -> Iterator[tuple[_Key, Any]]:
        """What has been found the same for its time, s; the rest is remembered."""
        now = time.monotonic()
        for key in [key for key in self._seen if key[0] == kind and key not in found]:
            del self._seen[key]
        for key, (stamp, patience) in found.items():
            before, since = self._seen.get(key, (None, now))
            if before != stamp:
                before, since = self._seen[key] = (stamp, now)
                if patience > 0:
                    continue
            if now - since >= patience:
                del self._seen[key]
                yield key, stamp

    def _ours(self, query: dict[str, Any], names: dict[str, int]) -> Iterator[dict[str, Any]]:
        ours = {"spec._category": {"$in": self.categories}}
        yield from list(self.launchpad.fireworks.find({**query, **ours}, names))


def watch(
    recovery: Recovery, seconds: float, pause: float = 1.0, told: Callable[[int], None] = print
) -> Recovered:
    """Look until of everything it is known whether it is dead or alive.

    Parameters
    ----------
    recovery
        New, or one that has looked before.
    seconds
        At most.
    pause
        s between two looks.
    told
        Called with how many things are not known yet.
    """
    found = Recovered()
    end = time.monotonic() + seconds
    while True:
        found.add(patient(recovery.look)())
        left = end - time.monotonic()
        if left <= 0 or not recovery.undecided:
            return found
        told(recovery.undecided)
        time.sleep(min(pause, left))
