"""How a worker is told to stop, and gives up what it has in hand in time."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

logger = logging.getLogger(__name__)

#: s after which a job that has not come to a place where it can be left is broken off anywhere;
#: queues kill 30 s after they have asked
GRACE = 2.5
#: s after a signal in which processes have to be gone
GONE = GRACE + 4
#: s between attempts, should something on the way catch what breaks it off
_AGAIN = 1.0


def asking_to_end() -> tuple[signal.Signals, ...]:
    """Signals that ask to end: without SIGHUP where it is ignored, as below nohup."""
    asking = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    return tuple(n for n in asking if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN)


class Stopped(BaseException):
    """The worker has to go: its job is given up, and its firework ready for others.

    No Exception, so that nothing takes it for a failure of a structure.
    """


class Stopping:
    """When and how fast a worker ends.

    Attributes
    ----------
    asked
        Set, no further job is begun.
    """

    def __init__(self, grace: float = GRACE):
        self.grace = grace
        self.asked = threading.Event()
        self._urgent = False
        self._in_job = False
        self._interrupts = 0

    @contextmanager
    def listening(self, time_limit: float | None = None) -> Iterator[None]:
        """Hear signals while inside, and the end of the time there is.

        SIGTERM and SIGHUP give up the job, SIGINT ends after it, a second SIGINT gives it up, a
        third one raises KeyboardInterrupt.

        Parameters
        ----------
        time_limit
            s from now after which the process will be killed; its job is given up before.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (*asking_to_end(), signal.SIGALRM)
        before = {number: signal.signal(number, self._heard) for number in numbers}
        if time_limit is not None:
            signal.setitimer(signal.ITIMER_REAL, max(0.1, time_limit - 4 * self.grace))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def during_job(self) -> Iterator[None]:
        """Inside, a job may be given up: where it tells its progress, or later anywhere."""
        from pet_flows.jobs.observe import observers, watchers

        observers.append(self._check)
        watchers.append(self._check)
        self._in_job = True
        try:
            yield
        finally:
            self._in_job = False
            observers.remove(self._check)
            watchers.remove(self._check)

    def _check(self, *_: Any) -> None:
        if self._urgent and self._in_job:
            raise Stopped

    def _heard(self, number: int, frame: object) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 2:
                raise KeyboardInterrupt
            if self._interrupts == 1:
                logger.warning("%s: the worker ends after this job", name)
                self.asked.set()
                return
        if number == signal.SIGALRM and self._urgent:  # it had its time
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            raise Stopped
        said = "the time limit is near" if number == signal.SIGALRM else name
        does = "gives up its job, which is for others" if self._in_job else "ends"
        logger.warning("%s: the worker %s", said, does)
        self.asked.set()
        self._urgent = True
        signal.setitimer(signal.ITIMER_REAL, self.grace)
