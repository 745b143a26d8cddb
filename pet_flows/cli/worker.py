"""``pet-flows worker``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.arguments import counted
from pet_flows.cli.submit import LaunchpadFile
from pet_flows.errors import PetFlowsError

Categories = Annotated[str, typer.Option("--category", help="pet-gpu, pet-cpu, or both.")]
Launches = Annotated[int, typer.Option(min=0, help="Stop after so many jobs; 0 for never.")]
Idle = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds without work after which to stop (default: never)."),
]
WorkerFile = Annotated[
    Path | None, typer.Option("--fworker", "-w", help="my_fworker.yaml, if not the usual one.")
]
TimeLimit = Annotated[
    float | None,
    typer.Option(
        min=20, help="Seconds this process has; shortly before, its job is left to others."
    ),
]
Folder = Annotated[Path, typer.Option(help="Where each worker makes a folder of its own.")]


def command(
    category: Categories = "pet-gpu,pet-cpu",
    nlaunches: Launches = 0,
    idle_timeout: Idle = None,
    launchpad: LaunchpadFile = None,
    fworker: WorkerFile = None,
    folder: Folder = Path("pet_flows_workers"),
    time_limit: TimeLimit = None,
) -> None:
    """Run jobs of pet-flows that are ready on the LaunchPad, with the model loaded once.

    Start as many as there are GPUs (CUDA_VISIBLE_DEVICES each) or spare cores. Ctrl-C lets the
    current job finish; SIGTERM, or Ctrl-C again, leaves what is not done of it to others within
    seconds. An idle worker brings back what dead ones had. The exit code is 1 if a job fizzled, or
    if weights or disk space are missing here: what needs them is left to other workers.
    """
    from pet_flows.jobs.observe import observers
    from pet_flows.launch.worker import run_worker

    def observe(name: str, slim: dict[str, object], computed: bool) -> None:
        if computed:
            sys.stderr.write(f"{name}: {slim['key']} {slim['state']}\n")

    categories = tuple(name.strip() for name in category.split(",") if name.strip())
    observers.append(observe)
    try:
        done = run_worker(
            categories=categories, nlaunches=nlaunches, idle_timeout=idle_timeout,
            launchpad=launchpad, fworker=fworker, folder=folder, time_limit=time_limit,
        )  # fmt: skip
    finally:
        observers.remove(observe)
    fizzled = f", {done.fizzled} fizzled (lpad get_fws -s FIZZLED -d more says why)"
    typer.echo(f"{counted(done.run, 'job')} run{fizzled if done.fizzled else ''}.")
    if done.problem is not None:
        raise PetFlowsError(done.problem)
    if done.fizzled:
        raise typer.Exit(1)
