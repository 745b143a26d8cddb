"""``pet-flows retry``."""

from __future__ import annotations

from typing import Annotated

import typer

from pet_flows.cli.arguments import CampaignName
from pet_flows.cli.submit import LaunchpadFile
from pet_flows.report.values import counted

Reason = Annotated[
    str | None,
    typer.Option(help="Let records that failed for this reason be computed again instead."),
]


def command(campaign: CampaignName, reason: Reason = None, launchpad: LaunchpadFile = None) -> None:
    """Make a campaign's fizzled fireworks ready again, or its failed records missing.

    For example: pet-flows retry oxides --reason out_of_memory

    Fireworks that fizzled broke down as a whole. Failed structures are records, whose reasons
    pet-flows status counts; submit the campaign again for these.
    """
    from pet_flows.launch.control import rerun_fizzled
    from pet_flows.launch.launchpad import load_launchpad
    from pet_flows.store.repeated import allow_again
    from pet_flows.store.results import ResultStore

    if reason is None:
        rerun = rerun_fizzled(load_launchpad(launchpad), campaign)
        typer.echo(f"Campaign {campaign}: {counted(rerun, 'fizzled firework')} ready again.")
        return
    with ResultStore.open() as store:
        store.campaigns.head(campaign)  # says which there are, if it is none
        allowed = allow_again(store.records, {"sources.campaign": campaign, "reason": reason})
    typer.echo(
        f"{counted(allowed, 'record')} that failed for {reason} may be computed again: submit the "
        "campaign again."
    )
