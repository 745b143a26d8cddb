"""``pet-flows recover``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pet_flows.cli.submit import LaunchpadFile
from pet_flows.launch.heartbeat import LONG_ENOUGH
from pet_flows.report.values import counted

Seconds = Annotated[
    float,
    typer.Option(min=0, help="How long to look: what gives no sign of life all the while is dead."),
]


def command(launchpad: LaunchpadFile = None, seconds: Seconds = LONG_ENOUGH) -> None:
    """Make ready again what dead workers had, as every idle worker does; foreign jobs are left."""
    from pet_flows.launch.launchpad import CATEGORIES, load_launchpad
    from pet_flows.launch.recovery import Recovery, watch

    pad = load_launchpad(launchpad)

    def tell(left: float) -> None:
        sys.stderr.write(f"looking for {left:.0f} s more\n")

    found = watch(Recovery(pad, CATEGORIES), seconds, told=tell)
    parts = [
        f"{counted(len(ids), 'firework')} {what} ({', '.join(map(str, ids))})"
        for what, ids in (
            ("of dead workers", found.dead),
            ("that were given up", found.interrupted),
            ("reserved by nobody", found.stuck),
            ("that had ended", found.ended),
            ("whose workflow was locked", found.locked),
        )
        if ids
    ]
    if not parts and seconds < LONG_ENOUGH:
        parts = [f"nothing yet; whether a worker is dead shows after {LONG_ENOUGH:.0f} s"]
    typer.echo(f"Brought back: {'; '.join(parts) or 'nothing, all is well'}.")
