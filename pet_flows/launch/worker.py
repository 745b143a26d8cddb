"""A resident worker: runs what is ready on the LaunchPad and ours, in one process.

The potential is loaded once and serves every job, because jobs run in this process. Any number of
workers may run on any number of machines.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo.errors import AutoReconnect, ServerSelectionTimeoutError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.launchpad import CATEGORIES, load_fworker, load_launchpad, shared_job_store
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.launch.recovery import finish_ended, release_stuck, rerun_interrupted
from pet_flows.settings import get_settings
from pet_flows.store.patience import brief, patient

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad

logger = logging.getLogger(__name__)

#: s between heartbeats of a running job, where FW_config.yaml does not say otherwise
HEARTBEAT = 60
_DEFAULT_HEARTBEAT = 3600
#: s between two looks at the LaunchPad: first, and at most
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: s between two looks for stuck fireworks
_RECOVER_EVERY = 120.0


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
    stop: threading.Event = field(default_factory=threading.Event)
    """set it, and the worker ends after the current job"""
    done: int = 0
    """jobs that were run, whether well or not"""

    def run(self) -> int:
        """Work until there is a reason to stop.

        Returns
        -------
        Number of jobs that were run.

        Raises
        ------
        PetFlowsError
            The server stayed away for ``reconnect_seconds`` of the settings.
        """
        idle_since, pause, recovered = time.monotonic(), _FIRST_PAUSE, -_RECOVER_EVERY
        while not self.stop.is_set():
            if time.monotonic() - recovered > _RECOVER_EVERY:
                patient(release_stuck)(self.launchpad, self.fworker.category)
                patient(finish_ended)(self.launchpad, self.fworker.category)
                recovered = time.monotonic()
            if self._launch():
                if self.nlaunches and self.done >= self.nlaunches:
                    break
                idle_since, pause = time.monotonic(), _FIRST_PAUSE
                continue
            idle = time.monotonic() - idle_since
            if self.idle_timeout is not None and idle >= self.idle_timeout:
                break
            left = float("inf") if self.idle_timeout is None else self.idle_timeout - idle
            self.stop.wait(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)
        return self.done

    def _launch(self) -> bool:
        """Run one firework if one is ready; says whether there was anything to do."""
        from fireworks.core.rocket import Rocket

        os.chdir(self.folder)  # a job may have gone elsewhere
        reported = True
        try:
            if not self.launchpad.run_exists(self.fworker):
                return False
            # without an id: naming one lets a second worker take what is reserved already
            if not Rocket(self.launchpad, self.fworker, None).run():
                return False
        except (AutoReconnect, ServerSelectionTimeoutError) as error:
            logger.warning("the LaunchPad does not answer: %s", brief(error))
            reported = False
        interrupted = patient(rerun_interrupted)(self.launchpad, str(self.folder))
        if reported and not interrupted:
            self.done += 1
            if self.on_launch is not None:
                self.on_launch(self.done)
        return True


def run_worker(
    *,
    categories: tuple[str, ...] = CATEGORIES,
    nlaunches: int = 0,
    idle_timeout: float | None = None,
    launchpad: LaunchPad | str | Path | None = None,
    fworker: str | Path | None = None,
    folder: str | Path = "pet_flows_workers",
    on_launch: Callable[[int], None] | None = None,
) -> int:
    """Run fireworks of ours in this process until told to stop.

    SIGTERM and SIGINT let the current job finish; a second SIGINT does not.

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

    Returns
    -------
    Number of jobs that were run.

    Raises
    ------
    PetFlowsError
        No LaunchPad, no jobflow.yaml with a server, or the server stays away.
    """
    from fireworks import LaunchPad

    who = load_fworker(tuple(categories), fworker)
    pad = launchpad if isinstance(launchpad, LaunchPad) else load_launchpad(launchpad)
    shared_job_store().close()
    _set_heartbeat()
    use_workflow_lock()
    get_settings()  # relative paths in them start here
    start = Path.cwd()
    own = start / folder / f"{platform.node()}-{os.getpid()}"
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PetFlowsError(f"Cannot make the worker's folder {own} ({error.strerror}).") from None
    worker = Worker(pad, who, own.resolve(), nlaunches, idle_timeout, on_launch)
    try:
        with _finishing_on_signal(worker.stop):
            return worker.run()
    finally:
        os.chdir(start)
        (own / "FW.json").unlink(missing_ok=True)
        with suppress(OSError):  # jobs may have left something there
            own.rmdir()
            own.parent.rmdir()


def _set_heartbeat() -> None:
    """Let a lost worker be noticed within minutes, unless FW_config.yaml has its own number."""
    from fireworks import fw_config
    from fireworks.core import rocket

    if fw_config.PING_TIME_SECS == _DEFAULT_HEARTBEAT:
        rocket.PING_TIME_SECS = HEARTBEAT


@contextmanager
def _finishing_on_signal(stop: threading.Event) -> Iterator[None]:
    """Turn the first SIGTERM or SIGINT into an end after the current job."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def finish(number: int, frame: object) -> None:
        if number == signal.SIGINT and stop.is_set():
            raise KeyboardInterrupt
        logger.warning("%s: the worker ends after this job", signal.Signals(number).name)
        stop.set()

    before = {number: signal.signal(number, finish) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
