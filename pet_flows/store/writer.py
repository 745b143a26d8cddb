"""Records written while the next ones are computed, as many at once as have come meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pet_flows.store.blobs import Arrays

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

#: records that may wait, after which whoever computes waits too; s for which the first one does,
#: for others to be written with it: what waited in a process that is killed is computed again
MOST, LINGER = 64, 0.05

_Computed = tuple[Mapping[str, Any], Mapping[str, Arrays]]
#: gives a record and its blobs, waiting for them if need be
Making = Callable[[], _Computed]


class Writer:
    """Writes records in a thread of its own, to be used in a ``with`` block.

    At its end everything is written, also when an exception ends it.

    Parameters
    ----------
    results
        Where to.

    Raises
    ------
    PetFlowsError
        What could not be written, at the next record or at the end.

    Attributes
    ----------
    written
        How many of the records, in their order, the store has acknowledged.
    """

    def __init__(self, results: ResultStore):
        self._results = results
        self._waiting: queue.Queue[Making | None] = queue.Queue(MOST)
        self._error: BaseException | None = None
        self.written = 0
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def put(self, made: Making) -> None:
        """Let a record be written, each once; it is asked for in the order of this, over there."""
        self._raise()
        self._waiting.put(made)

    def flush(self) -> None:
        """Wait until everything so far is written."""
        self._waiting.join()
        self._raise()

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        ended = False
        while not ended:
            some, ended = self._some()
            computed = []
            # also after an error: whoever computes is told, and nobody must wait for ever
            for made in some:
                with self._noted():
                    computed.append(made())
            with self._noted():
                if self._error is None:
                    self._results.put_all(computed)
                    self.written += len(some)
            for _ in some:
                self._waiting.task_done()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """What goes wrong is raised where records are put."""
        try:
            yield
        except BaseException as error:
            self._error = self._error or error

    def _some(self) -> tuple[list[Making], bool]:
        """What waits, and whether there will be no more."""
        some: list[Making] = []
        until: float | None = None
        while len(some) < MOST:
            try:
                left = None if until is None else max(0.0, until - time.monotonic())
                given = self._waiting.get(timeout=left)
            except queue.Empty:
                break
            if given is None:
                return some, True
            some.append(given)
            until = until or time.monotonic() + LINGER
        return some, False
