"""Launches that ended for what says nothing about their job, and how it is made ready again."""

from __future__ import annotations

import errno
import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pet_flows.launch.blame import DEAD, left_to_the_user

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: exceptions of a job that say nothing about the job
_CONNECTION_ERRORS = (
    "pymongo.errors.AutoReconnect",
    "pymongo.errors.NetworkTimeout",
    "pymongo.errors.ServerSelectionTimeoutError",
    "pymongo.errors.NotPrimaryError",
    "pet_flows.store.patience.ServerAwayError",
)
_GIVEN_UP = (
    "pet_flows.launch.stopping.Stopped",
    "pet_flows.jobs.caution.FreshProcess",
    "pet_flows.store.leases.TakenOver",
)
#: what the machine of a worker may lack: a package, a file, space or rights on its disk, a user of
#: the database who may write, a bucket
_SURROUNDINGS = (
    "ModuleNotFoundError", "ImportError", "FileNotFoundError", "PermissionError",
    "botocore.exceptions.", "boto3.exceptions.", "pymongo.errors.OperationFailure: not authorized",
    "pymongo.errors.OperationFailure: Authentication failed", "pet_flows.store.access.AccessError",
    *(f"OSError: [Errno {number}]" for number in (
        errno.EIO, errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.ENOSPC, errno.EROFS, errno.EDQUOT,
        errno.ESTALE,
    )),
)  # fmt: skip
#: launches that a broken connection, or what a worker lacked, may end of one firework; after that
#: it is left fizzled
MOST_BROKEN = 5
#: field of a launch whose firework somebody is making ready
CLAIM = "pet_flows_rerun"
#: what is needed of a launch to judge it
FIELDS = {
    "launch_id": 1, "fw_id": 1, "state": 1, DEAD: 1, CLAIM: 1,
    "action.stored_data._exception._stacktrace": 1,
}  # fmt: skip
_NOT_OF_THE_JOB = (*_CONNECTION_ERRORS, *_SURROUNDINGS)
_OVER = ("RUNNING", "RESERVED", "FIZZLED")


def is_to_be_rerun(launchpad: LaunchPad, launch: Mapping[str, Any]) -> bool:
    """Whether a launch that ended badly says nothing about its job, and was not so too often."""
    if launch["state"] != "FIZZLED":
        return False
    if launch.get(DEAD):
        return left_to_the_user(launchpad, launch["fw_id"]) is None
    if _ended_with(launch, _GIVEN_UP):  # however often: it is the queue that ends them
        return True
    return _ended_with(launch, _NOT_OF_THE_JOB) and _few(launchpad, launch["fw_id"])


def surroundings_of(launchpad: LaunchPad, fw_id: int, folder: str) -> str | None:
    """What a worker lacked whose launch ended in this folder; None where it lacked nothing."""
    query = {"fw_id": fw_id, "launch_dir": folder, "state": "FIZZLED"}
    launch = launchpad.launches.find_one(query, FIELDS, sort=[("launch_id", -1)])
    if launch is None or not _ended_with(launch, _SURROUNDINGS):
        return None
    return _last_line(launch)


def _few(launchpad: LaunchPad, fw_id: int) -> bool:
    """Whether launches of a firework ended not too often with what is not the job's."""
    launches = launchpad.launches.find({"fw_id": fw_id}, FIELDS)
    return sum(_ended_with(launch, _NOT_OF_THE_JOB) for launch in launches) <= MOST_BROKEN


def rerun_once(launchpad: LaunchPad, fw_id: int, launch_id: int, stale: str | None = None) -> bool:
    """Make a firework ready whose last launch is this one, unless somebody else does.

    Parameters
    ----------
    launchpad
        Where it is.
    fw_id, launch_id
        The firework, and the launch that it has to have had last.
    stale
        Claim of somebody who died before it was ready.
    """
    mine = uuid.uuid4().hex
    free = {CLAIM: {"$exists": False}} if stale is None else {CLAIM: stale}
    claimed = launchpad.launches.update_one(
        {"launch_id": launch_id, **free}, {"$set": {CLAIM: mine}}
    )
    if not claimed.modified_count:
        return False
    firework = launchpad.fireworks.find_one({"fw_id": fw_id}, {"state": 1, "launches": 1})
    there = firework or {"state": None, "launches": []}
    if there["state"] not in _OVER or there["launches"][-1:] != [launch_id]:
        return False  # it was run again since
    launchpad.rerun_fw(fw_id)
    return True


def rerun_interrupted(launchpad: LaunchPad, folder: str) -> list[int]:
    """Make what a worker could not end ready again; records that exist stay.

    These are launches in the worker's own folder that the LaunchPad believes to be running
    (their end could not be reported), fizzled ones whose exception is a broken connection, and
    those that it gave up when it had to stop.

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
    for launch in list(launchpad.launches.find(query, FIELDS)):
        fw_id, running = launch["fw_id"], launch["state"] == "RUNNING"
        again = _few(launchpad, fw_id) if running else is_to_be_rerun(launchpad, launch)
        if again and rerun_once(launchpad, fw_id, launch["launch_id"]):
            logger.warning("firework %d was interrupted and is ready again", fw_id)
            rerun.append(fw_id)
    return rerun


def _ended_with(launch: Mapping[str, Any], errors: Iterable[str]) -> bool:
    """Whether the exception of a launch is one of these."""
    return _last_line(launch).startswith(tuple(errors))


def _last_line(launch: Mapping[str, Any]) -> str:
    stored = (launch.get("action") or {}).get("stored_data") or {}
    trace = str((stored.get("_exception") or {}).get("_stacktrace", "")).strip()
    return trace.splitlines()[-1] if trace else ""
