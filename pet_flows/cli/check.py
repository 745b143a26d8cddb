"""``pet-flows check``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.submit import LaunchpadFile

Model = Annotated[
    str | None, typer.Option(help="Model name or file (default: that of the settings).")
]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Folder = Annotated[Path, typer.Option(help="Where workers would make their folders.")]


def command(
    model: Model = None,
    device: Device = None,
    launchpad: LaunchpadFile = None,
    folder: Folder = Path("pet_flows_workers"),
) -> None:
    """Look whether everything is there: store, LaunchPad, folder, model, device; a line for each.

    For example: pet-flows check --model pet-mad-s --device cuda

    Something is written to the store, and removed again; one structure is evaluated. The exit code
    is 1 if anything is wrong.
    """
    from pet_flows.launch.check import check

    wrong = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in check(model, device, launchpad, folder):
            wrong += not one.ok
            typer.echo(f"{'ok   ' if one.ok else 'wrong'}  {one.what:9}  {one.said}")
    if wrong:
        raise typer.Exit(1)
