"""What of a campaign waits or runs on the LaunchPad, so that nobody submits it again."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.entries import StructureReference
from pet_flows.launch.unnamed import inputs_of
from pet_flows.records.keys import digest, input_digest
from pet_flows.records.schema import SOURCE_IDENTITY

if TYPE_CHECKING:
    from fireworks import LaunchPad

#: states of fireworks that will be run, or will be when somebody lets them
LIVE = ("READY", "RESERVED", "RUNNING", "PAUSED", "DEFUSED")


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

        for workflow in open_workflows(launchpad, campaign):
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


def open_workflows(launchpad: LaunchPad, campaign: str) -> Iterator[dict[str, Any]]:
    """Workflows of a campaign that have not come to an end."""
    query = {"metadata.campaign": campaign, "state": {"$nin": ["COMPLETED", "ARCHIVED"]}}
    yield from launchpad.workflows.find(query, {"nodes": 1, "metadata": 1})
