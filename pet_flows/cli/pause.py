"""``pet-flows pause``."""

from __future__ import annotations

import typer

from pet_flows.cli.arguments import CampaignName
from pet_flows.cli.submit import LaunchpadFile
from pet_flows.report.values import counted


def command(campaign: CampaignName, launchpad: LaunchpadFile = None) -> None:
    """Keep a campaign's fireworks that have not begun from running, until they are resumed."""
    from pet_flows.launch.control import pause
    from pet_flows.launch.launchpad import load_launchpad

    done = pause(load_launchpad(launchpad), campaign)
    typer.echo(f"Campaign {campaign}: {counted(done, 'firework')} paused.")
