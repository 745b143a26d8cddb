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
    typer.Option(
        min=0,
        help="Longest time to look. What has been silent for long is known at once; whether a "
        "worker is alive that was heard of within the last minute shows later.",
    ),
]


def command(launchpad: LaunchpadFile = None, seconds: Seconds = LONG_ENOUGH) -> None:
    """Make ready again what dead workers had, as every idle worker does; foreign jobs are left."""
    from pet_flows.launch.launchpad import CATEGORIES, load_launchpad, shared_job_store
    from pet_flows.launch.recovery import Recovery, watch
    from pet_flows.store.results import ResultStore

    pad = load_launchpad(launchpad)
    said: list[int] = []

    def tell(n: int) -> None:
        if n not in said[-1:]:
            said.append(n)
            sys.stderr.write(f"waiting for signs of life of {n}\n")

    with ResultStore.from_job_store(shared_job_store(), read_only=True) as results:
        recovery = Recovery(pad, CATEGORIES, results.leases)
        found = watch(recovery, seconds, told=tell)
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
    if found.n_leases:
        parts.append(f"{counted(found.n_leases, 'structure')} that dead workers had in hand")
    if recovery.undecided:
        parts.append(
            f"of {recovery.undecided} it is not known yet whether they are dead, which takes up to "
            f"{LONG_ENOUGH:.0f} s"
        )
    typer.echo(f"Brought back: {'; '.join(parts) or 'nothing, all is well'}.")
