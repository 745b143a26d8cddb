"""What of a campaign waits or runs on the LaunchPad, so that nobody submits it again."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from pymongo.errors import DuplicateKeyError, PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.entries import StructureReference
from pet_flows.launch.unnamed import inputs_of
from pet_flows.records.keys import digest, input_digest
from pet_flows.records.schema import SOURCE_IDENTITY
from pet_flows.store.clock import Silence, no_later, now_in

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)

#: states of fireworks that will be run, or will be when somebody lets them
LIVE = ("READY", "RESERVED", "RUNNING", "PAUSED", "DEFUSED")
#: s between signs of life of a submission, and without one after which it counts as dead
_BEAT, _DEAD = 3.0, 20.0


def mark_of(given: Any, used: str) -> str | None:
    """Short digest of a structure, its names, and the potential it is computed with.

    Parameters
    ----------
    given
        As jobs hold it; None is given back for what is no structure, such as a parent's output.
    used
        `potential_used` of the maker.
    """
    if isinstance(given, StructureReference):
        start = given.digest
    elif isinstance(given, InputStructure):
        start = input_digest(given.structure, given.source, given.problem)
    else:
        return None
    names = [given.source.get(name) for name in SOURCE_IDENTITY if name != "campaign"]
    return str(digest([start, names, used]))[:16]


def potential_used(maker: PropertyMaker) -> str:
    """Weights, symmetrization and dtype that a maker was given, whatever its property needs."""
    potential = maker.potential
    names = ("sha256", "symmetrization", "dtype")
    return "/".join(str(getattr(maker, n, None) or getattr(potential, n, None)) for n in names)


class Live:
    """Properties of a campaign that wait or run, by structure; 10 bytes for each.

    What waits for a firework that fizzled will not be run, and does not count.
    """

    def __init__(self, launchpad: LaunchPad, campaign: str):
        query = {"spec.campaign": campaign, "state": {"$ne": "COMPLETED"}}
        found = launchpad.fireworks.find(query, {"fw_id": 1, "state": 1})
        states = {firework["fw_id"]: firework["state"] for firework in found}
        self._kinds: list[frozenset[str]] = []
        marks, kinds = array("Q"), array("H")

        def add(alive: frozenset[str], structures: Sequence[str]) -> None:
            if alive not in self._kinds:
                self._kinds.append(alive)
            marks.extend(int(mark, 16) for mark in structures)
            kinds.extend([self._kinds.index(alive)] * len(structures))

        for workflow in _open(launchpad, campaign):
            metadata, nodes = workflow["metadata"], sorted(workflow["nodes"])
            fizzled = any(states.get(fw_id) == "FIZZLED" for fw_id in nodes)
            counted = LIVE if fizzled else (*LIVE, "WAITING")
            order = zip(nodes, metadata["properties"], strict=False)
            if alive := frozenset(of for fw_id, of in order if states.get(fw_id) in counted):
                add(alive, metadata["structures"])
            for fw_id in nodes:
                states.pop(fw_id, None)
        left = [fw_id for fw_id, state in states.items() if state in (*LIVE, "WAITING")]
        for maker, inputs in inputs_of(launchpad, left):
            named = [mark_of(given, potential_used(maker)) for given in inputs]
            add(frozenset([maker.property_name]), [mark for mark in named if mark is not None])
        order_ = np.argsort(np.array(marks, "u8"), kind="stable")
        self._marks, self._of = np.array(marks, "u8")[order_], np.array(kinds, "u2")[order_]

    def __len__(self) -> int:
        """How many structures, with each of their potentials."""
        return len(np.unique(self._marks))

    def of(self, marks: Sequence[str]) -> dict[str, frozenset[str]]:
        """Properties that wait or run, by `mark_of` structures, of those that have any."""
        if not marks:
            return {}
        asked = np.array([int(mark, 16) for mark in marks], "u8")
        first = np.searchsorted(self._marks, asked, "left")
        last = np.searchsorted(self._marks, asked, "right")
        return {
            mark: frozenset().union(*(self._kinds[kind] for kind in self._of[a:b]))
            for mark, a, b in zip(marks, first, last, strict=True)
            if b > a
        }


def remove_unfinished(launchpad: LaunchPad, campaign: str) -> None:
    """Remove workflows whose fireworks never arrived, because whoever submitted them died.

    For whoever has the campaign to itself (`one_submission`): others may be submitting.
    """
    for workflow in list(_open(launchpad, campaign)):
        nodes = {"fw_id": {"$in": workflow["nodes"]}}
        there = list(launchpad.fireworks.find(nodes, {"state": 1}))
        begun = any(firework["state"] not in ("READY", "WAITING") for firework in there)
        if len(there) < len(workflow["nodes"]) and not begun:
            launchpad.workflows.delete_one({"_id": workflow["_id"]})
            launchpad.fireworks.delete_many(nodes)


def _open(launchpad: LaunchPad, campaign: str) -> Iterator[dict[str, Any]]:
    query = {"metadata.campaign": campaign, "state": {"$nin": ["COMPLETED", "ARCHIVED"]}}
    yield from launchpad.workflows.find(query, {"nodes": 1, "metadata": 1})


def states_of(launchpad: LaunchPad, campaign: str) -> Counter[str]:
    """How many fireworks of a campaign are in each state."""
    steps = [
        {"$match": {"spec.campaign": campaign}},
        {"$group": {"_id": "$state", "n": {"$sum": 1}}},
    ]
    return Counter({found["_id"]: found["n"] for found in launchpad.fireworks.aggregate(steps)})


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
                    _DEAD,
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
