"""``pet-flows submit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.cli.arguments import Asked, campaign_command
from pet_flows.cli.campaign import checked_maker, read, read_campaign
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.launch.campaign import Submitted
    from pet_flows.store.results import ResultStore

Category = Annotated[
    str | None, typer.Option(help="pet-gpu or pet-cpu (default: as the device says).")
]
LaunchpadFile = Annotated[
    Path | None, typer.Option("--launchpad", "-l", help="my_launchpad.yaml, if not the usual one.")
]
Priority = Annotated[int | None, typer.Option(help="Larger runs first.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Submit nothing; say what would be, and how long it runs.")
]


@campaign_command
def command(
    asked: Asked,
    category: Category = None,
    launchpad: LaunchpadFile = None,
    priority: Priority = None,
    dry_run: DryRun = False,
) -> None:
    """Put a campaign on the LaunchPad; `pet-flows worker` runs it.

    What is stored, waits or runs is left out. The same campaign may be submitted again with more
    structures, properties or potentials.

    Needs a MongoDB: a jobflow.yaml for the results and a my_launchpad.yaml for the fireworks.
    """
    from pet_flows.launch.campaign import submit_campaign
    from pet_flows.launch.launchpad import check_set_up, load_launchpad, shared_job_store
    from pet_flows.launch.submit import check_category, nothing_submitted
    from pet_flows.store.results import ResultStore

    asked_for = read_campaign(asked)
    check_category(category)
    with nothing_submitted():
        job_store = shared_job_store()  # a server for the results, or the sentence why not
        pad = load_launchpad(launchpad)
        check_set_up(pad)
        maker = checked_maker(asked_for)
        results = ResultStore.from_job_store(job_store, read_only=dry_run)
    with results:
        found = submit_campaign(
            maker,
            read(asked_for, job_store),
            pad,
            results,
            category=category or asked_for.submit.category,
            priority=asked_for.submit.priority if priority is None else priority,
            dry_run=dry_run,
        )
        lines = _dry(found, results) if dry_run else []
    job_store.close()
    typer.echo("\n".join([_said(maker.name, found, dry_run), *lines]))


def _said(name: str, found: Submitted, dry_run: bool) -> str:
    """What was submitted, and what was not and why."""
    of = counted(found.n_inputs, "structure")
    done = f"{found.n_done} of {of} are done already" if found.n_done else ""
    live = f"{found.n_live} of {of} wait or run" if found.n_live else ""
    there = ", ".join(part for part in (done, live) if part)
    if not found.n_fireworks:
        return f"Campaign {name}: {there}; nothing is left to submit. See pet-flows status {name}."
    what = f"{counted(found.n_left, 'structure')} in {counted(found.n_fireworks, 'firework')}"
    if dry_run:
        return f"Campaign {name} would have {what}{f'; {there}' if there else ''}."
    first, last = found.fireworks
    return (
        f"Campaign {name}: {what} ({first} to {last}){f'; {there}' if there else ''}. "
        f"Run pet-flows worker, look with pet-flows status {name}."
    )


def _dry(found: Submitted, results: ResultStore) -> list[str]:
    """A line for each property: records, and what they cost by the records that are there."""
    from pet_flows.launch.estimate import cost

    lines, hours = [], 0.0
    for (name, digest), n in found.wanted.items():
        known = cost(results, name, digest)
        line = f"  {name:8} {counted(n, 'record')}"
        if known is None:
            lines.append(f"{line}; nobody has computed one with this potential to say how long")
            continue
        atoms = found.atoms[name, digest]
        hours += known.seconds * atoms / 3600
        lines.append(
            f"{line}, about {known.evaluations * n:.0f} evaluations and "
            f"{known.seconds * atoms / 3600:.2g} h of one worker"
        )
    return [*lines, *([f"  together about {hours:.2g} h of one worker"] if hours else [])]
