"""A flow → fireworks on the LaunchPad that only workers for it take."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure
from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.structure import InputStructure, make_input, make_source
from pet_flows.jobs.base import PropertyMaker, category_of_device
from pet_flows.jobs.entries import by_reference
from pet_flows.jobs.force_field import potential_of
from pet_flows.launch.launchpad import CATEGORIES, check_set_up, load_launchpad, shared_job_store
from pet_flows.store.patience import ServerAwayError, brief
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow
    from jobflow import Flow, Job


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

    if category is not None and category not in CATEGORIES:
        raise PetFlowsError(f"category must be {' or '.join(CATEGORIES)} (got {category!r}).")
    with nothing_submitted():
        job_store = shared_job_store()
        try:
            pad = launchpad if isinstance(launchpad, LaunchPad) else load_launchpad(launchpad)
            check_set_up(pad)
            with ResultStore.from_job_store(job_store) as results:
                workflow = to_workflow(flow, results, category=category, priority=priority)
        finally:
            job_store.close()
    return _add(pad, workflow)


@contextmanager
def nothing_submitted() -> Iterator[None]:
    """Say of a connection that breaks here that nothing was submitted yet."""
    try:
        yield
    except PyMongoError as error:
        raise _not_submitted(error) from None


def _add(pad: LaunchPad, workflow: Workflow) -> list[int]:
    """Put a workflow on the LaunchPad: the whole of it, or nothing.

    Raises
    ------
    ServerAwayError
        Says whether something was left behind.
    """
    fireworks = list(workflow.fws)  # in the order of the flow's jobs
    try:
        pad.add_wf(workflow)
    except PyMongoError as error:
        ids = sorted(firework.fw_id for firework in fireworks if firework.fw_id > 0)
        if not ids:  # FireWorks had not even numbered them
            raise _not_submitted(error) from None
        try:
            if pad.workflows.find_one({"nodes": {"$in": ids}}, {"_id": 1}) is None:
                pad.fireworks.delete_many({"fw_id": {"$in": ids}})
                raise _not_submitted(error) from None
        except PyMongoError:
            raise ServerAwayError(
                f"The LaunchPad went away while fireworks {ids[0]} to {ids[-1]} were submitted "
                f"({brief(error)}), and whether they are there is not known: when it is back, look "
                f"with `lpad get_wflows -i {ids[0]}`, and submit again if it knows none."
            ) from None
        # all of it had arrived, only the answer had not
    return [firework.fw_id for firework in fireworks]


def _not_submitted(error: PyMongoError) -> ServerAwayError:
    return ServerAwayError(
        f"MongoDB stopped the submission ({type(error).__name__}: {brief(error)}): nothing was "
        "submitted; submit again when it answers."
    )


def to_workflow(
    flow: Flow | Job,
    results: ResultStore,
    *,
    category: str | None = None,
    priority: int | None = None,
) -> Workflow:
    """Convert a flow with jobflow's own FireWorks manager, our fireworks marked.

    Parameters
    ----------
    flow
        Its jobs are changed: they refer to their structures, and know their category.
    results
        Where the structures go.
    category, priority
        As for `submit`.
    """
    from jobflow.core.flow import get_flow
    from jobflow.managers.fireworks import flow_to_workflow

    whole = get_flow(flow)
    jobs = [job for job, _ in whole.iterflow()]
    for job in jobs:
        _refer(job, results)
        _mark(job, category, priority)
    campaigns = [job.maker.campaign for job in jobs if isinstance(job.maker, PropertyMaker)]
    name = next((campaign for campaign in campaigns if campaign), whole.name)
    with warnings.catch_warnings():
        # batches are independent of each other: so they should be
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        return flow_to_workflow(whole, name=name)


def _mark(job: Job, category: str | None, priority: int | None) -> None:
    """Say in a job's config what FireWorks is to know of it; what the user set there wins."""
    marks: dict[str, Any] = {} if priority is None else {"_priority": priority}
    given = dict(job.config.manager_config)
    if (by_device := category_of(job)) is not None:
        marks["_category"] = category or by_device
        if given.get("_category") == by_device:  # it was made with that
            del given["_category"]
    if isinstance(job.maker, PropertyMaker) and job.maker.campaign:
        marks["campaign"] = job.maker.campaign
    job.config = replace(job.config, manager_config={**marks, **given})


def category_of(job: Job) -> str | None:
    """Give the category of a job with a potential of ours, by its device; None for other codes'.

    The latter keep the category that they have, or none: workers of ours must not take them.
    """
    if isinstance(job.maker, PropertyMaker):
        return job.maker.category()
    spec = potential_of(job.maker)
    return None if spec is None else category_of_device(spec.device)


def _refer(job: Job, results: ResultStore) -> None:
    """Put the structures among a job's arguments into the store."""
    if not isinstance(job.maker, PropertyMaker):
        return
    job.function_args = tuple(_referred(value, results) for value in job.function_args)
    job.function_kwargs = {
        name: _referred(value, results) for name, value in job.function_kwargs.items()
    }


def _referred(value: Any, results: ResultStore) -> Any:
    if isinstance(value, list):
        whole = [n for n, item in enumerate(value) if isinstance(item, Structure | InputStructure)]
        referred = by_reference([_input(value[n]) for n in whole], results)
        known = dict(zip(whole, referred, strict=True))
        return [known.get(n, item) for n, item in enumerate(value)]
    if isinstance(value, Structure | InputStructure):
        return by_reference([_input(value)], results)[0]
    return value


def _input(given: Structure | InputStructure) -> InputStructure:
    if isinstance(given, InputStructure):
        return given
    return make_input(given, make_source(material_id=given.properties.get("material_id")))
