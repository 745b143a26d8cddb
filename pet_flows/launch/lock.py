"""FireWorks' lock of a workflow, taken from processes that are gone."""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.store.clock import now_in
from pet_flows.store.patience import patient
from pet_flows.store.process import name_of_process

logger = logging.getLogger(__name__)

#: s for which nothing about a locked workflow changed after which its lock is taken; who is alive
#: holds it for some tens of milliseconds, in a workflow of thousands of fireworks for a second
EXPIRES = 15.0
#: field of a workflow: mark of the lock, and when it was taken, by the server's clock
TAKEN = "pet_flows_lock"
#: s between attempts, at most
_LONGEST_PAUSE = 0.5
#: fireworks of a workflow that is refreshed as a whole; a batch has as many as properties
MOST_REFRESHED = 50


class WorkflowLock:
    """Drop-in for `fireworks.core.launchpad.WFLock`.

    FireWorks' own does not say whose it is. A process that is killed inside it stops its workflow:
    every other one waits 300 s at each step and then gives up, or, with WFLOCK_EXPIRATION_KILL,
    goes in after any 300 s of waiting, also when many living ones had it one by one. This one is
    taken when it and the workflow stayed the same for `EXPIRES`, by one of those who wait.

    Parameters
    ----------
    launchpad, fw_id
        The workflow is that of this firework.
    expires
        s; `EXPIRES` without it.
    """

    def __init__(self, launchpad: Any, fw_id: int, expires: float | None = None):
        self.launchpad = launchpad
        self.workflows = launchpad.workflows
        self._was_taken = False
        self.fw_id = fw_id
        self.expires = EXPIRES if expires is None else expires
        self.mark = f"{name_of_process()}-{uuid.uuid4().hex[:8]}"

    def __enter__(self) -> None:
        """Wait for the lock."""
        self._was_taken = False
        seen: Any = None
        since, pause = time.monotonic(), 0.02
        while not self._take({"locked": {"$exists": False}}):
            now = self.workflows.find_one({"nodes": self.fw_id}, {"locked": 1, "updated_on": 1})
            if now is None:
                raise ValueError(f"Could not find workflow in database: {self.fw_id}")
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since >= self.expires and "locked" in now:
                same = {name: now.get(name) for name in ("locked", "updated_on")}
                if self._take(same):
                    logger.warning(
                        "the workflow of firework %d was locked by a process that is gone (%s); "
                        "its lock is taken",
                        self.fw_id,
                        now["locked"],
                    )
                    self._was_taken = True
                    return
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(1.5 * pause, _LONGEST_PAUSE)

    def __exit__(self, *_: object) -> None:
        """Give it back, unless somebody else has taken it."""
        # FireWorks writes True where our mark was when it writes the workflow
        self.workflows.update_one(
            {"nodes": self.fw_id, "locked": {"$in": [self.mark, True]}},
            {"$unset": {"locked": "", TAKEN: ""}},
        )
        if self._was_taken:
            found = self.workflows.find_one({"nodes": self.fw_id}, {"nodes": 1})
            refresh_all(self.launchpad, found["nodes"] if found else [])

    def _take(self, state: dict[str, Any]) -> bool:
        mine = {"$set": {"locked": self.mark, f"{TAKEN}.mark": self.mark}}
        taken = self.workflows.update_one(
            {"nodes": self.fw_id, **state}, {**mine, **now_in(f"{TAKEN}.at")}
        )
        return bool(taken.matched_count)


def refresh_all(launchpad: Any, nodes: Sequence[int]) -> None:
    """Bring every firework of a workflow to where those before it are.

    Whoever died inside the lock may have written the end of one, and not that the next is ready.
    """
    if len(nodes) <= MOST_REFRESHED:
        for fw_id in sorted(nodes):
            launchpad._refresh_wf(fw_id)


def use_workflow_lock() -> None:
    """Let FireWorks lock with `WorkflowLock` in this process, unless FW_config.yaml says how.

    Its refreshing of a workflow also waits for a server that is away: FireWorks' own makes the
    firework FIZZLED when a connection breaks there.
    """
    from fireworks import fw_config
    from fireworks.core import launchpad

    if (fw_config.WFLOCK_EXPIRATION_SECS, fw_config.WFLOCK_EXPIRATION_KILL) == (300, False):
        launchpad.WFLock = WorkflowLock
    own = launchpad.LaunchPad._refresh_wf
    if not hasattr(own, "__wrapped__"):
        launchpad.LaunchPad._refresh_wf = _waiting(own)


def _waiting(own: Callable[[Any, int], None]) -> Callable[[Any, int], None]:
    from fireworks.core import launchpad

    @patient
    def refresh(pad: Any, fw_id: int) -> None:
        with launchpad.WFLock(pad, fw_id):
            workflow = pad.get_wf_by_fw_id_lzyfw(fw_id)
            pad._update_wf(workflow, workflow.refresh(fw_id))

    @wraps(own)
    def waiting(pad: Any, fw_id: int) -> None:
        try:
            refresh(pad, fw_id)
        except PetFlowsError:  # the server stayed away
            raise
        except Exception:  # FireWorks knows what to do
            own(pad, fw_id)

    return waiting
