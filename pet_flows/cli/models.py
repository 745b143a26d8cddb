"""``pet-flows models``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[
        str | None, typer.Argument(help="Show one model in full: a name or a file.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Open this pickled checkpoint.")] = False,
) -> None:
    """List the potentials there are: bundled ones, and the names of the upet hub."""
    if model is not None:
        _show(model, trust)
        return
    from rich.console import Console
    from rich.table import Table

    from pet_flows.models.catalogue import UPET_FUNCTIONALS, bundled, find

    table = Table(box=None, header_style="bold")
    for column in ("model", "elements", "functional", "size", "sha256", "licence"):
        table.add_column(column)
    for name, card in bundled().items():
        file = find(name)
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        table.add_row(name, " ".join(card["elements"]), card["functional"], size,
                      file.sha256[:12], card["licence"])  # fmt: skip
    from upet._version import UPET_AVAILABLE_MODELS

    for name in UPET_AVAILABLE_MODELS:
        functional = UPET_FUNCTIONALS.get(name.rpartition("-")[0], "?")
        table.add_row(name, "see the hub", functional, "download", "", "see the hub")
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def _show(model: str, trust: bool) -> None:
    """Everything one model file says of itself."""
    from ase.data import chemical_symbols

    from pet_flows.models.catalogue import find
    from pet_flows.models.load import describe

    file = find(model, trust=trust)
    known = describe(file)
    rows = {
        "name": file.name,
        "file": Path(file.path),
        "size": f"{file.path.stat().st_size / 1e6:.1f} MB",
        "sha256": file.sha256,
        "elements": " ".join(chemical_symbols[z] for z in known["elements"]),  # type: ignore[attr-defined]
        "functional": file.functional or "not stated",
        "parameters": known["parameters"],
        "interaction range": f"{known['interaction_range']} Å",
        **{k: v for k, v in file.card.items() if k in ("licence", "training_data", "validation")},
    }
    for key, value in rows.items():
        typer.echo(f"{key:18} {value}")
