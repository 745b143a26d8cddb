"""Several workers on one machine: one process for each GPU, replaced where it gives way."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Any

from pet_flows.launch.child import work
from pet_flows.launch.stopping import GONE, asking_to_end

logger = logging.getLogger(__name__)

#: processes in a row that end early and have stored nothing, after which no other is started
MOST_IN_VAIN = 3
#: s in which what dead processes had is brought back: usually, and where all are told to end
_LONGEST, _HURRIED = 5.0, 2.0
#: s between attempts to end living processes
_AGAIN = 1.0


@dataclass
class Tally:
    """What workers have done together.

    Attributes
    ----------
    run, fizzled
        Jobs that were run, and of them those that failed as a whole.
    states, reasons
        Of the records that were computed; the reasons of those that are not ``ok``.
    problems
        Sentences of workers about what they could not do.
    """

    run: int = 0
    fizzled: int = 0
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    doing: str = "starting"

    def add(self, slim: dict[str, Any]) -> None:
        """Count a record."""
        self.states[slim["state"]] += 1
        if slim["state"] != "ok":
            self.reasons[str(slim["reason"])] += 1


@dataclass
class _Slot:
    """A place for a process, with its GPU."""

    number: int
    gpu: str | None
    process: Any = None
    pipe: Any = None
    name: str | None = None
    """of the process, among those who work; None before it can have anything in hand"""
    stored: bool = False
    in_vain: int = 0
    over: bool = False


def visible_gpus() -> list[str]:
    """GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them; no torch here."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        listed = [part.strip() for part in named.split(",") if part.strip()]
        return [] if listed[:1] in (["-1"], ["NoDevFiles"]) else listed
    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.splitlines() if line.strip().isdigit()]


def run_workers(
    options: dict[str, Any],
    processes: int | None = None,
    time_limit: float | None = None,
    tell: Callable[[Tally], object] = lambda tally: None,
) -> Tally:
    """Run workers in processes of their own until they end.

    Each has a GPU to itself, as long as there are enough of them, and its share of the cores
    (``OMP_NUM_THREADS``, unless it is set). A process that runs out of memory, whose device fails
    or that dies is replaced, unless `MOST_IN_VAIN` of them in a row have stored nothing.

    Parameters
    ----------
    options
        Of `pet_flows.launch.worker.run_worker`.
    processes
        How many; one for each visible GPU without it, and one where there is none.
    time_limit
        s that all of this has.
    tell
        Called about twice a second with what was done.
    """
    end = None if time_limit is None else time.monotonic() + time_limit
    gpus = visible_gpus() if "pet-gpu" in options["categories"] else []
    count = processes or max(1, len(gpus))
    slots = [_Slot(n, gpus[n % len(gpus)] if gpus else None) for n in range(count)]
    tally, declaring = Tally(), []
    with _forwarding(slots) as stopped:
        for slot in slots:
            _start(slot, count, options, end, stopped)
        while working := [slot for slot in slots if not slot.over]:
            for pipe in wait([slot.pipe for slot in working], 0.5):
                slot = next(slot for slot in working if slot.pipe is pipe)
                why = _hear(slot, tally)
                if why is None:
                    continue
                if slot.process.exitcode and slot.name:  # others need not wait until it was silent
                    declaring.append(_declare(slot.name, options))
                slot.in_vain = 0 if slot.stored else slot.in_vain + 1
                if slot.in_vain >= MOST_IN_VAIN and not stopped.is_set():
                    slot.over = True
                    tally.problems.append(why)
                else:
                    _start(slot, count, options, end, stopped, why)
            tell(tally)
        until = time.monotonic() + (_HURRIED if stopped.is_set() else _LONGEST)
        for thread in declaring:
            thread.join(max(0.0, until - time.monotonic()))
    return tally


def _declare(process: str, options: dict[str, Any]) -> threading.Thread:
    """Say that a process has died, without waiting for a database that may be away."""
    from pet_flows.launch.declared import declare_dead

    thread = threading.Thread(target=declare_dead, args=(process, options), daemon=True)
    thread.start()
    return thread


def _start(
    slot: _Slot,
    count: int,
    options: dict[str, Any],
    end: float | None,
    stopped: threading.Event,
    why: str | None = None,
) -> None:
    """Start a process, in place of another where one ended, unless all are to end."""
    if stopped.is_set():
        slot.over = True
        return
    if why is not None:
        logger.warning("worker %d goes on in a new process: %s", slot.number, why)
    context = multiprocessing.get_context("spawn")
    slot.pipe, theirs = context.Pipe(duplex=False)
    left = None if end is None else max(1.0, end - time.monotonic())
    given = {**options, "time_limit": left}
    slot.process = context.Process(target=work, args=(theirs, given), name=f"worker-{slot.number}")
    slot.name, slot.stored = None, False
    with _environment(slot.gpu, count):
        slot.process.start()
    theirs.close()
    if stopped.is_set():  # while it was started: it has nothing in hand yet
        slot.process.terminate()


@contextmanager
def _environment(gpu: str | None, count: int) -> Iterator[None]:
    """What a process finds when it starts, before anything loads torch."""
    given = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
    if count > 1 or gpu is not None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        shared = {"OMP_NUM_THREADS": str(max(1, cores // count)), "OMP_WAIT_POLICY": "PASSIVE"}
        given |= {name: value for name, value in shared.items() if name not in os.environ}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:  # nothing else: another thread may be reading it
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _hear(slot: _Slot, tally: Tally) -> str | None:
    """Hear one message of a process; why another is to follow it, where it has ended."""
    try:
        kind, said = slot.pipe.recv()
    except (EOFError, OSError):  # it died, the latter amid a message
        _wait_for(slot.process)
        code = slot.process.exitcode
        how = f"signal {-code}" if code and code < 0 else f"exit code {code}"
        problem = f"A worker process ended early ({how})"
        return f"{problem}; look into its messages, and at the memory there is."
    if kind == "named":
        slot.name = said
        return None
    if kind == "record":
        slot.stored = True
        tally.add(said)
        return None
    if kind == "doing":
        tally.doing = said
        return None
    _wait_for(slot.process)
    slot.pipe.close()
    if kind == "refused":
        slot.over = True
        tally.problems.append(said)
        return None
    tally.run += said.run
    tally.fizzled += said.fizzled
    if said.fresh is not None:
        return (
            f"The device or the memory of this worker fails with everything ({said.fresh}): look "
            "at the machine; its jobs are READY for others."
        )
    slot.over = True
    if said.problem is not None:
        tally.problems.append(said.problem)
    return None


def _wait_for(process: Any, seconds: float = GONE) -> None:
    """Wait until a process that is about to end has, and end it where it does not."""
    process.join(max(0.0, seconds))
    if process.is_alive():
        process.kill()
        process.join(GONE)


@contextmanager
def _forwarding(slots: list[_Slot]) -> Iterator[threading.Event]:
    """Hand signals on to the processes, and end those that are there too long after one.

    The first SIGINT alone gives them time: a job may take long to finish. A SIGHUP that is ignored
    (nohup) stays so.
    """
    stopped = threading.Event()
    interrupted = False

    def heard(number: int, frame: object) -> None:
        nonlocal interrupted
        stopped.set()
        patient = number == signal.SIGINT and not interrupted
        interrupted |= number == signal.SIGINT
        for process in _alive(slots):
            os.kill(process.pid, number)
        if not patient and not signal.getitimer(signal.ITIMER_REAL)[0]:
            signal.setitimer(signal.ITIMER_REAL, GONE, _AGAIN)

    def late(number: int, frame: object) -> None:
        for process in _alive(slots):
            process.kill()

    before = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {**dict.fromkeys(asking_to_end(), heard), signal.SIGALRM: late}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stopped
    finally:
        for process in _alive(slots):
            process.terminate()
        until = time.monotonic() + GONE
        for process in _alive(slots):
            _wait_for(process, until - time.monotonic())
        if before:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _alive(slots: list[_Slot]) -> list[Any]:
    processes = [slot.process for slot in slots if slot.process is not None]
    return [process for process in processes if process.is_alive()]
