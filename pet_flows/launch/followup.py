"""What was followed up already: in the job store, and on the LaunchPad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pet_flows.flows.candidates import Candidate
from pet_flows.flows.followup import BY_MAKER, RECORD, path_of
from pet_flows.store.patience import patient

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore, Maker

#: states of fireworks that nobody waits for
_GIVEN_UP = ("ARCHIVED", "DEFUSED")


@patient
def followed_up(
    found: Sequence[Candidate],
    maker: Maker,
    job_store: JobStore,
    launchpad: LaunchPad | None = None,
) -> set[str]:
    """Records that went to this very maker before: something of it is stored, or waits, or failed.

    Parameters
    ----------
    found
        Candidates.
    maker
        That they would go to.
    job_store
        Connected.
    launchpad
        None where nothing is submitted.
    """
    keys = [candidate.record for candidate in found]
    stored = {f"metadata.{RECORD}": {"$in": keys}, f"metadata.{BY_MAKER}": path_of(maker)}
    there = {
        document["metadata"][RECORD]
        for document in job_store.docs_store.query(stored, [f"metadata.{RECORD}"])
    }
    if launchpad is not None:
        submitted = {
            f"spec.{RECORD}": {"$in": keys},
            f"spec.{BY_MAKER}": path_of(maker),
            "state": {"$nin": list(_GIVEN_UP)},
        }
        for firework in launchpad.fireworks.find(submitted, {f"spec.{RECORD}": 1}):
            there.add(firework["spec"][RECORD])
    return there
