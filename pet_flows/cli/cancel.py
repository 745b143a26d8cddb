"""``pet-flows cancel``."""

from __future__ import annotations

import typer

from pet_flows.cli.arguments import CampaignName
from pet_flows.cli.submit import LaunchpadFile
from pet_flows.report.values import counted


def command(campaign: CampaignName, launchpad: LaunchpadFile = None) -> None:
    """Archive a campaign's fireworks that have not begun; what runs goes on to its end."""
    from pet_flows.launch.control import cancel
    from pet_flows.launch.launchpad import load_launchpad

    done = cancel(load_launchpad(launchpad), campaign)
    typer.echo(f"Campaign {campaign}: {counted(done, 'firework')} archived.")
