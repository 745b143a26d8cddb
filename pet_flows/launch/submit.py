"""A flow → fireworks on the LaunchPad that only workers for it take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.launchpad import CATEGORIES, check_set_up, load_launchpad, shared_job_store
from pet_flows.launch.workflows import to_workflows
from pet_flows.store.access import is_refusal, refused
from pet_flows.store.patience import ServerAwayError, brief
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow
    from jobflow import Flow, Job

#: workflows that are inserted at once
CHUNK = 200


def submit(
    flow: Flow | Job,
    *,
    category: str | None = None,
    launchpad: LaunchPad | str | Path | None = None,
    priority: int | None = None,
) -> list[int]:
    """Put a flow on the LaunchPad.

    Structures given to our jobs are put into ``pet_structures`` first, so that fireworks hold
    their digests only. Nothing is computed here.

    Parameters
    ----------
    flow
        Of our makers, or of atomate2's with ours inside.
    category
        ``pet-gpu`` or ``pet-cpu`` for all jobs of ours that name none themselves; by default what
        the potential's device says: ``pet-cpu`` for cpu, ``pet-gpu`` otherwise. Jobs of other
        codes keep their own category, or none.
    launchpad
        Or its file; by default that of FireWorks' own configuration.
    priority
        FireWorks runs larger numbers first.

    Returns
    -------
    list of int
        Ids of the fireworks, in the order of the flow's jobs.

    Raises
    ------
    PetFlowsError
        No LaunchPad or one never set up, no jobflow.yaml with a server, an unknown category; or a
        connection broke, and then what was submitted.
    """
    from fireworks import LaunchPad

    check_category(category)
    with nothing_submitted():
        job_store = shared_job_store()
        try:
            pad = launchpad if isinstance(launchpad, LaunchPad) else load_launchpad(launchpad)
            check_set_up(pad)
            with ResultStore.from_job_store(job_store) as results:
                workflows = to_workflows(flow, results, category=category, priority=priority)
        finally:
            job_store.close()
    return add_workflows(pad, workflows)


def check_category(category: str | None) -> None:
    """Refuse categories of fireworks that no worker of ours takes."""
    if category is not None and category not in CATEGORIES:
        raise PetFlowsError(f"category must be {' or '.join(CATEGORIES)} (got {category!r}).")


@contextmanager
def nothing_submitted() -> Iterator[None]:
    """Say of a connection that breaks here that nothing was submitted yet."""
    try:
        yield
    except PyMongoError as error:
        raise stopped(error, 0, None) from None


def add_workflows(
    pad: LaunchPad, workflows: Sequence[Workflow], before: int | None = None
) -> list[int]:
    """Put workflows on the LaunchPad, each of them whole or not at all.

    Parameters
    ----------
    pad
        Where to.
    workflows
        All there are; or some of a submission of which ``before`` fireworks arrived already.

    Returns
    -------
    list of int
        Ids of the fireworks, in order.

    Raises
    ------
    ServerAwayError
        Says what was left behind.
    """
    # in the order of the flow's jobs, whatever order FireWorks keeps them in
    ordered = [list(workflow.fws) for workflow in workflows]
    total = sum(map(len, ordered))
    done = 0
    for start in range(0, len(workflows), CHUNK):
        some = workflows[start : start + CHUNK]
        try:
            _insert(pad, some)
        except PyMongoError as error:
            ids = sorted(fw.fw_id for workflow in some for fw in workflow.fws if fw.fw_id > 0)
            arrived = _whole(pad, ids, error)
            if done + arrived < total:
                whole = total if before is None else None
                raise stopped(error, (before or 0) + done + arrived, whole) from None
            # all of it had arrived, only the answer had not
        done += sum(map(len, ordered[start : start + CHUNK]))
    return [firework.fw_id for fireworks in ordered for firework in fireworks]


def _insert(pad: LaunchPad, workflows: Sequence[Workflow]) -> None:
    """Number and insert workflows, as `LaunchPad.bulk_add_wfs`, which draws a progress bar."""
    first = pad.get_new_fw_id(quantity=sum(len(workflow.fws) for workflow in workflows))
    for workflow in workflows:
        new = dict(zip(workflow.id_fw, range(first, first + len(workflow.fws)), strict=True))
        first += len(new)
        for firework in workflow.fws:
            firework.fw_id = new[firework.fw_id]
        workflow._reassign_ids(new)
        for fw_id in workflow.root_fw_ids:
            workflow.id_fw[fw_id].state = workflow.fw_states[fw_id] = "READY"
    # workflows first: no firework is run without its own
    pad.workflows.insert_many([workflow.to_db_dict() for workflow in workflows])
    pad.fireworks.insert_many([fw.to_db_dict() for workflow in workflows for fw in workflow.fws])


def _whole(pad: LaunchPad, ids: Sequence[int], error: PyMongoError) -> int:
    """Fireworks of whole workflows that have arrived; what is not whole is removed."""
    if not ids:  # FireWorks had not even numbered them
        return 0
    count = 0
    try:
        there = {fw["fw_id"] for fw in pad.fireworks.find({"fw_id": {"$in": ids}}, {"fw_id": 1})}
        for workflow in list(pad.workflows.find({"nodes": {"$in": ids}}, {"nodes": 1})):
            nodes = set(workflow["nodes"])
            if nodes <= there:
                count += len(nodes)
                continue
            pad.workflows.delete_one({"_id": workflow["_id"]})
            pad.fireworks.delete_many({"fw_id": {"$in": list(nodes)}})
    except PyMongoError:
        raise ServerAwayError(
            f"The LaunchPad went away while fireworks {ids[0]} to {ids[-1]} were submitted "
            f"({brief(error)}), and whether they are there is not known: when it is back, look "
            f"with `lpad get_wflows -i {ids[0]}`, and submit again if it knows none."
        ) from None
    return count


def stopped(error: PyMongoError, arrived: int, total: int | None) -> ServerAwayError:
    """Say that a connection broke, and how many fireworks had arrived; of how many, if known."""
    if is_refusal(error) and not arrived:
        return refused(error)
    of = "" if total is None else f" of {total}"
    said = (
        f"{arrived}{of} fireworks were submitted; submit again when it answers, for the rest."
        if arrived
        else "nothing was submitted; submit again when it answers."
    )
    return ServerAwayError(
        f"MongoDB stopped the submission ({type(error).__name__}: {brief(error)}): {said}"
    )
