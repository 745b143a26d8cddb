"""``pet-flows followup``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.cli.arguments import parse_query
from pet_flows.cli.query import check_campaign
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from fireworks import LaunchPad
    from jobflow import JobStore

    from pet_flows.flows.candidates import Candidate
    from pet_flows.flows.followup import FollowUpMaker

Campaign = Annotated[str, typer.Argument(help="Name of the campaign.")]
MakerPath = Annotated[
    str,
    typer.Option(
        "--maker",
        help="Dotted path of a Jobflow maker that takes a structure, or of a variable with one, "
        "such as atomate2.vasp.flows.core.DoubleRelaxMaker.",
    ),
]
Top = Annotated[int, typer.Option(min=1, help="How many materials.")]
By = Annotated[
    str,
    typer.Option(
        help="Number by which they are chosen, smallest first; with a minus before it largest "
        "first: e_above_hull (of the campaign's energies; e_above_hull.dft of the references), or "
        "one of a result: energy_per_atom, -b0, phonon.min_frequency."
    ),
]
Filter = Annotated[
    str | None, typer.Option(help="Only those whose records match a MongoDB query, as JSON.")
]
Local = Annotated[
    bool, typer.Option("--local", help="Run them here, one after the other, without a LaunchPad.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which they are.")]
Again = Annotated[bool, typer.Option("--again", help="Also those that went to this maker before.")]
LaunchpadFile = Annotated[
    Path | None, typer.Option("--launchpad", "-l", help="my_launchpad.yaml, if not the usual one.")
]
Priority = Annotated[int | None, typer.Option(help="Larger runs first.")]


def command(
    campaign: Campaign,
    maker: MakerPath,
    top: Top = 10,
    by: By = "e_above_hull",
    filter: Filter = None,
    local: Local = False,
    dry_run: DryRun = False,
    again: Again = False,
    launchpad: LaunchpadFile = None,
    priority: Priority = None,
) -> None:
    """Give the best materials of a campaign to DFT flows of your own.

    Their jobs, and the documents that these store, name the record that they began with, so that
    pet-flows reference add jobflow and pet-flows compare put both beside each other.
    """
    from pet_flows.flows.candidates import candidates
    from pet_flows.flows.followup import FollowUpMaker, named_maker
    from pet_flows.store.locate import open_job_store
    from pet_flows.store.results import ResultStore

    criteria = parse_query(filter) if filter is not None else None
    with closing(open_job_store(read_only=True)) as there:
        check_campaign(ResultStore.from_job_store(there, read_only=True), campaign)
    chosen = FollowUpMaker(maker=named_maker(maker), by=by, top=top)
    pad = None if local or dry_run else _launchpad(launchpad)
    with closing(open_job_store(read_only=dry_run)) as job_store:
        results = ResultStore.from_job_store(job_store, read_only=dry_run)
        found = candidates(results, campaign, by, top, criteria)
        for candidate in found:
            typer.echo(
                f"{candidate.formula}  {candidate.name}  {by.lstrip('-')} {candidate.value:g}"
            )
        if dry_run:
            return
        left = list(found) if again else _left(found, chosen, job_store, pad)
        if not left:
            return
        if pad is None:
            _run(left, chosen, job_store)
        else:
            _submit(left, chosen, pad, priority)


def _launchpad(file: Path | None) -> LaunchPad:
    from pet_flows.launch.launchpad import check_set_up, load_launchpad, shared_job_store
    from pet_flows.launch.submit import nothing_submitted

    with nothing_submitted():
        shared_job_store().close()  # a server for the results, or the sentence why not
        pad = load_launchpad(file)
        check_set_up(pad)
    return pad


def _left(
    found: Sequence[Candidate], chosen: FollowUpMaker, job_store: JobStore, pad: LaunchPad | None
) -> list[Candidate]:
    from pet_flows.launch.followup import followed_up

    assert chosen.maker is not None
    there = followed_up(found, chosen.maker, job_store, pad)
    if there:
        typer.echo(
            f"{len(there)} of them went to {chosen.maker.name} before; --again repeats that."
        )
    return [candidate for candidate in found if candidate.record not in there]


def _submit(
    left: Sequence[Candidate], chosen: FollowUpMaker, pad: LaunchPad, priority: int | None
) -> None:
    from pet_flows.launch.submit import submit

    ids: list[int] = []
    for flow in chosen.flows(left):  # each a workflow of its own: one that fails stops no other
        ids += submit(flow, launchpad=pad, priority=priority)
    typer.echo(
        f"{counted(len(left), 'structure')} in {counted(len(ids), 'firework')} ({min(ids)} to "
        f"{max(ids)}). Run them with rlaunch, or those of pet-flows with pet-flows worker."
    )


def _run(left: Sequence[Candidate], chosen: FollowUpMaker, job_store: JobStore) -> None:
    from jobflow import run_locally

    failed = []
    for candidate, flow in zip(left, chosen.flows(left), strict=True):
        jobs = [job.uuid for job, _ in flow.iterflow()]
        outputs = run_locally(flow, store=job_store, log=False, create_folders=True)
        if any(uuid not in outputs for uuid in jobs):
            failed.append(candidate.name)
    typer.echo(f"{counted(len(left) - len(failed), 'structure')} calculated.")
    if failed:
        raise PetFlowsError(
            f"{counted(len(failed), 'flow')} did not end ({', '.join(failed[:5])}): read the job's "
            "folder, and run this again."
        )
