"""Fireworks that a broken connection left in a state which nobody would ever change."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: a checkout takes some tens of milliseconds; what is reserved so long without a launch is stuck
STUCK_AFTER = timedelta(minutes=2)
#: exceptions of a job that say nothing about the job
_CONNECTION_ERRORS = (
    "pymongo.errors.AutoReconnect",
    "pymongo.errors.NetworkTimeout",
    "pymongo.errors.ServerSelectionTimeoutError",
    "pymongo.errors.NotPrimaryError",
    "pet_flows.store.patience.ServerAwayError",
)
#: launches after which a firework whose connection always breaks is left fizzled
_MOST_LAUNCHES = 5


def rerun_interrupted(launchpad: LaunchPad, folder: str) -> list[int]:
    """Make what a worker could not end ready again; records that exist stay.

    These are launches in the worker's own folder that the LaunchPad believes to be running
    (their end could not be reported), and fizzled ones whose exception is a broken connection.

    Parameters
    ----------
    launchpad
        One whose database answers.
    folder
        Launch directory that no other worker uses.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    rerun = []
    query = {"launch_dir": folder, "state": {"$in": ["RUNNING", "FIZZLED"]}}
    for launch in launchpad.launches.find(query):
        fw_id, launch_id = launch["fw_id"], launch["launch_id"]
        firework = launchpad.fireworks.find_one({"fw_id": fw_id, "launches": launch_id})
        if firework is None or firework["state"] not in ("RUNNING", "FIZZLED"):
            continue  # it was run again since
        tries = len(firework["launches"]) + len(firework.get("archived_launches", []))
        if tries > _MOST_LAUNCHES:
            continue
        if launch["state"] == "FIZZLED" and not _connection_broke(launch):
            continue
        logger.warning("firework %d was interrupted and is ready again", fw_id)
        launchpad.rerun_fw(fw_id)
        rerun.append(fw_id)
    return rerun


def release_stuck(launchpad: LaunchPad, categories: Sequence[str]) -> list[int]:
    """Make fireworks of ours ready again that are reserved without any launch.

    A server or a worker that ends between reserving and launching leaves this; FireWorks'
    ``detect_lostruns`` and ``detect_unreserved`` look at launches only, and never see it.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    stuck = {
        "state": "RESERVED",
        "launches": [],
        "spec._category": {"$in": list(categories)},
        "updated_on": {"$lt": (datetime.now(UTC) - STUCK_AFTER).replace(tzinfo=None)},
    }
    released = []
    for firework in launchpad.fireworks.find(stuck, {"fw_id": 1}):
        logger.warning("firework %d was stuck and is ready again", firework["fw_id"])
        launchpad.rerun_fw(firework["fw_id"])
        released.append(firework["fw_id"])
    return released


def finish_ended(launchpad: LaunchPad, categories: Sequence[str]) -> list[int]:
    """Bring fireworks of ours that are RUNNING to the end that their launch has had.

    A worker writes the end of a launch first, and then, inside the lock of the workflow, that of
    the firework; one that is killed in between leaves this, and ``detect_lostruns`` never sees it.
    Who is alive and about to do the same is not harmed.

    Returns
    -------
    list of int
        Ids of the fireworks.
    """
    finished = []
    running = {"state": "RUNNING", "spec._category": {"$in": list(categories)}}
    for firework in list(launchpad.fireworks.find(running, {"fw_id": 1, "launches": 1})):
        ended = {
            "launch_id": {"$in": firework["launches"]},
            "state": {"$in": ["COMPLETED", "FIZZLED"]},
        }
        if launchpad.launches.find_one(ended, {"launch_id": 1}) is None:
            continue
        logger.warning("firework %d had ended and says so now", firework["fw_id"])
        launchpad._refresh_wf(firework["fw_id"])  # what `lpad admin refresh` calls
        finished.append(firework["fw_id"])
    return finished


def _connection_broke(launch: dict) -> bool:
    """Whether the exception of a launch is one of the connection."""
    stored = (launch.get("action") or {}).get("stored_data") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace", "")).strip()
    last = trace.splitlines()[-1] if trace else ""
    return last.startswith(_CONNECTION_ERRORS)
