"""``pet-flows worker``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.cli.submit import LaunchpadFile
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pet_flows.launch.processes import Tally

Categories = Annotated[str, typer.Option("--category", help="pet-gpu, pet-cpu, or both.")]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Workers on this machine (default: one for each GPU, at least one)."),
]
Launches = Annotated[
    int, typer.Option(min=0, help="Each process stops after so many jobs; 0 for never.")
]
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

#: s between lines off a terminal
_QUIET = 30.0


def command(
    category: Categories = "pet-gpu,pet-cpu",
    processes: Processes = None,
    nlaunches: Launches = 0,
    idle_timeout: Idle = None,
    launchpad: LaunchpadFile = None,
    fworker: WorkerFile = None,
    folder: Folder = Path("pet_flows_workers"),
    time_limit: TimeLimit = None,
) -> None:
    """Run jobs of pet-flows that are ready on the LaunchPad, with the model loaded once.

    One process for each GPU, each of which sees no other GPU. Ctrl-C lets the current jobs finish;
    SIGTERM, or Ctrl-C again, leaves what is not done of them to others within seconds. An idle
    worker brings back what dead ones had. The exit code is 1 if a job fizzled, or if something is
    missing on this machine, such as weights or disk space: what needs it is left to other workers.
    """
    from pet_flows.launch.launchpad import load_fworker
    from pet_flows.launch.processes import run_workers

    options = {
        "categories": tuple(name.strip() for name in category.split(",") if name.strip()),
        "nlaunches": nlaunches, "idle_timeout": idle_timeout, "launchpad": launchpad,
        "fworker": fworker, "folder": folder,
    }  # fmt: skip
    load_fworker(options["categories"], fworker)  # type: ignore[arg-type]  # what can be refused now
    tell = _on_terminal if sys.stderr.isatty() else _in_lines()
    done = run_workers(options, processes, time_limit, tell)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    typer.echo(summary(done))
    if done.problems:
        raise PetFlowsError(" ".join(dict.fromkeys(done.problems)))
    if done.fizzled:
        raise typer.Exit(1)


def summary(done: Tally) -> str:
    """What was done, in one line."""
    said = f"{counted(done.run, 'job')} run"
    if done.fizzled:
        said += f", {done.fizzled} fizzled (pet-flows status says why)"
    if done.states:
        states = ", ".join(f"{n} {state}" for state, n in sorted(done.states.items(), reverse=True))
        said += f"; {counted(done.states.total(), 'record')}: {states}"
    if done.reasons:
        said += f" ({', '.join(f'{n} {reason}' for reason, n in done.reasons.most_common())})"
    return f"{said}."


def _on_terminal(done: Tally) -> None:
    line = f"{summary(done)[:-1]}; {done.doing}"
    sys.stderr.write(f"\r{line[:100]}\x1b[K")
    sys.stderr.flush()


def _in_lines() -> Callable[[Tally], None]:
    last, said = time.monotonic(), ""

    def tell(done: Tally) -> None:
        nonlocal last, said
        line = f"{summary(done)[:-1]}; {done.doing}\n"
        if time.monotonic() - last > _QUIET and line != said:
            last, said = time.monotonic(), line
            sys.stderr.write(line)
            sys.stderr.flush()

    return tell
