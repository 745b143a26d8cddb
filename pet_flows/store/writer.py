"""Records written while the next ones are computed, as many at once as have come meanwhile."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pet_flows.store.blobs import Arrays

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

#: records that may wait, after which whoever computes waits too; s for which the first one does,
#: for others to be written with it: what waited in a process that is killed is computed again
MOST, LINGER = 64, 0.05

_Computed = tuple[Mapping[str, Any], Mapping[str, Arrays]]


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
        self._waiting: queue.Queue[_Computed | None] = queue.Queue(MOST)
        self._error: BaseException | None = None
        self.written = 0
        self._thread = threading.Thread(target=self._run, name="records", daemon=True)

    def put(self, record: Mapping[str, Any], blobs: Mapping[str, Arrays]) -> None:
        """Let a record be written; each once."""
        self._raise()
        self._waiting.put((record, blobs))

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
            if self._error is None:  # else whoever computes is told, and must not wait for ever
                try:
                    self._results.put_all(some)
                    self.written += len(some)
                except BaseException as error:  # raised where records are put
                    self._error = error
            for _ in some:
                self._waiting.task_done()

    def _some(self) -> tuple[list[_Computed], bool]:
        """What waits, and whether there will be no more."""
        some: list[_Computed] = []
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
