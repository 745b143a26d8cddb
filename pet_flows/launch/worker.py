"""A resident worker: runs what is ready on the LaunchPad and ours, in one process.

The potential is loaded once and serves every job, because jobs run in this process. Any number of
workers may run on any number of machines.
"""

from __future__ import annotations

import io
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.able import refuse_unable
from pet_flows.launch.heartbeat import HEARTBEAT_SAID, set_heartbeat
from pet_flows.launch.interrupted import rerun_interrupted
from pet_flows.launch.launchpad import CATEGORIES, load_fworker, load_launchpad, shared_job_store
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.launch.recovery import Recovery
from pet_flows.launch.stopping import Stopped, Stopping
from pet_flows.settings import get_settings
from pet_flows.store.patience import brief, patient

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


@dataclass(frozen=True)
class WorkDone:
    """What a worker did."""

    run: int
    """jobs that were run, whether well or not"""
    fizzled: int
    """of them, those that failed as a whole"""
    problem: str | None = None
    """sentence about fireworks that it could not do and left to others"""


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
    _in_a_row: int = 0

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
        return WorkDone(self.done, self.fizzled, self._problem())

    def _run(self) -> None:
        idle_since, pause, recovered = time.monotonic(), _FIRST_PAUSE, -_RECOVER_EVERY
        recovery = Recovery(self.launchpad, self.fworker.category)
        while not self.stopping.asked.is_set():
            if time.monotonic() - recovered > _RECOVER_EVERY:
                patient(recovery.look)()
                recovered = time.monotonic()
            if self._launch():
                if self.nlaunches and self.done >= self.nlaunches:
                    break
                if self._in_a_row >= _MOST_REFUSED:
                    break
                idle_since, pause = time.monotonic(), _FIRST_PAUSE
                continue
            idle = time.monotonic() - idle_since
            if self.idle_timeout is not None and idle >= self.idle_timeout:
                break
            left = float("inf") if self.idle_timeout is None else self.idle_timeout - idle
            self.stopping.asked.wait(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def _launch(self) -> bool:
        """Run one firework if one is ready; says whether there was anything to do."""
        from fireworks.core.rocket import Rocket

        os.chdir(self.folder)  # a job may have gone elsewhere
        reported, fw_id = True, None
        try:
            firework = self._reserve()
            if firework is None:
                return False
            fw_id = firework.fw_id
            if not self._is_able(firework):
                return True
            # nobody else has it: a worker names only what it has reserved itself
            said = io.StringIO()
            with self.stopping.during_job():
                begun = Rocket(self.launchpad, self.fworker, fw_id).run(err_file=said)
            if not begun:
                return True
            if not self.stopping.asked.is_set():  # a job that was given up has nothing to say
                sys.stderr.write(said.getvalue())
        except (AutoReconnect, ServerSelectionTimeoutError) as error:
            logger.warning("the LaunchPad does not answer: %s", brief(error))
            reported = False
        interrupted = patient(rerun_interrupted)(self.launchpad, str(self.folder))
        if reported and fw_id is not None and not interrupted:
            self.done += 1
            self.fizzled += patient(self._has_fizzled)(fw_id)
            if self.on_launch is not None:
                self.on_launch(self.done)
        return True

    def _reserve(self) -> Firework | None:
        """Reserve what is ready and ours, and not known to be impossible here."""
        query = self.fworker.query
        if self.refused:
            query = {"$and": [query, {"fw_id": {"$nin": list(self.refused)}}]}
        return self.launchpad._get_a_fw_to_run(query)  # the first step of every checkout

    def _is_able(self, firework: Firework) -> bool:
        """Whether a reserved firework can be done here; otherwise it is ready again for others."""
        try:
            refuse_unable(firework, self.folder)
        except PetFlowsError as error:
            logger.warning("firework %d is left to others: %s", firework.fw_id, error)
            self.refused[firework.fw_id] = str(error)
            self._in_a_row += 1
            patient(self.launchpad.fireworks.update_one)(
                {"fw_id": firework.fw_id, "state": "RESERVED", "launches": []},
                {"$set": {"state": "READY"}},
            )
            return False
        self._in_a_row = 0
        return True

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


def run_worker(
    *,
    categories: tuple[str, ...] = CATEGORIES,
    nlaunches: int = 0,
    idle_timeout: float | None = None,
    launchpad: LaunchPad | str | Path | None = None,
    fworker: str | Path | None = None,
    folder: str | Path = "pet_flows_workers",
    on_launch: Callable[[int], None] | None = None,
    time_limit: float | None = None,
) -> WorkDone:
    """Run fireworks of ours in this process until told to stop.

    SIGTERM gives up the current job within seconds: structures that are done stay, and its firework
    is ready for others. So does a second SIGINT; the first one lets the job finish.

    Parameters
    ----------
    categories
        ``pet-gpu``, ``pet-cpu`` or both.
    nlaunches
        Stop after so many jobs; 0: never.
    idle_timeout
        s; stop when nothing was ready for so long; None: never.
    launchpad
        Or its file; by default that of FireWorks' own configuration.
    fworker
        File with name, query and env; by default that of FireWorks' own configuration.
    folder
        Where the worker makes a folder of its own.
    on_launch
        Called with the number of jobs done after each.
    time_limit
        s that this process has: shortly before, it gives up its job as at SIGTERM.

    Returns
    -------
    WorkDone
        How many jobs were run and how many of them fizzled. A worker that lacks the weights of a
        potential, or space on its disk, leaves fireworks READY for others, stops after two in a
        row, and says why.

    Raises
    ------
    PetFlowsError
        No LaunchPad, no jobflow.yaml with a server, or the server stays away.
    """
    from fireworks import LaunchPad

    who = load_fworker(tuple(categories), fworker)
    stopping = Stopping()
    pad = launchpad if isinstance(launchpad, LaunchPad) else load_launchpad(launchpad)
    shared_job_store().close()
    use_workflow_lock()
    who.env = {**who.env, HEARTBEAT_SAID: set_heartbeat()}
    get_settings()  # relative paths in them start here
    start = Path.cwd()
    own = start / folder / f"{platform.node()}-{os.getpid()}"
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PetFlowsError(
            f"Cannot make the worker's folder {own} ({error.strerror}): choose another --folder."
        ) from None
    worker = Worker(pad, who, own.resolve(), nlaunches, idle_timeout, on_launch, stopping)
    try:
        with stopping.listening(time_limit):
            return worker.run()
    finally:
        os.chdir(start)
        (own / "FW.json").unlink(missing_ok=True)
        with suppress(OSError):  # jobs may have left something there
            own.rmdir()
            own.parent.rmdir()
