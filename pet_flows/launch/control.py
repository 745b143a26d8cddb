"""What an operator does with a campaign on the LaunchPad: pause, resume, cancel, try again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from fireworks import LaunchPad


def pause(launchpad: LaunchPad, campaign: str) -> int:
    """Keep from running what has not begun; says how many fireworks."""
    return _each(launchpad, campaign, ("WAITING", "READY"), launchpad.pause_fw)


def resume(launchpad: LaunchPad, campaign: str) -> int:
    """Let run what was paused; says how many fireworks."""
    return _each(launchpad, campaign, ("PAUSED",), launchpad.resume_fw)


def cancel(launchpad: LaunchPad, campaign: str) -> int:
    """Archive what has not begun; says how many fireworks. What runs goes on to its end."""

    def archive(fw_id: int) -> Any:
        found = launchpad.fireworks.find_one_and_update(
            {"fw_id": fw_id, "state": {"$in": list(states)}},
            {"$set": {"state": "ARCHIVED", "updated_on": datetime.now(UTC)}},
        )
        if found is not None:
            launchpad._refresh_wf(fw_id)
        return found

    states = ("WAITING", "READY", "PAUSED", "DEFUSED", "FIZZLED")
    return _each(launchpad, campaign, states, archive)


def rerun_fizzled(launchpad: LaunchPad, campaign: str) -> int:
    """Make what fizzled ready again; says how many fireworks."""

    def rerun(fw_id: int) -> Any:
        if launchpad.fireworks.find_one({"fw_id": fw_id, "state": "FIZZLED"}, {"_id": 1}) is None:
            return None  # somebody was faster, and it may run by now
        launchpad.rerun_fw(fw_id)
        return True

    return _each(launchpad, campaign, ("FIZZLED",), rerun)


def _each(
    launchpad: LaunchPad, campaign: str, states: Sequence[str], act: Callable[[int], Any]
) -> int:
    """Do it to the fireworks of a campaign in some states.

    Raises
    ------
    PetFlowsError
        The LaunchPad has none of this campaign.
    """
    ours = {"spec.campaign": campaign}
    if launchpad.fireworks.find_one(ours, {"_id": 1}) is None:
        known = sorted(str(name) for name in launchpad.fireworks.distinct("spec.campaign") if name)
        raise PetFlowsError(
            f"There is no campaign {campaign!r} on this LaunchPad: "
            + (f"choose from {', '.join(known[:20])}." if known else "submit one first.")
        )
    # children first: a parent that is let go must not find them as they were
    query = {**ours, "state": {"$in": list(states)}}
    found = launchpad.fireworks.find(query, {"fw_id": 1}, sort=[("fw_id", -1)])
    return sum(act(firework["fw_id"]) is not None for firework in list(found))
