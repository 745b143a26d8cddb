"""A campaign → the LaunchPad: what is missing of it, batch by batch, in bounded memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.entries import JobInput, batch_by_reference, put_structures, reference
from pet_flows.launch.batches import Batch, Batches
from pet_flows.launch.claim import one_submission, remove_unfinished
from pet_flows.launch.live import Live
from pet_flows.launch.remaining import Plan
from pet_flows.launch.submit import add_workflows, stopped
from pet_flows.launch.workflows import mark_job, workflow_of
from pet_flows.records.keys import FIRST
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import LaunchPad, Workflow

#: structures that are looked at together
CHUNK = 1000


@dataclass
class Submitted:
    """What became of the structures of a campaign."""

    n_inputs: int = 0
    n_left: int = 0
    """of which something is submitted"""
    n_done: int = 0
    n_live: int = 0
    """what is missing of them waits or runs"""
    fireworks: list[int] = field(default_factory=list)
    """ids of the first and the last"""
    n_fireworks: int = 0
    n_workflows: int = 0
    wanted: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(property, digest of the potential) → records to be computed"""
    atoms: Counter[tuple[str, str]] = field(default_factory=Counter)
    """likewise, atoms of their structures"""


def submit_campaign(
    maker: ScreenMaker,
    inputs: Iterable[InputStructure],
    launchpad: LaunchPad,
    results: ResultStore,
    *,
    category: str | None = None,
    priority: int | None = None,
    dry_run: bool = False,
    told: Callable[[Submitted], None] = lambda done: None,
) -> Submitted:
    """Submit what a campaign's structures still need.

    What is stored, waits or runs is left out, also where another process submits at the same time:
    it has the campaign to itself. The campaign may be new, or have other structures, properties
    and potentials already.

    Parameters
    ----------
    maker
        Of the campaign.
    inputs
        Structures, of which 1000 are held at a time.
    launchpad, results
        Where fireworks and structures go.
    category, priority
        As for `pet_flows.launch.submit.submit`.
    dry_run
        Write nothing; say only what would be submitted.
    told
        Called after every 1000 structures.

    Raises
    ------
    PetFlowsError
        The campaign is there with other settings; or a connection broke, and then what was
        submitted.
    """
    name, done = maker.name, Submitted()
    try:
        with nullcontext(_alone) if dry_run else one_submission(launchpad, name) as refuse_taken:
            if not dry_run:
                remove_unfinished(launchpad, name)
                results.campaigns.put(maker.manifest(), maker.run_options().batch_size)
            _submit(
                maker, inputs, launchpad, results, category, priority, dry_run, told, done,
                refuse_taken,
            )  # fmt: skip
            if not dry_run:
                results.campaigns.count(name)
    except PyMongoError as error:
        raise stopped(error, done.n_fireworks, None) from None
    return done


def _alone() -> None:
    """Nothing is added: nobody else's submission matters."""


def _submit(
    maker: ScreenMaker,
    inputs: Iterable[InputStructure],
    launchpad: LaunchPad,
    results: ResultStore,
    category: str | None,
    priority: int | None,
    dry_run: bool,
    told: Callable[[Submitted], None],
    done: Submitted,
    refuse_taken: Callable[[], None],
) -> None:
    plan = Plan(maker, results, Live(launchpad, maker.name))
    batches = Batches(maker)
    manifest, per_structure = maker.manifest(), len(maker.properties) * len(maker.specs())
    in_campaign = {"metadata.campaign": maker.name}
    number = 0 if dry_run else launchpad.workflows.count_documents(in_campaign)

    def add(ready: Sequence[Batch]) -> None:
        nonlocal number
        refuse_taken()
        workflows: list[Workflow] = []
        for batch in ready:
            number += 1
            given = batch_by_reference([item.given for item in batch.items], results)
            jobs = maker.batch(given, batch.spec, batch.names, manifest, str(number))
            for job in jobs.values():
                mark_job(job, category, priority)
            marks = sorted({item.mark for item in batch.items})
            first = [job.uuid for name, job in jobs.items() if name == FIRST]
            parents = [(j, [] if name == FIRST else first) for name, j in jobs.items()]
            workflows.append(workflow_of(parents, maker.name, marks, f"{maker.name} {number}"))
        ids = add_workflows(launchpad, workflows, done.n_fireworks)
        done.n_workflows += len(workflows)
        done.n_fireworks += len(ids)
        if ids:
            done.fireworks = [min([*done.fireworks, *ids]), max(ids)]

    for chunk, last in _chunks(inputs):
        references: list[JobInput] = [reference(given) for given in chunk]
        found = plan.of(references)
        done.n_inputs += len(chunk)
        done.n_left += found.n_left
        done.n_done += found.n_done
        done.n_live += found.n_live
        left: set[int] = set()
        for (spec, names), items in found.items.items():
            for item in items:
                left.add(item.n)
                size = _atoms(chunk[item.n])
                batches.add(spec, names, item, size)
                for one in names:
                    kind = (one, plan.digest(spec, one))
                    done.wanted[kind] += 1
                    done.atoms[kind] += size
        if not dry_run:
            order = sorted(left)
            put_structures((chunk[n] for n in order), (references[n] for n in order), results)
            results.campaigns.spread(maker.name, done.n_inputs * per_structure)
            results.campaigns.add_keys(maker.name, found.keys, found.starts)
            add(batches.ready(last))
        else:
            ready = batches.ready(last)
            done.n_workflows += len(ready)
            done.n_fireworks += sum(len(batch.names) for batch in ready)
        told(done)


def _chunks(inputs: Iterable[InputStructure]) -> Iterator[tuple[list[InputStructure], bool]]:
    """Some structures at a time, and whether they are the last."""
    iterator = iter(inputs)
    chunk = list(islice(iterator, CHUNK))
    while chunk:
        following = list(islice(iterator, CHUNK)) if len(chunk) == CHUNK else []
        yield chunk, not following
        chunk = following


def _atoms(given: InputStructure) -> int:
    return 0 if given.structure is None or given.problem else len(given.structure)
