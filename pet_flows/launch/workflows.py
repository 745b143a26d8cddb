"""A flow → FireWorks workflows, their fireworks marked as ours and small."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from pet_flows.inputs.structure import InputStructure, make_input, make_source
from pet_flows.jobs.base import PropertyMaker, category_of_device
from pet_flows.jobs.entries import StructureReference, batch_by_reference, by_reference
from pet_flows.jobs.force_field import potential_of
from pet_flows.launch.live import mark_of, potential_used
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import Workflow
    from jobflow import Flow, Job


def to_workflows(
    flow: Flow | Job,
    results: ResultStore,
    *,
    category: str | None = None,
    priority: int | None = None,
) -> list[Workflow]:
    """Convert a flow with jobflow's own FireWorks manager, our fireworks marked.

    A campaign becomes one workflow for each of its batches, which have nothing to do with each
    other: FireWorks locks and rewrites a whole workflow at each step of one of its fireworks. Other
    flows are one workflow, as their authors expect.

    Parameters
    ----------
    flow
        Its jobs are changed: they refer to their structures, and know their category.
    results
        Where the structures go.
    category, priority
        As for `pet_flows.launch.submit.submit`.
    """
    from jobflow.core.flow import get_flow
    from jobflow.managers.fireworks import flow_to_workflow

    whole = get_flow(flow)
    jobs = [job for job, _ in whole.iterflow()]
    marks = {job.uuid: _refer(job, results) for job in jobs}
    for job in jobs:
        mark_job(job, category, priority)
    campaigns = {_campaign(job) for job in jobs}
    if len(campaigns) == 1 and (campaign := campaigns.pop()) is not None:
        return _of_batches(whole, campaign, marks)
    name = next((campaign for campaign in map(_campaign, jobs) if campaign), whole.name)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        return [flow_to_workflow(whole, name=name)]


def _of_batches(flow: Flow, campaign: str, marks: Mapping[str, set[str]]) -> list[Workflow]:
    """One workflow for each set of jobs that depend on each other; ``marks`` by job."""
    with warnings.catch_warnings():
        # batches are independent of each other: so they should be
        warnings.filterwarnings("ignore", "Some jobs are not connected")
        parents = [(job, list(of)) for job, of in flow.iterflow()]
    batches = _connected(parents)
    found = []
    for n, batch in enumerate(batches, 1):
        structures = sorted(set().union(*(marks[job.uuid] for job, _ in batch)))
        name = campaign if len(batches) == 1 else f"{campaign} {n}/{len(batches)}"
        found.append(workflow_of(batch, campaign, structures, name))
    return found


def workflow_of(
    jobs: Sequence[tuple[Job, list[str]]], campaign: str, structures: Sequence[str], name: str
) -> Workflow:
    """Make one workflow of a campaign.

    Parameters
    ----------
    jobs
        Of our makers, each with the uuids of those before it that it needs.
    campaign
        Its name.
    structures
        Marks of all that it is about (`pet_flows.launch.live.mark_of`).
    name
        Of the workflow.
    """
    from fireworks import Workflow
    from jobflow.managers.fireworks import job_to_firework

    made: dict[str, Any] = {}
    fireworks = [job_to_firework(job, parents=of, parent_mapping=made) for job, of in jobs]
    makers: list[Any] = [job.maker for job, _ in jobs]
    metadata = {
        "campaign": campaign,
        "properties": [maker.property_name for maker in makers],  # as the fireworks
        "structures": list(structures),
    }
    return Workflow(fireworks, name=name, metadata=metadata)


def _connected(jobs: Sequence[tuple[Job, list[str]]]) -> list[list[tuple[Job, list[str]]]]:
    """Jobs with their parents, which come before them, in groups that have nothing in common."""
    group: dict[str, str] = {}

    def root(uuid: str) -> str:
        while group[uuid] != uuid:
            uuid = group[uuid]
        return uuid

    for job, parents in jobs:
        group[job.uuid] = job.uuid
        for parent in parents:
            group[root(parent)] = root(job.uuid)
    found: dict[str, list[tuple[Job, list[str]]]] = {}
    for job, parents in jobs:
        found.setdefault(root(job.uuid), []).append((job, parents))
    return list(found.values())


def _campaign(job: Job) -> str | None:
    return job.maker.campaign if isinstance(job.maker, PropertyMaker) else None


def mark_job(job: Job, category: str | None, priority: int | None) -> None:
    """Say in a job's config what FireWorks is to know of it; what the user set there wins."""
    marks: dict[str, Any] = {} if priority is None else {"_priority": priority}
    given = dict(job.config.manager_config)
    if (by_device := category_of(job)) is not None:
        marks["_category"] = category or by_device
        if given.get("_category") == by_device:  # it was made with that
            del given["_category"]
    if campaign := _campaign(job):
        marks["campaign"] = campaign
    job.config = replace(job.config, manager_config={**marks, **given})


def category_of(job: Job) -> str | None:
    """Give the category of a job with a potential of ours, by its device; None for other codes'.

    The latter keep the category that they have, or none: workers of ours must not take them.
    """
    if isinstance(job.maker, PropertyMaker):
        return job.maker.category()
    spec = potential_of(job.maker)
    return None if spec is None else category_of_device(spec.device)


def _refer(job: Job, results: ResultStore) -> set[str]:
    """Put the structures among a job's arguments into the store.

    Returns
    -------
    set of str
        The marks of all of them, with the potential that they are computed with.
    """
    if not isinstance(job.maker, PropertyMaker):
        return set()
    used = potential_used(job.maker)
    marks: set[str | None] = set()

    def referred(value: Any) -> Any:
        if isinstance(value, Structure | InputStructure):
            value = by_reference([_input(value)], results)[0]
        elif isinstance(value, list) and any(map(_is_structure, value)):
            return _referred(value, results, marks, used)
        marks.add(mark_of(value, used))
        return value

    job.function_args = tuple(map(referred, job.function_args))
    job.function_kwargs = {name: referred(v) for name, v in job.function_kwargs.items()}
    return {mark for mark in marks if mark is not None}


def _referred(value: list[Any], results: ResultStore, marks: set[str | None], used: str) -> Any:
    """A list of structures as one reference, where there is nothing else in it."""
    whole = [n for n, item in enumerate(value) if isinstance(item, Structure | InputStructure)]
    known = dict(zip(whole, by_reference([_input(value[n]) for n in whole], results), strict=True))
    items = [known.get(n, item) for n, item in enumerate(value)]
    marks.update(mark_of(item, used) for item in items)
    return batch_by_reference(items, results) if all(map(_is_structure, items)) else items


def _is_structure(item: Any) -> bool:
    return isinstance(item, Structure | InputStructure | StructureReference)


def _input(given: Structure | InputStructure) -> InputStructure:
    if isinstance(given, InputStructure):
        return given
    return make_input(given, make_source(material_id=given.properties.get("material_id")))
