"""What ended earlier launches of a firework, and what the next one has to beware of."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pet_flows.errors import StructureError
from pet_flows.jobs.caution import MODEL, MOST_FRESH, Caution, being
from pet_flows.jobs.observe import watchers
from pet_flows.store.patience import patient

if TYPE_CHECKING:
    from fireworks import Firework, LaunchPad

logger = logging.getLogger(__name__)

#: fields of a launch: its worker died; what it had in hand, as (key, done); keys of structures for
#: which a fresh process was wanted
DEAD, IN_HAND, FRESH = "pet_flows_dead", "pet_flows_in_hand", "pet_flows_fresh"
#: deaths of workers that had the same in hand, and came no further, after which it is given up
MOST_DEATHS = 4
#: deaths in a row before anything was in hand, or of jobs that do not say what they have in hand
MOST_UNEXPLAINED = 6
#: s between notes of how far the structure in hand is
_NOTED = 5.0


def left_to_the_user(launchpad: LaunchPad, fw_id: int) -> str | None:
    """Why a firework on which workers died is not run again; None if it is."""
    dead = list(_ended(launchpad, fw_id, {DEAD: True}))
    if (count := _deaths(dead).get(MODEL, 0)) >= MOST_DEATHS:
        return (
            f"Its worker died {count} times while the model was loaded: it is left to you "
            "(pet-flows retry)."
        )
    explained = [launch.get(IN_HAND) is not None for launch in dead]
    unexplained = next((n for n, is_so in enumerate(reversed(explained)) if is_so), len(dead))
    if unexplained >= MOST_UNEXPLAINED:
        return f"Its worker died on it {unexplained} times: it is left to you (pet-flows retry)."
    return None


@contextmanager
def cautious(launchpad: LaunchPad, firework: Firework, folder: str) -> Iterator[Caution]:
    """Lend the job of a firework what is known of its earlier launches.

    Parameters
    ----------
    launchpad
        Where it is.
    firework
        About to be launched.
    folder
        Launch directory of this worker.
    """
    mine = {"fw_id": firework.fw_id, "launch_dir": folder, "state": "RUNNING"}
    caution = Caution()
    if firework.archived_launches:
        told = {"$or": [{DEAD: True}, {FRESH: {"$exists": True}}]}
        ended = list(_ended(launchpad, firework.fw_id, told))
        caution.alone = bool(ended)
        caution.tried = Counter(str(key) for launch in ended for key in launch.get(FRESH) or ())
        for key, count in _deaths(ended).items():
            if count >= MOST_DEATHS and key != MODEL:
                caution.refused[key] = StructureError(
                    "worker_died",
                    f"{count} processes died while they computed this structure, mostly for want "
                    "of memory; use a larger machine or a smaller cell, and retry.",
                    retryable=True,
                )
        for key, count in caution.tried.items():
            if count > MOST_FRESH:
                caution.refused[key] = StructureError(
                    "device_error",
                    f"The device broke down on this structure in {count} processes; use another "
                    "model or another machine, and retry.",
                    retryable=True,
                )
    in_hand: dict[str, Any] = {}
    noted = 0.0

    def begin(key: str) -> None:
        in_hand.update(key=key, done=0)
        patient(launchpad.launches.update_one)(mine, {"$set": {IN_HAND: dict(in_hand)}})

    def watch(name: str, label: str | None, done: int, total: int) -> None:
        nonlocal noted
        if in_hand and label is not None and time.monotonic() - noted > _NOTED:
            noted = time.monotonic()
            in_hand["done"] = done
            patient(launchpad.launches.update_one)(mine, {"$set": {IN_HAND: dict(in_hand)}})

    caution.begin = begin
    watchers.append(watch)
    try:
        with being(caution):
            yield caution
    finally:
        watchers.remove(watch)


def want_fresh(launchpad: LaunchPad, fw_id: int, folder: str, caution: Caution) -> None:
    """Note on the launch that ended here for which structures a fresh process is wanted."""
    keys = [key for key in caution.wanted if key is not None]
    mine = {"fw_id": fw_id, "launch_dir": folder, "state": "FIZZLED", FRESH: {"$exists": False}}
    patient(launchpad.launches.update_many)(mine, {"$set": {FRESH: keys}})


def _ended(launchpad: LaunchPad, fw_id: int, which: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    fields = {"launch_id": 1, DEAD: 1, IN_HAND: 1, FRESH: 1}
    query = {"fw_id": fw_id, **which}
    yield from launchpad.launches.find(query, fields, sort=[("launch_id", 1)])


def _deaths(launches: list[dict[str, Any]]) -> dict[str, int]:
    """Key → workers that died with it in hand and came no further than those before them."""
    counts: dict[str, int] = {}
    farthest: dict[str, int] = {}
    for launch in launches:
        at = launch.get(IN_HAND)
        if not launch.get(DEAD) or not at:
            continue
        key, done = str(at["key"]), int(at["done"])
        if done > farthest.get(key, -1):
            farthest[key], counts[key] = done, 1
        else:
            counts[key] += 1
    return counts
