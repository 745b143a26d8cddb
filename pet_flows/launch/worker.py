"""A resident worker: runs what is ready on the LaunchPad and ours, in one process.

The potential is loaded once and serves every job, because jobs run in this process. Any number of
workers may run on any number of machines.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pet_flows.errors import PetFlowsError
from pet_flows.launch.heartbeat import HEARTBEAT_SAID, set_heartbeat
from pet_flows.launch.launchpad import (
    CATEGORIES,
    load_fworker,
    load_launchpad,
    refuse_other_settings,
    shared_job_store,
)
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.launch.resident import BEGUN, WorkDone, Worker
from pet_flows.launch.stopping import Stopping
from pet_flows.settings import get_settings
from pet_flows.store.patience import SlowServerError
from pet_flows.store.process import name_of_process

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: where workers make folders of their own, and which the last of them removes
FOLDER = Path("pet_flows_workers")
#: s without a heartbeat or a change after which what a killed job left in its worker's folder is
#: removed
OLD = 86_400.0


def run_worker(
    *,
    categories: tuple[str, ...] = CATEGORIES,
    nlaunches: int = 0,
    idle_timeout: float | None = None,
    launchpad: LaunchPad | str | Path | None = None,
    fworker: str | Path | None = None,
    folder: str | Path = FOLDER,
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
        No LaunchPad, no jobflow.yaml with a server, another one when jobflow was imported, or the
        server stays away.
    """
    from fireworks import LaunchPad

    begun = time.monotonic()
    who = load_fworker(tuple(categories), fworker)
    stopping = Stopping()
    pad = launchpad if isinstance(launchpad, LaunchPad) else _waited_for(load_launchpad, launchpad)
    job_store = _waited_for(shared_job_store)
    job_store.close()
    refuse_other_settings(job_store)
    use_workflow_lock()
    get_settings()  # relative paths in them start here
    start = Path.cwd()
    own = _own_folder(start / folder)
    who.env = {**who.env, HEARTBEAT_SAID: set_heartbeat(own / BEGUN)}
    worker = Worker(pad, who, own, nlaunches, idle_timeout, on_launch, stopping)
    # waiting for the server was of the same time
    left = None if time_limit is None else time_limit - (time.monotonic() - begun)
    try:
        with stopping.listening(left):
            return worker.run()
    finally:
        os.chdir(start)
        _remove(own)
        if Path(folder).name == FOLDER.name and own.parent != start:  # another is the user's own
            with suppress(OSError):
                own.parent.rmdir()


def _waited_for[**P, T](connect: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Connect to a server that has much to do: as patiently as a worker is when it works.

    Raises
    ------
    PetFlowsError
        There is no server; or it answers nobody for ``reconnect_seconds`` of the settings.
    """
    deadline = time.monotonic() + get_settings().reconnect_seconds
    while True:
        try:
            return connect(*args, **kwargs)
        except SlowServerError as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("%s The worker tries again.", error)


def _own_folder(among: Path) -> Path:
    """A folder for this process; those of processes that are gone are removed.

    Raises
    ------
    PetFlowsError
        It cannot be made.
    """
    own = among / name_of_process()
    named = re.compile(rf"{re.escape(platform.node())}-(\d+)(-[0-9a-f]{{8}})?")
    try:
        own.mkdir(parents=True, exist_ok=True)
        others = [(path, named.fullmatch(path.name)) for path in among.iterdir()]
    except OSError as error:
        raise PetFlowsError(
            f"Cannot make the worker's folder {own} ({error.strerror}): choose another --folder."
        ) from None
    for path, name in others:
        if path != own and name is not None and not _is_there(int(name[1])):
            _remove_leftovers(path)
            if not (path / BEGUN).exists():  # a job runs there, of a container with our host's name
                _remove(path)
    return own.resolve()


def _remove(folder: Path) -> None:
    """Remove the folder of a worker, unless its jobs left something there."""
    ours = {"FW.json", BEGUN}
    with suppress(OSError):
        if {path.name for path in folder.iterdir()} <= ours:
            for name in ours:
                (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def _remove_leftovers(folder: Path) -> None:
    """Remove what a job left that was killed with its worker, after a day without a sign of life.

    What jobs left there that came to an end is somebody's result, and stays.
    """
    with suppress(OSError):  # there is no such job, or no right to remove it
        note = (folder / BEGUN).stat()
        begun, beat = note.st_mtime, note.st_atime
        files = sorted(folder.rglob("*"), reverse=True)
        if time.time() - max(beat, *(path.lstat().st_mtime for path in files)) < OLD:
            return
        for path in files:
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):  # it holds a result
                    path.rmdir()
            elif path.lstat().st_mtime >= begun:
                path.unlink()


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
