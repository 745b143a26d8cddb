"""One process at a time submits to a campaign; what one that died left half is removed."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pymongo.errors import DuplicateKeyError, PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.live import open_workflows
from pet_flows.store.clock import CONFIRMED, MISSED, Silence, no_later, now_in

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: s between signs of life of a submission, and without one after which it counts as dead
_BEAT, _DEAD = 3.0, 20.0


@contextmanager
def one_submission(launchpad: LaunchPad, campaign: str) -> Iterator[Callable[[], None]]:
    """Let one process at a time submit to a campaign; the others wait until it has.

    Whoever holds it gives a sign every few seconds; of one that gives none any more it is taken.

    Yields
    ------
    callable
        To be called before anything is added; PetFlowsError, where it was taken.
    """
    claims = launchpad.db["pet_flows_submissions"]
    launchpad.workflows.create_index("metadata.campaign")
    launchpad.fireworks.create_index([("spec.campaign", 1), ("state", 1)])
    mine = {"_id": campaign, "owner": uuid.uuid4().hex}
    silence, told = Silence(claims, "at"), False
    while True:
        try:
            # there for somebody else: no match, and so a second one under the same name
            claims.update_one(mine, now_in("at"), upsert=True)
            break
        except DuplicateKeyError:
            for name, sign in silence.look({"_id": campaign}, 1000 * _DEAD).items():
                claims.delete_one({"_id": name, "at": no_later(sign)})
            if not told:
                logger.warning(
                    "another process is submitting to %s, or died doing so: waiting until it has, "
                    "or for %.0f s",
                    campaign,
                    _DEAD + _DEAD / MISSED + CONFIRMED,
                )
                told = True
            time.sleep(0.2)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            with suppress(PyMongoError):  # the next one may arrive
                claims.update_one(mine, now_in("at"))

    def refuse_taken() -> None:
        if not claims.update_one(mine, now_in("at")).matched_count:
            raise PetFlowsError(
                f"This process gave no sign of life for {_DEAD:.0f} s, and another one may submit "
                f"to {campaign} by now: submit again, and what is missing is added."
            )

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield refuse_taken
    finally:
        ended.set()
        thread.join()
        with suppress(PyMongoError):  # it has no sign of life any more, and is taken in time
            claims.delete_one(mine)


def remove_unfinished(launchpad: LaunchPad, campaign: str) -> None:
    """Remove workflows whose fireworks never arrived, because whoever submitted them died.

    For whoever has the campaign to itself (`one_submission`): others may be submitting.
    """
    for workflow in list(open_workflows(launchpad, campaign)):
        nodes = {"fw_id": {"$in": workflow["nodes"]}}
        there = list(launchpad.fireworks.find(nodes, {"state": 1}))
        begun = any(firework["state"] not in ("READY", "WAITING") for firework in there)
        if len(there) < len(workflow["nodes"]) and not begun:
            launchpad.workflows.delete_one({"_id": workflow["_id"]})
            launchpad.fireworks.delete_many(nodes)
