"""``pet-flows submit``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.arguments import Asked, campaign_command, counted
from pet_flows.cli.campaign import Campaign, build_campaign, read_campaign

Category = Annotated[
    str | None, typer.Option(help="pet-gpu or pet-cpu (default: as the device says).")
]
LaunchpadFile = Annotated[
    Path | None, typer.Option("--launchpad", "-l", help="my_launchpad.yaml, if not the usual one.")
]
Priority = Annotated[int | None, typer.Option(help="Larger runs first.")]


@campaign_command
def command(
    asked: Asked,
    category: Category = None,
    launchpad: LaunchpadFile = None,
    priority: Priority = None,
) -> None:
    """Put a campaign on the LaunchPad; `pet-flows worker` runs it.

    Needs a MongoDB: a jobflow.yaml for the results and a my_launchpad.yaml for the fireworks.
    """
    from pet_flows.launch.launchpad import check_set_up, load_launchpad, shared_job_store
    from pet_flows.launch.live import one_submission, remove_unfinished
    from pet_flows.launch.submit import nothing_submitted, submit

    asked_for = read_campaign(asked)
    with nothing_submitted():
        shared_job_store().close()  # a server for the results, or the sentence why not
        pad = load_launchpad(launchpad)
        check_set_up(pad)
    name = asked_for.name
    with ExitStack() as alone:
        with nothing_submitted():
            alone.enter_context(one_submission(pad, name))
            remove_unfinished(pad, name)
            campaign = build_campaign(asked_for, launchpad=pad)
        there = _there(campaign)
        if campaign.flow is None:
            typer.echo(
                f"Campaign {name}: {there}; nothing is left to submit. See pet-flows status {name}."
            )
            return
        ids = submit(
            campaign.flow,
            category=category or asked_for.submit.category,
            launchpad=pad,
            priority=asked_for.submit.priority if priority is None else priority,
        )
    n = campaign.n_inputs - campaign.n_done - campaign.n_live
    typer.echo(
        f"Campaign {name}: {counted(n, 'structure')} in {counted(len(ids), 'firework')} "
        f"({min(ids)} to {max(ids)}){f'; {there}' if there else ''}. "
        f"Run pet-flows worker, look with pet-flows status {name}."
    )


def _there(campaign: Campaign) -> str:
    """Say what was not submitted, and why."""
    of = counted(campaign.n_inputs, "structure")
    done = f"{campaign.n_done} of {of} are done already" if campaign.n_done else ""
    live = f"{campaign.n_live} of {of} wait or run" if campaign.n_live else ""
    return ", ".join(part for part in (done, live) if part)
