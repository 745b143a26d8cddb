"""``pet-flows resume``."""

from __future__ import annotations

import typer

from pet_flows.cli.arguments import CampaignName
from pet_flows.cli.submit import LaunchpadFile
from pet_flows.report.values import counted


def command(campaign: CampaignName, launchpad: LaunchpadFile = None) -> None:
    """Let a campaign's paused fireworks run."""
    from pet_flows.launch.control import resume
    from pet_flows.launch.launchpad import load_launchpad

    done = resume(load_launchpad(launchpad), campaign)
    typer.echo(f"Campaign {campaign}: {counted(done, 'firework')} resumed.")
