"""Signs of life of workers, by which others tell them from dead ones."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from pet_flows.store.patience import brief

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: s between heartbeats of a running job, where FW_config.yaml does not say otherwise
HEARTBEAT = 20
_DEFAULT_HEARTBEAT = 3600
#: name in the ``env`` of a worker of ours: s between heartbeats of its jobs
HEARTBEAT_SAID = "pet_flows_heartbeat"
#: heartbeats that may fail to come before its worker counts as dead
MISSED = 4
#: s in which a worker with the usual heartbeat has shown whether it is alive
LONG_ENOUGH = 100.0


def _beat(
    launchpad: LaunchPad, launch_id: int, stop: threading.Event, master: threading.Thread
) -> None:
    """In place of FireWorks' own, which ends for ever when the server is away once."""
    from fireworks.core import rocket

    while not stop.wait(rocket.PING_TIME_SECS) and master.is_alive():
        try:
            rocket.do_ping(launchpad, launch_id)
        except PyMongoError as error:
            logger.warning("no heartbeat, MongoDB does not answer: %s", brief(error))


def set_heartbeat() -> float:
    """Let a dead worker be noticed within minutes, unless FW_config.yaml has its own number.

    Returns
    -------
    float
        s between heartbeats.
    """
    from fireworks import fw_config
    from fireworks.core import rocket

    if fw_config.PING_TIME_SECS == _DEFAULT_HEARTBEAT:
        rocket.PING_TIME_SECS = HEARTBEAT
    rocket.ping_launch = _beat
    return float(rocket.PING_TIME_SECS)
