"""``pet-flows report``."""

from __future__ import annotations

import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.arguments import counted
from pet_flows.cli.compare import check_file
from pet_flows.errors import PetFlowsError


class Shape(StrEnum):
    """Formats of a report."""

    table = "table"
    csv = "csv"
    json = "json"
    md = "md"


Campaign = Annotated[str, typer.Argument(help="Name of the campaign.")]
Form = Annotated[
    Shape | None,
    typer.Option(
        "--format", help="Default: what the ending of -o says, a table for the terminal without."
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write (.csv, .json, .md, .txt).")
]

#: width of a table in a file, and off a terminal
_WIDTH = 140
_ENDINGS = {".csv": Shape.csv, ".json": Shape.json, ".md": Shape.md, ".txt": Shape.table}


def command(campaign: Campaign, form: Form = None, output: Output = None) -> None:
    """Make one table of a campaign: a row for each structure, columns of every property.

    For example: pet-flows report oxides -o oxides.csv

    Units are in the heads. What depends on temperature is shown at the one
    nearest to 300 K that was computed.
    """
    from pet_flows.report.formats import as_csv, as_json, as_markdown, as_text
    from pet_flows.report.table import report
    from pet_flows.store.results import ResultStore

    check_file(output, tuple(_ENDINGS), "--output")
    form = form or (Shape.table if output is None else _ENDINGS[output.suffix.lower()])
    with ResultStore.open(read_only=True) as store:
        table = report(store, campaign)
    written = {
        Shape.table: lambda t: as_text(t, _width(output)),
        Shape.csv: as_csv,
        Shape.json: as_json,
        Shape.md: as_markdown,
    }[form](table)
    if output is None:
        sys.stdout.write(written)
        return
    try:
        output.write_text(written)
    except OSError as error:
        raise PetFlowsError(
            f"--output {output} cannot be written ({error.strerror}): name another file."
        ) from None
    typer.echo(f"{counted(len(table.rows), 'structure')} in {output}")


def _width(output: Path | None) -> int:
    if output is None and sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _WIDTH
