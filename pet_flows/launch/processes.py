"""Several workers on one machine: one process for each GPU, replaced where it gives way."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.launch.stopping import GRACE

logger = logging.getLogger(__name__)

#: processes in a row that end early and have stored nothing, after which no other is started
MOST_IN_VAIN = 3
#: s after a signal in which processes have to be gone; in which what dead ones had is brought back
_GONE, _LONGEST = GRACE + 4, 5.0


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
            _start(slot, count, options, end)
        while working := [slot for slot in slots if not slot.over]:
            for pipe in wait([slot.pipe for slot in working], 0.5):
                slot = next(slot for slot in working if slot.pipe is pipe)
                if _hear(slot, tally) or slot.over:
                    continue
                if slot.process.exitcode:  # it died: others need not wait until it was silent
                    declaring.append(_declare(slot.process.pid, options))
                if stopped.is_set() or slot.in_vain >= MOST_IN_VAIN:
                    slot.over = True
                else:
                    _start(slot, count, options, end)
            tell(tally)
        for thread in declaring:
            thread.join(_LONGEST)
    return tally


def _declare(process: int, options: dict[str, Any]) -> threading.Thread:
    """Say that a process has died, without waiting for a database that may be away."""
    from pet_flows.launch.declared import declare_dead

    thread = threading.Thread(target=declare_dead, args=(process, options), daemon=True)
    thread.start()
    return thread


def _start(slot: _Slot, count: int, options: dict[str, Any], end: float | None) -> None:
    context = multiprocessing.get_context("spawn")
    slot.pipe, theirs = context.Pipe(duplex=False)
    left = None if end is None else max(1.0, end - time.monotonic())
    given = {**options, "time_limit": left}
    slot.process = context.Process(target=_work, args=(theirs, given), name=f"worker-{slot.number}")
    slot.stored = False
    with _environment(slot.gpu, count):
        slot.process.start()
    theirs.close()


@contextmanager
def _environment(gpu: str | None, count: int) -> Iterator[None]:
    """What a process finds when it starts, before anything loads torch."""
    before = dict(os.environ)
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    if count > 1 or gpu is not None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // count)))
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _hear(slot: _Slot, tally: Tally) -> bool:
    """Hear one message of a process; False when it has ended and another may follow."""
    try:
        kind, said = slot.pipe.recv()
    except EOFError:  # it died
        slot.process.join()
        code = slot.process.exitcode
        how = f"signal {-code}" if code and code < 0 else f"exit code {code}"
        problem = f"A worker process ended early ({how})"
        _in_vain(slot, tally, f"{problem}; look into its messages, and at the memory there is.")
        return False
    if kind == "record":
        slot.stored = True
        tally.add(said)
        return True
    if kind == "doing":
        tally.doing = said
        return True
    slot.process.join()
    slot.pipe.close()
    if kind == "refused":
        slot.over = True
        tally.problems.append(said)
        return True
    tally.run += said.run
    tally.fizzled += said.fizzled
    if said.fresh is not None:
        _in_vain(
            slot,
            tally,
            f"The device or the memory of this worker fails with everything ({said.fresh}): look "
            "at the machine; its jobs are READY for others.",
        )
        return False
    slot.over = True
    if said.problem is not None:
        tally.problems.append(said.problem)
    return True


def _in_vain(slot: _Slot, tally: Tally, problem: str) -> None:
    slot.in_vain = 0 if slot.stored else slot.in_vain + 1
    logger.warning("worker %d goes on in a new process: %s", slot.number, problem)
    if slot.in_vain >= MOST_IN_VAIN:
        tally.problems.append(problem)


@contextmanager
def _forwarding(slots: list[_Slot]) -> Iterator[threading.Event]:
    """Hand signals on to the processes, and end what is there too long after SIGTERM."""
    stopped = threading.Event()

    def heard(number: int, frame: object) -> None:
        stopped.set()
        for slot in slots:
            if slot.process is not None and slot.process.is_alive():
                os.kill(slot.process.pid, number)
        if number == signal.SIGTERM:
            signal.setitimer(signal.ITIMER_REAL, _GONE)

    def late(number: int, frame: object) -> None:
        for slot in slots:
            if slot.process is not None and slot.process.is_alive():
                slot.process.kill()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    handlers = {signal.SIGTERM: heard, signal.SIGINT: heard, signal.SIGALRM: late}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stopped
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler)
        for slot in slots:
            if slot.process is not None and slot.process.is_alive():
                slot.process.terminate()
                slot.process.join()


def _work(pipe: Connection, options: dict[str, Any]) -> None:
    """Body of a process: a worker that tells what it does through a pipe."""
    from pymongo.errors import PyMongoError

    from pet_flows.jobs.observe import observers, watchers
    from pet_flows.launch.worker import run_worker
    from pet_flows.store.access import said_of

    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C is for whoever started it, who hands it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = 0.0

    def record(name: str, slim: dict[str, Any], computed: bool) -> None:
        if computed:
            pipe.send(("record", {key: slim.get(key) for key in ("key", "state", "reason")}))

    def watch(name: str, label: str | None, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            what = f"{total} structures" if label is None else f"{label}, {done} of {total}"
            pipe.send(("doing", f"{name} of {what}"))

    observers.append(record)
    watchers.append(watch)
    try:
        pipe.send(("done", run_worker(**options)))
    except PetFlowsError as error:
        pipe.send(("refused", str(error)))
    except PyMongoError as error:
        pipe.send(("refused", str(said_of(error))))
    pipe.close()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # taking torch apart takes seconds, which a queue may not give


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
