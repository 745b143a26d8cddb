"""Fireworks that whoever had them will never bring to an end, made ready for others."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pet_flows.launch.lock import EXPIRES

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: name in the ``env`` of a worker of ours: s between heartbeats of its jobs
HEARTBEAT_SAID = "pet_flows_heartbeat"
#: heartbeats that may fail to come before its worker counts as dead
MISSED = 4
#: s in which a worker with the usual heartbeat has shown whether it is alive
LONG_ENOUGH = 100.0
#: a checkout takes some tens of milliseconds; what is reserved so long without a launch is stuck
STUCK_AFTER = timedelta(minutes=1)
#: exceptions of a job that say nothing about the job
_CONNECTION_ERRORS = (
    "pymongo.errors.AutoReconnect",
    "pymongo.errors.NetworkTimeout",
    "pymongo.errors.ServerSelectionTimeoutError",
    "pymongo.errors.NotPrimaryError",
    "pet_flows.store.patience.ServerAwayError",
)
_GIVEN_UP = ("pet_flows.launch.stopping.Stopped",)
#: launches after which a firework whose connection always breaks is left fizzled
_MOST_LAUNCHES = 5


@dataclass
class Recovered:
    """Ids of fireworks that were brought back, by what had happened to them."""

    stuck: list[int] = field(default_factory=list)
    """reserved and never launched"""
    ended: list[int] = field(default_factory=list)
    """their launch had ended, and they did not say so"""
    dead: list[int] = field(default_factory=list)
    """their worker is dead"""
    locked: list[int] = field(default_factory=list)
    """first of a workflow that a dead process had locked"""

    @property
    def count(self) -> int:
        """How many."""
        return len(self.stuck) + len(self.ended) + len(self.dead) + len(self.locked)

    def add(self, other: Recovered) -> None:
        """Add what was found later."""
        for name in ("stuck", "ended", "dead", "locked"):
            getattr(self, name).extend(getattr(other, name))


class Recovery:
    """Looks after fireworks of ours, again and again: what does not change is dead.

    Clocks of machines differ. Whether a heartbeat has stopped is therefore seen here, by our own
    clock: between looks that find the same. Several at once are harmless; of other codes' fireworks
    and workflows nothing is touched.

    Parameters
    ----------
    launchpad
        Where they are.
    categories
        Of the fireworks.
    """

    def __init__(self, launchpad: LaunchPad, categories: Sequence[str]):
        self.launchpad = launchpad
        self.categories = list(categories)
        self._seen: dict[Hashable, tuple[Any, float]] = {}

    def look(self) -> Recovered:
        """Bring back what has been found the same for too long."""
        release = self._release_locks()  # first: the others need them
        return Recovered(
            locked=release,
            stuck=release_stuck(self.launchpad, self.categories),
            ended=finish_ended(self.launchpad, self.categories),
            dead=self._rerun_dead(),
        )

    def _rerun_dead(self) -> list[int]:
        """Fireworks whose launch is one of a worker of ours that does not beat any more."""
        pad = self.launchpad
        running = self._ours(
            {"state": {"$in": ["RUNNING", "RESERVED"]}}, {"fw_id": 1, "launches": 1}
        )
        by_launch = {fw["launches"][-1]: fw["fw_id"] for fw in running if fw["launches"]}
        beats: dict[Hashable, tuple[Any, float]] = {}
        fields = {"launch_id": 1, "state_history": 1, "fworker.env": 1}
        query = {"launch_id": {"$in": list(by_launch)}, "state": "RUNNING"}
        for launch in pad.launches.find(query, fields):
            env = (launch.get("fworker") or {}).get("env") or {}
            if (beat := env.get(HEARTBEAT_SAID)) is not None:
                stamps = [str(h.get("updated_on")) for h in launch["state_history"]]
                beats["launch", launch["launch_id"]] = (max(stamps), MISSED * float(beat))
        dead = []
        for (_, launch_id), _ in self._unchanged("launch", beats):
            fw_id = by_launch[launch_id]
            logger.warning("the worker of firework %d is dead, and it is ready again", fw_id)
            pad.mark_fizzled(launch_id)
            pad.rerun_fw(fw_id)
            dead.append(fw_id)
        return dead

    def _release_locks(self) -> list[int]:
        """Unlock workflows of ours whose lock nobody alive has, and nobody waits for."""
        workflows = self.launchpad.workflows
        locks: dict[Hashable, tuple[Any, float]] = {}
        locked = {"locked": {"$exists": True}}
        for found in workflows.find(locked, {"nodes": 1, "locked": 1, "updated_on": 1}):
            if next(self._ours({"fw_id": {"$in": found["nodes"]}}, {"fw_id": 1}), None):
                stamp = (found["locked"], found.get("updated_on"))
                locks["lock", found["nodes"][0]] = (stamp, EXPIRES)
        released = []
        for (_, fw_id), (mark, updated_on) in self._unchanged("lock", locks):
            same = {"nodes": fw_id, "locked": mark, "updated_on": updated_on}
            if workflows.update_one(same, {"$unset": {"locked": ""}}).modified_count:
                logger.warning("the workflow of firework %d is not locked any more", fw_id)
                released.append(fw_id)
        return released

    def _unchanged(
        self, kind: str, found: dict[Hashable, tuple[Any, float]]
    ) -> Iterator[tuple[Any, Any]]:
        """What has been found the same for its time, s; the rest is remembered."""
        now = time.monotonic()
        for key in [key for key in self._seen if key[0] == kind and key not in found]:  # type: ignore[index]
            del self._seen[key]
        for key, (stamp, patience) in found.items():
            before, since = self._seen.get(key, (None, now))
            if before != stamp:
                self._seen[key] = (stamp, now)
            elif now - since >= patience:
                del self._seen[key]
                yield key, stamp

    def _ours(self, query: dict[str, Any], fields: dict[str, int]) -> Iterator[dict[str, Any]]:
        ours = {"spec._category": {"$in": self.categories}}
        yield from self.launchpad.fireworks.find({**query, **ours}, fields)


def rerun_interrupted(launchpad: LaunchPad, folder: str) -> list[int]:
    """Make what a worker could not end ready again; records that exist stay.

    These are launches in the worker's own folder that the LaunchPad believes to be running
    (their end could not be reported), fizzled ones whose exception is a broken connection, and
    those that it gave up when it had to stop.

    Parameters
    ----------
    launchpad
        One whose database answers.
    folder
        Launch directory that no other worker uses.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    rerun = []
    query = {"launch_dir": folder, "state": {"$in": ["RUNNING", "FIZZLED"]}}
    for launch in launchpad.launches.find(query):
        fw_id, launch_id = launch["fw_id"], launch["launch_id"]
        firework = launchpad.fireworks.find_one({"fw_id": fw_id, "launches": launch_id})
        if firework is None or firework["state"] not in ("RUNNING", "FIZZLED"):
            continue  # it was run again since
        if not _ended_with(launch, _GIVEN_UP):
            tries = len(firework["launches"]) + len(firework.get("archived_launches", []))
            broke = launch["state"] == "RUNNING" or _ended_with(launch, _CONNECTION_ERRORS)
            if tries > _MOST_LAUNCHES or not broke:
                continue
        logger.warning("firework %d was interrupted and is ready again", fw_id)
        launchpad.rerun_fw(fw_id)
        rerun.append(fw_id)
    return rerun


def release_stuck(launchpad: LaunchPad, categories: Sequence[str]) -> list[int]:
    """Make fireworks of ours ready again that are reserved without any launch.

    A server or a worker that ends between reserving and launching leaves this; FireWorks'
    ``detect_lostruns`` and ``detect_unreserved`` look at launches only, and never see it.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    stuck = {
        "state": "RESERVED",
        "launches": [],
        "spec._category": {"$in": list(categories)},
        "updated_on": {"$lt": (datetime.now(UTC) - STUCK_AFTER).replace(tzinfo=None)},
    }
    released = []
    for firework in launchpad.fireworks.find(stuck, {"fw_id": 1}):
        logger.warning("firework %d was stuck and is ready again", firework["fw_id"])
        launchpad.rerun_fw(firework["fw_id"])
        released.append(firework["fw_id"])
    return released


def finish_ended(launchpad: LaunchPad, categories: Sequence[str]) -> list[int]:
    """Bring fireworks of ours that are RUNNING to the end that their launch has had.

    A worker writes the end of a launch first, and then, inside the lock of the workflow, that of
    the firework; one that is killed in between leaves this, and ``detect_lostruns`` never sees it.
    Who is alive and about to do the same is not harmed.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    finished = []
    running = {"state": "RUNNING", "spec._category": {"$in": list(categories)}}
    for firework in list(launchpad.fireworks.find(running, {"fw_id": 1, "launches": 1})):
        ended = {
            "launch_id": {"$in": firework["launches"]},
            "state": {"$in": ["COMPLETED", "FIZZLED"]},
        }
        if launchpad.launches.find_one(ended, {"launch_id": 1}) is None:
            continue
        logger.warning("firework %d had ended and says so now", firework["fw_id"])
        launchpad._refresh_wf(firework["fw_id"])  # what `lpad admin refresh` calls
        finished.append(firework["fw_id"])
    return finished


def watch(
    recovery: Recovery, seconds: float, pause: float = 5.0, told: Callable[[float], None] = print
) -> Recovered:
    """Look for some seconds, so that what is dead can be told from what is alive.

    Parameters
    ----------
    recovery
        New, or one that has looked before.
    seconds
        At least `MISSED` heartbeats of the workers.
    pause
        s between two looks.
    told
        Called with the seconds that are left.
    """
    found = Recovered()
    end = time.monotonic() + seconds
    while True:
        found.add(recovery.look())
        left = end - time.monotonic()
        if left <= 0:
            return found
        told(left)
        time.sleep(min(pause, left))


def _ended_with(launch: dict, errors: Iterable[str]) -> bool:
    """Whether the exception of a launch is one of these."""
    stored = (launch.get("action") or {}).get("stored_data") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace", "")).strip()
    last = trace.splitlines()[-1] if trace else ""
    return last.startswith(tuple(errors))
