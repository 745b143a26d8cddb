"""Work that is done in processes of its own, in order, ahead of time or after it was handed over.

A process gets some items, answers, and waits: what is ready waits in its pipe until it is asked
for, so that never more than a few items for each process are in memory. They are no forks and do
not import the main module: a script needs no guard. A process whose pipe ends, because whoever
started it is gone, ends too.
"""

from __future__ import annotations

import atexit
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import batched, chain
from typing import Any

from pet_flows.settings import get_settings

logger = logging.getLogger(__name__)

#: items fewer than this are sooner done than a process starts
FEW = 64
#: processes beside a device; more are seldom waited for
MOST = 4
#: items that a process is given at once
AT_ONCE = 8
#: one thread each, and no device
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


class _Process:
    """One of the processes."""

    def __init__(self) -> None:
        paths = [os.path.abspath(path or ".") for path in sys.path]
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)},
        )

    def ask(self, function: Callable[..., Any], items: tuple[Any, ...]) -> None:
        """Give it items. What goes wrong is seen where it should answer."""
        assert self._process.stdin is not None
        try:
            # bytes, which it can read even where there is no such function
            asked = pickle.dumps((function, items), protocol=5)
            self._process.stdin.write(pickle.dumps(asked, protocol=5))
            self._process.stdin.flush()
        except Exception as error:  # whatever pickle makes of what cannot be sent
            logger.warning("items cannot be sent to another process: %s", error)
            self._process.kill()

    def answer(self) -> list[tuple[str | None, Any]] | None:
        """For each an error and what it made of it, when all are ready; None if it could not."""
        assert self._process.stdout is not None
        found: list[tuple[str | None, Any]] | None = None
        try:
            error, found = pickle.load(self._process.stdout)
        except Exception as broken:  # of an answer that breaks off, whatever pickle makes of it
            error = repr(broken)
        if error is not None:
            logger.warning("work in another process has ended (%s); it goes on without", error)
        return found

    @property
    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()


_idle: list[_Process] = []
_lock = threading.Lock()


def processes_for(n_items: int, device: str) -> int:
    """How many processes so many items are worth, beside a model on a device.

    On a CPU none, if ``processes`` of the settings does not say otherwise: the model has the cores.
    """
    wanted = get_settings().processes
    if wanted is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        wanted = 0 if device.startswith("cpu") else min(MOST, cores - 1)
    return 0 if n_items < FEW else min(wanted, n_items // AT_ONCE)


def in_order[T, R](function: Callable[[T], R], items: Iterable[T], processes: int) -> Iterator[R]:
    """Results of a function, in the order of its items, computed ahead.

    Parameters
    ----------
    function
        Found by its name in any process, with whatever it holds; what it gives is pickled.
    items
        Taken from as results are.
    processes
        How many; with none, items are done here, when they are asked for.
    """
    some = batched(items, AT_ONCE)
    asked: deque[tuple[_Process, tuple[T, ...]]] = deque()
    left: list[tuple[T, ...]] = []
    n_done = 0
    try:
        while len(asked) < processes and (process := _started()) is not None:
            part = next(some, None)
            if part is None:
                _idle.append(process)
                break
            asked.append((process, part))
            process.ask(function, part)
        while asked:
            process, part = asked[0]
            found = process.answer()
            if found is None:
                left = [part for _, part in asked]
                break
            following = next(some, None)
            asked.popleft()
            if following is None:
                _idle.append(process)
            else:
                asked.append((process, following))
                process.ask(function, following)
            for item, answer in zip(part, found, strict=True):
                yield _result(function, item, answer, n_done)
                n_done += 1
    finally:
        _end(process for process, _ in asked)
    for part in chain(left, some):
        yield from map(function, part)


class Handed[T, R]:
    """Work that is handed to processes piece by piece; to be used in a ``with`` block.

    Parameters
    ----------
    function
        As for :func:`in_order`.
    """

    def __init__(self, function: Callable[[T], R]):
        self._function = function
        self._processes: list[_Process] = []
        self._given = 0
        self._taken = 0

    def __enter__(self) -> Handed[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        # what was not asked for would be taken for an answer to the next one who asks
        if self._taken == self._given:
            _idle.extend(self._processes)
        else:
            _end(self._processes)

    def give(self, item: T, processes: int) -> Callable[[], R]:
        """Hand over an item. What is given back waits for its result.

        That is called once, for one item after the other, and in another thread than this: whoever
        hands over waits where a process has many.

        Parameters
        ----------
        item
            Sent to one of the processes.
        processes
            How many there may be by now; with none it is done here.
        """
        if len(self._processes) < processes and (started := _started()) is not None:
            self._processes.append(started)
        if not processes or not self._processes:
            found = self._function(item)
            return lambda: found
        process = self._processes[self._given % len(self._processes)]
        self._given += 1
        process.ask(self._function, (item,))

        def result() -> R:
            self._taken += 1
            answer = process.answer()
            if answer is None:
                return self._function(item)
            return _result(self._function, item, answer[0], self._taken - 1)

        return result


def _result[T, R](
    function: Callable[[T], R], item: T, answer: tuple[str | None, Any], number: int
) -> R:
    """What another process made of an item, or this one where that could not."""
    error, found = answer
    if error is None:
        result: R = found
        return result
    logger.warning("another process could not do structure %d (%s); this one does", number, error)
    return function(item)


def _started() -> _Process | None:
    """A process that has nothing to do; None if none can be started."""
    with _lock:
        while _idle:
            if (process := _idle.pop()).is_there:
                return process
            process.end()
    try:
        return _Process()
    except OSError as error:
        logger.warning("no process can be started to prepare structures ahead: %s", error)
        return None


def _end(processes: Iterable[_Process]) -> None:
    for process in processes:
        process.end()


def _forget_in_child() -> None:
    """After a fork: the processes are the parent's, and so is whoever had the lock."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


atexit.register(lambda: _end(_idle))
os.register_at_fork(after_in_child=_forget_in_child)


def main() -> None:
    """Answer until there is nobody left who asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for whoever asks
    # what libraries print is no answer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            asked = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        with suppress(BrokenPipeError):
            answers.write(_answer(asked))
            answers.flush()


def _answer(asked: bytes) -> bytes:
    """An error, or for each item an error and what a function makes of it; pickled."""
    try:
        function, items = pickle.loads(asked)
        return pickle.dumps((None, [_tried(function, item) for item in items]), protocol=5)
    except Exception as error:  # whoever asked does them, and meets it there
        return pickle.dumps((repr(error), None), protocol=5)


def _tried(function: Callable[[Any], Any], item: Any) -> tuple[str | None, Any]:
    try:
        return None, function(item)
    except Exception as error:
        return repr(error), None


if __name__ == "__main__":
    main()
