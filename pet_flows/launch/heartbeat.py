"""Signs of life of workers, by which others tell them from dead ones."""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from pet_flows.store.clock import MISSED, own_sign
from pet_flows.store.patience import brief

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: s between heartbeats of a running job, where FW_config.yaml does not say otherwise
HEARTBEAT = 20
_DEFAULT_HEARTBEAT = 3600
#: name in the ``env`` of a worker of ours: s between heartbeats of its jobs
HEARTBEAT_SAID = "pet_flows_heartbeat"
#: field of a launch: when its worker gave a sign of life last, by the server's clock
ALIVE = "pet_flows_alive"
#: s in which a worker with the usual heartbeat has shown whether it is alive
LONG_ENOUGH = 110.0
#: s until the next attempt where the server was away
_AGAIN = 1.0


def limit(field: str) -> dict[str, Any]:
    """Expression of MongoDB: ms of silence after which the worker of a launch counts as dead."""
    return {"$multiply": [f"${field}", 1000 * MISSED]}


def give_sign(launchpad: LaunchPad, launch_id: int) -> None:
    """Let the server write down that the worker of a launch is alive, if the launch still runs."""
    mine = {"launch_id": launch_id, "state": "RUNNING"}
    launchpad.launches.update_one(mine, own_sign(ALIVE))


def _beat(
    launchpad: LaunchPad,
    launch_id: int,
    stop: threading.Event,
    master: threading.Thread,
    note: Path,
) -> None:
    """In place of FireWorks' own, which ends for ever when the server is away once."""
    from fireworks.core import rocket

    wait, begun = 0.0, False
    while not stop.wait(wait) and master.is_alive():
        with suppress(OSError):  # its time of access alone: the other is when the job was begun
            os.utime(note, (time.time(), note.stat().st_mtime))
        try:
            give_sign(launchpad, launch_id)
            if begun:  # FireWorks' own writes what the main thread writes at the beginning
                rocket.do_ping(launchpad, launch_id)
            wait, begun = rocket.PING_TIME_SECS, True
        except PyMongoError as error:
            wait = min(_AGAIN, rocket.PING_TIME_SECS)
            logger.warning("no heartbeat, MongoDB does not answer: %s", brief(error))


def set_heartbeat(note: Path) -> float:
    """Let a dead worker be noticed within minutes, unless FW_config.yaml has its own number.

    Parameters
    ----------
    note
        File in the worker's folder while a job runs there, accessed with each heartbeat.

    Returns
    -------
    float
        s between heartbeats.
    """
    from fireworks import fw_config
    from fireworks.core import rocket

    if fw_config.PING_TIME_SECS == _DEFAULT_HEARTBEAT:
        rocket.PING_TIME_SECS = HEARTBEAT
    rocket.ping_launch = partial(_beat, note=note)
    return float(rocket.PING_TIME_SECS)
