"""``pet-flows compare``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.query import Format, check_campaign
from pet_flows.errors import PetFlowsError

#: formats of pictures
PICTURES = (".png", ".pdf", ".svg")

Campaign = Annotated[str, typer.Argument(help="Name of the campaign.")]
Shape = Annotated[Format, typer.Option("--format", help="A table, or one JSON object.")]
Picture = Annotated[
    Path | None, typer.Option(help="Draw V0 and B0 against DFT into this file (.png, .pdf, .svg).")
]
AcrossLevels = Annotated[
    bool,
    typer.Option(
        "--across-levels",
        help="Also compare where the functional, U, spin or pseudopotentials of potential and DFT "
        "differ; each row says in what.",
    ),
]


def command(
    campaign: Campaign,
    shape: Shape = Format.table,
    picture: Picture = None,
    across_levels: AcrossLevels = False,
) -> None:
    """Set the equations of state of a campaign next to all-electron DFT."""
    from pet_flows.compare.campaign import compare_campaign
    from pet_flows.compare.table import as_dict, comparison_table
    from pet_flows.store.results import ResultStore

    check_file(picture, PICTURES, "--picture")
    store = ResultStore.open(read_only=True)
    check_campaign(store, campaign)
    matched = compare_campaign(store, campaign, across_levels=across_levels)
    if shape is Format.json:
        sys.stdout.write(json.dumps(as_dict(matched), indent=1) + "\n")
    else:
        from rich.console import Console

        Console(width=None if sys.stdout.isatty() else 110).print(comparison_table(matched))
    if picture is not None:
        from pet_flows.compare.parity import draw_parity

        draw_parity(matched.rows, picture)
        typer.echo(f"Picture in {picture}", err=True)


def check_file(path: Path | None, endings: tuple[str, ...], what: str) -> None:
    """Refuse a file that could not be written, before the work for it is done.

    Parameters
    ----------
    path
        None where none is wanted.
    endings
        Those that say in which format it is to be.
    what
        How the user calls it, such as ``--picture``.
    """
    if path is None:
        return
    if path.suffix.lower() not in endings:
        listed = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise PetFlowsError(f"{what} must end in {listed} (got {path}).")
    if not path.parent.is_dir():
        raise PetFlowsError(f"{what} {path} names a folder that does not exist: make it first.")
