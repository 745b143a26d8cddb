"""What processes do in tests of those who start them: they only wait, and import nothing heavy."""

from __future__ import annotations

import signal
import time
from multiprocessing.connection import Connection
from typing import Any


def waits(pipe: Connection, options: dict[str, Any]) -> None:
    """Until a signal comes."""
    pipe.send(("doing", "waits"))
    time.sleep(100)


def deaf(pipe: Connection, options: dict[str, Any]) -> None:
    """Whatever signals say, as in a long call of a library."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(("doing", "deaf"))
    time.sleep(100)


def dies(pipe: Connection, options: dict[str, Any]) -> None:
    """At the first signal, with something in hand."""
    pipe.send(("named", "somebody"))
    pipe.send(("doing", "dies"))
    time.sleep(100)
