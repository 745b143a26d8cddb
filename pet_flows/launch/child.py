"""What a process of several workers does: work, and tell those who started it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.launch.stopping import GONE


def work(pipe: Connection, options: dict[str, Any]) -> None:
    """Be a worker, tell what it does through a pipe, and end this process."""
    # until the worker listens it has nothing in hand
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    from pymongo.errors import PyMongoError

    from pet_flows.jobs.observe import observers, watchers
    from pet_flows.launch.worker import run_worker
    from pet_flows.store.access import said_of
    from pet_flows.store.process import name_of_process

    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # Ctrl-C is for whoever started it, who hands it on
    threading.Thread(target=_end_with_parent, daemon=True).start()
    told = 0.0

    def send(kind: str, what: object) -> None:
        with suppress(OSError):  # whoever listened has died, and this process is told to end
            pipe.send((kind, what))

    def record(name: str, slim: dict[str, Any], computed: bool) -> None:
        if computed:
            send("record", {key: slim.get(key) for key in ("key", "state", "reason")})

    def watch(name: str, label: str | None, done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told > 0.5:
            told = time.monotonic()
            what = f"{total} structures" if label is None else f"{label}, {done} of {total}"
            send("doing", f"{name} of {what}")

    send("named", name_of_process())
    observers.append(record)
    watchers.append(watch)
    try:
        done = run_worker(**options)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends now, and tells what was done
        send("done", done)
    except PetFlowsError as error:
        send("refused", str(error))
    except PyMongoError as error:
        send("refused", str(said_of(error)))
    pipe.close()
    logging.shutdown()
    with suppress(OSError):  # the terminal may be closed
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(0)  # taking torch apart takes seconds, which a queue may not give


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GONE)  # in which the main thread has ended the process, where it can
        os._exit(1)
