"""What of a campaign waits or runs on the LaunchPad, so that nobody submits it again."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pymongo.errors import DuplicateKeyError, PyMongoError

from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.entries import StructureReference
from pet_flows.records.keys import digest, input_digest
from pet_flows.records.schema import SOURCE_IDENTITY

if TYPE_CHECKING:
    from fireworks import LaunchPad

#: states of fireworks that will be run, or will be when somebody lets them
LIVE = ("READY", "RESERVED", "RUNNING", "PAUSED", "DEFUSED")
#: s between signs of life of a submission, and without one after which it counts as dead
_BEAT, _DEAD = 3.0, 20.0


def mark_of(given: Any, sha256: str | None) -> str | None:
    """Short digest of a structure, its names, and the weights it is computed with.

    Parameters
    ----------
    given
        As jobs hold it; None is given back for what is no structure, such as a parent's output.
    sha256
        Of the weights.
    """
    if isinstance(given, StructureReference):
        start = given.digest
    elif isinstance(given, InputStructure):
        start = input_digest(given.structure, given.source, given.problem)
    else:
        return None
    names = [given.source.get(name) for name in SOURCE_IDENTITY if name != "campaign"]
    return str(digest([start, names, sha256]))[:16]


def live_structures(launchpad: LaunchPad, campaign: str) -> dict[str, set[str]]:
    """Properties that wait or run, by `mark_of` their structure.

    What waits for a firework that fizzled will not be run, and does not count.
    """
    found: dict[str, set[str]] = {}
    query = {"metadata.campaign": campaign, "state": {"$nin": ["COMPLETED", "ARCHIVED"]}}
    for workflow in launchpad.workflows.find(query, {"nodes": 1, "fw_states": 1, "metadata": 1}):
        states, metadata = workflow["fw_states"], workflow["metadata"]
        counted = LIVE if "FIZZLED" in states.values() else (*LIVE, "WAITING")
        order = zip(sorted(workflow["nodes"]), metadata["properties"], strict=False)
        alive = {of for fw_id, of in order if states.get(str(fw_id)) in counted}
        for mark in metadata["structures"] if alive else ():
            found.setdefault(mark, set()).update(alive)
    return found


def states_of(launchpad: LaunchPad, campaign: str) -> Counter[str]:
    """How many fireworks of a campaign are in each state."""
    found = launchpad.fireworks.find({"spec.campaign": campaign}, {"state": 1})
    return Counter(firework["state"] for firework in found)


@contextmanager
def one_submission(launchpad: LaunchPad, campaign: str) -> Iterator[None]:
    """Let one process at a time submit to a campaign; the others wait until it has.

    Whoever holds it gives a sign every few seconds; of one that gives none any more it is taken.
    """
    claims = launchpad.db["pet_flows_submissions"]
    launchpad.workflows.create_index("metadata.campaign")
    mine = {"_id": campaign, "owner": uuid.uuid4().hex}
    seen: Any = None
    since = time.monotonic()
    while True:
        try:
            claims.insert_one({**mine, "beat": 0})
            break
        except DuplicateKeyError:
            now = claims.find_one({"_id": campaign})
            if now is None:
                continue
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > _DEAD:
                claims.delete_one(now)
                continue
            time.sleep(0.2)
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            try:
                claims.update_one(mine, {"$inc": {"beat": 1}})
            except PyMongoError:  # the next one may arrive
                continue

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        claims.delete_one(mine)
