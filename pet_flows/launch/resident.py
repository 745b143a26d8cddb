"""The loop of a worker: takes what is ready and ours, runs it, and looks after what others left."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo import ReturnDocument
from pymongo.errors import AutoReconnect, PyMongoError, ServerSelectionTimeoutError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.able import Able, unreadable
from pet_flows.launch.blame import cautious, want_fresh
from pet_flows.launch.heartbeat import LONG_ENOUGH
from pet_flows.launch.interrupted import rerun_interrupted, surroundings_of
from pet_flows.launch.recovery import CONFIRMED, RESERVED, Recovery
from pet_flows.launch.stopping import Stopped, Stopping
from pet_flows.store.clock import no_later, now_in
from pet_flows.store.leases import Leases
from pet_flows.store.patience import ServerAwayError, brief, patient

if TYPE_CHECKING:
    from fireworks import Firework, FWorker, LaunchPad

logger = logging.getLogger(__name__)

#: s between two looks at the LaunchPad: first, and at most
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: s between two looks for fireworks that others have left behind
_RECOVER_EVERY = 15.0
#: fireworks in a row that a worker could not do, after which it stops: what is missing is missing
#: around it, and others do them
_MOST_REFUSED = 2
#: file in a worker's folder while a job runs there
BEGUN = "pet_flows_begun"
#: SORT_FWS of FW_config.yaml → how fireworks of equal priority are sorted
_BY_AGE = {"FIFO": [("created_on", 1)], "FILO": [("created_on", -1)]}


@dataclass(frozen=True)
class WorkDone:
    """What a worker did."""

    run: int
    """jobs that were run, whether well or not"""
    fizzled: int
    """of them, those that failed as a whole"""
    problem: str | None = None
    """sentence about fireworks that it could not do and left to others"""
    fresh: str | None = None
    """why another process should go on instead of this one, where it should"""


@dataclass
class Worker:
    """Takes fireworks of our categories, one after the other.

    Parameters
    ----------
    launchpad
        Where they are.
    fworker
        Who takes them; its category must be ours.
    folder
        Launch directory of this worker alone.
    nlaunches
        Stop after so many jobs; 0: never.
    idle_timeout
        s; stop when nothing was ready for so long; None: never.
    on_launch
        Called with the number of jobs done after each.
    """

    launchpad: LaunchPad
    fworker: FWorker
    folder: Path
    nlaunches: int = 0
    idle_timeout: float | None = None
    on_launch: Callable[[int], None] | None = None
    stopping: Stopping = field(default_factory=Stopping)
    """when and how fast it ends"""
    done: int = 0
    """jobs that were run, whether well or not"""
    fizzled: int = 0
    """of them, those that failed as a whole"""
    refused: dict[int, str] = field(default_factory=dict)
    """fireworks that this worker cannot do → why"""
    fresh: str | None = None
    """why another process should go on"""
    _in_a_row: int = 0

    def __post_init__(self) -> None:
        """Know what is around it."""
        self.able = Able(self.folder)

    def run(self) -> WorkDone:
        """Work until there is a reason to stop.

        Raises
        ------
        PetFlowsError
            The server stayed away for ``reconnect_seconds`` of the settings.
        """
        try:
            self._run()
        except Stopped:  # wherever it was: others bring back what it had
            logger.warning("the worker did not come to an end in its time, and ends here")
        finally:
            self.able.close()
        return WorkDone(self.done, self.fizzled, self._problem(), self.fresh)

    def _run(self) -> None:
        idle_since, pause, recovered = time.monotonic(), _FIRST_PAUSE, -_RECOVER_EVERY
        recovery = Recovery(self.launchpad, self.fworker.category, self._leases())
        while not self.stopping.asked.is_set():
            every = min(CONFIRMED, _RECOVER_EVERY) if recovery.suspected else _RECOVER_EVERY
            if time.monotonic() - recovered > every:
                patient(recovery.look)()
                recovered = time.monotonic()
            if self._launch():
                if self.nlaunches and self.done >= self.nlaunches:
                    break
                if self._in_a_row >= _MOST_REFUSED or self.fresh is not None:
                    break
                idle_since, pause = time.monotonic(), _FIRST_PAUSE
                continue
            soon = CONFIRMED if recovery.suspected else pause
            left = float("inf")
            if self.idle_timeout is not None:
                # soon it is known whether who is late is dead
                allowed = self.idle_timeout + (LONG_ENOUGH if recovery.late else 0.0)
                left = allowed - (time.monotonic() - idle_since)
            if left <= 0:
                break
            self.stopping.asked.wait(min(pause, soon, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def _leases(self) -> Leases | None:
        """Those that may be of dead workers; none where fireworks will be refused for the same."""
        try:
            return patient(self.able.leases)()
        except ServerAwayError:
            raise
        except PetFlowsError as error:
            logger.warning("what dead workers held as being computed stays: %s", error)
            return None

    def _launch(self) -> bool:
        """Run one firework if one is ready; says whether there was anything to do."""
        fw_id = None
        try:
            with suppress(FileNotFoundError):  # it is made again, or said to be impossible, below
                os.chdir(self.folder)  # a job may have gone elsewhere
            reserved = self._reserve()
            if reserved is None:
                return False
            fw_id, since = reserved
            firework = self._able_to_do(fw_id)
            if firework is None or not self._renew(fw_id, since):
                return True
            os.chdir(self.folder)
            begun = self._run_job(firework)
            if not begun:
                return True
        except (AutoReconnect, ServerSelectionTimeoutError) as error:
            logger.warning("the LaunchPad does not answer: %s", brief(error))
            patient(rerun_interrupted)(self.launchpad, str(self.folder))
            return True
        self._count(fw_id)
        return True

    def _run_job(self, firework: Firework) -> bool:
        from fireworks.core.rocket import Rocket
        from jobflow import CURRENT_JOB

        said = io.StringIO()
        lent = cautious(self.launchpad, firework, str(self.folder))
        # nobody else has it: a worker names only what it has reserved itself, and renewed just now
        with self._begun(), lent as caution, self.stopping.during_job():
            try:
                begun = Rocket(self.launchpad, self.fworker, firework.fw_id).run(err_file=said)
            finally:
                CURRENT_JOB.reset()  # jobflow does so only after jobs that end well
                self.launchpad.backup_fw_data.clear()  # FireWorks keeps those of every job
                self.launchpad.backup_launch_data.clear()
        if caution.wanted:
            self.fresh = ", ".join(sorted(set(caution.wanted.values())))
            want_fresh(self.launchpad, firework.fw_id, str(self.folder), caution)
        elif begun and not self.stopping.asked.is_set():  # what was given up has nothing to say
            sys.stderr.write(said.getvalue())
        return bool(begun)

    @contextmanager
    def _begun(self) -> Iterator[None]:
        """Note in the folder that a job is being run there, should the worker be killed."""
        note = self.folder / BEGUN
        with suppress(OSError):  # no space: the job itself will say so
            note.touch()
        try:
            yield
        finally:
            with suppress(OSError):
                note.unlink(missing_ok=True)

    def _count(self, fw_id: int) -> None:
        """Count what was run, unless it is to be run again for what is not the job's."""
        if patient(rerun_interrupted)(self.launchpad, str(self.folder)):
            missing = patient(surroundings_of)(self.launchpad, fw_id, str(self.folder))
            if missing is not None:
                self._refuse(fw_id, f"{missing.rstrip('.')}: look after this machine.")
            return
        self._in_a_row = 0
        self.done += 1
        self.fizzled += patient(self._has_fizzled)(fw_id)
        if self.on_launch is not None:
            self.on_launch(self.done)

    def _reserve(self) -> tuple[int, datetime] | None:
        """Reserve what is ready and ours, and not known to be impossible here; since when."""
        query = {**self.fworker.query, "state": "READY"}
        if self.refused:
            query = {"$and": [query, {"fw_id": {"$nin": list(self.refused)}}]}
        from fireworks import fw_config

        now = datetime.now(UTC)
        # FireWorks' own step of a checkout ends fireworks that cannot be decoded here
        found = self.launchpad.fireworks.find_one_and_update(
            query,
            {"$set": {"state": "RESERVED", "updated_on": now}, **now_in(RESERVED)},
            projection={"fw_id": 1, RESERVED: 1},
            sort=[("spec._priority", -1), *_BY_AGE.get(fw_config.SORT_FWS.upper(), ())],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else (int(found["fw_id"]), found[RESERVED])

    def _renew(self, fw_id: int, since: datetime) -> bool:
        """Reserve again what was looked at for long, unless it was given to others meanwhile."""
        mine = {"fw_id": fw_id, "state": "RESERVED", RESERVED: no_later(since)}
        again = {"$set": {"updated_on": datetime.now(UTC)}, **now_in(RESERVED)}
        return bool(self.launchpad.fireworks.update_one(mine, again).matched_count)

    def _able_to_do(self, fw_id: int) -> Firework | None:
        """The reserved firework, if it can be done here; otherwise it is ready for others."""
        try:
            firework = self._decoded(fw_id)
            self.able.refuse(firework)
        except PetFlowsError as error:
            if isinstance(error, ServerAwayError):
                raise
            logger.warning("firework %d is left to others: %s", fw_id, error)
            self._refuse(fw_id, str(error))
            patient(self.launchpad.fireworks.update_one)(
                {"fw_id": fw_id, "state": "RESERVED", "launches": []}, {"$set": {"state": "READY"}}
            )
            return None
        return firework

    def _decoded(self, fw_id: int) -> Firework:
        try:
            return self.launchpad.get_fw_by_id(fw_id)
        except PyMongoError:
            raise
        except Exception as error:  # whatever the class of an unknown version raises
            document = self.launchpad.fireworks.find_one({"fw_id": fw_id}) or {}
            raise unreadable(document, error) from None

    def _refuse(self, fw_id: int, why: str) -> None:
        self.refused[fw_id] = why
        self._in_a_row += 1

    def _has_fizzled(self, fw_id: int) -> bool:
        found = self.launchpad.fireworks.find_one({"fw_id": fw_id}, {"state": 1})
        return found is not None and found["state"] == "FIZZLED"

    def _problem(self) -> str | None:
        if not self.refused:
            return None
        fw_id, said = list(self.refused.items())[-1]
        ids = ", ".join(map(str, self.refused))
        which = f"firework {fw_id}" if len(self.refused) == 1 else f"fireworks {ids}"
        of_it = "" if len(self.refused) == 1 else f"of {fw_id}: "
        return f"This worker could not do {which} and left them READY for others; {of_it}{said}"
