"""``pet-flows compare``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.cli.query import Format, check_campaign
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

#: formats of pictures
PICTURES = (".png", ".pdf", ".svg")

Names = Annotated[
    list[str],
    typer.Argument(
        metavar="CAMPAIGN...",
        help="Names of campaigns, and of force fields whose documents were imported; several are "
        "set side by side.",
    ),
]
Properties = Annotated[
    str | None,
    typer.Option("--property", help="Only these properties, with commas; all if left out."),
]
Shape = Annotated[Format, typer.Option("--format", help="A table, or one JSON object.")]
Picture = Annotated[
    Path | None, typer.Option(help="Draw V0 and B0 against DFT into this file (.png, .pdf, .svg).")
]
Energies = Annotated[
    bool,
    typer.Option(
        "--energies",
        help="Also energies between materials: after a shift by element, of formation, above "
        "DFT's hull, and how often what is stable is called stable.",
    ),
]
Corrections = Annotated[
    bool,
    typer.Option(
        "--corrections", help="Hulls with the corrections of the Materials Project (MP2020)."
    ),
]
AcrossLevels = Annotated[
    bool,
    typer.Option(
        "--across-levels",
        help="Also compare where the functional, U, spin or pseudopotentials of potential and DFT "
        "differ; each comparison says in what.",
    ),
]
Frames = Annotated[
    int,
    typer.Option(
        "--frames",
        min=0,
        help="Evaluate the potential of each md record on so many frames of the ab-initio "
        "trajectory beside it, for its errors of forces and energies.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", help="Of --frames: the checkpoint of a campaign whose model was given by path."
    ),
]


def command(
    names: Names,
    properties: Properties = None,
    shape: Shape = Format.table,
    picture: Picture = None,
    across_levels: AcrossLevels = False,
    energies: Energies = False,
    corrections: Corrections = False,
    frames: Frames = 0,
    models: Models = None,
) -> None:
    """Set the records of campaigns next to DFT.

    References are those of pet-flows reference, of installed packages, and all-electron equations
    of state of the elements. What was compared before and has not changed is not compared again.
    """
    from pet_flows.compare.campaign import compare_campaign
    from pet_flows.compare.force_fields import known
    from pet_flows.compare.tables.data import as_dict
    from pet_flows.compare.tables.energy_table import energy_lines, energy_summaries
    from pet_flows.compare.tables.table import comparison_table
    from pet_flows.properties.registry import get_property

    check_file(picture, PICTURES, "--picture")
    wanted = [name.strip() for name in (properties or "").split(",") if name.strip()]
    for property in wanted:
        get_property(property)
    if corrections and not energies:
        raise PetFlowsError("--corrections is about hulls: add --energies.")
    store, keep = _opened()
    others = known(store)
    for name in names:
        if name not in others:
            check_campaign(store, name)
    compared = compare_campaign(
        store, *names, across_levels=across_levels, keep=keep, frames=frames, models=models or ()
    )
    if compared.frames is not None:
        for reason in dict.fromkeys(compared.frames.problems.values()):
            typer.echo(f"Not evaluated on frames: {reason}.", err=True)
    summaries = energy_summaries(compared, corrected=corrections) if energies else []
    if shape is Format.json:
        content = as_dict(compared, wanted)
        if energies:
            content["energies"] = [summary.as_dict() for summary in summaries]
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
    else:
        from rich.console import Console

        console = Console(width=None if sys.stdout.isatty() else 110)
        console.print(comparison_table(compared, wanted))
        for line in energy_lines(summaries):
            console.print(line)
    if picture is not None:
        from pet_flows.compare.tables.parity import draw_parity

        draw_parity(compared.rows(), picture)
        typer.echo(f"Picture in {picture}", err=True)


def _opened() -> tuple[ResultStore, bool]:
    """The store, and whether it can be written: another process may be doing that."""
    from pet_flows.store.results import ResultStore

    with ResultStore.open(read_only=True):
        pass  # what is not there is not made
    try:
        return ResultStore.open(), True
    except PetFlowsError:
        return ResultStore.open(read_only=True), False


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
