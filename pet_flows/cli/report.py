"""``pet-flows report``."""

from __future__ import annotations

import shlex
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pet_flows.cli.compare import check_file
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted


class Shape(StrEnum):
    """Formats of a report."""

    table = "table"
    csv = "csv"
    json = "json"
    md = "md"


class Picture(StrEnum):
    """Formats of figures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


Campaign = Annotated[str, typer.Argument(help="Name of the campaign.")]
Form = Annotated[
    Shape | None,
    typer.Option(
        "--format", help="Default: what the ending of -o says, a table for the terminal without."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="File to write (.csv, .json, .md, .txt), or a folder of pages for a browser: a name "
        "without an ending, or a folder that is there.",
    ),
]
Pages = Annotated[
    int,
    typer.Option(
        help="Of a folder: structures that have a page of their own, those with the largest "
        "errors first."
    ),
]
Figures = Annotated[
    Picture | None,
    typer.Option(help="Of a folder: also draw its plots against DFT as files for papers."),
]

#: width of a table in a file, and off a terminal
_WIDTH = 140
_ENDINGS = {".csv": Shape.csv, ".json": Shape.json, ".md": Shape.md, ".txt": Shape.table}


def command(
    campaign: Campaign,
    form: Form = None,
    output: Output = None,
    pages: Pages = 2000,
    figures: Figures = None,
) -> None:
    """Make one table of a campaign, or a folder of pages with everything about it.

    For example: pet-flows report oxides -o oxides.csv, or pet-flows report oxides -o report

    The table has a row for each structure and columns of every property, with
    units in the heads. What depends on temperature is shown at the one nearest
    to 300 K that was computed. The folder's index.html opens in a browser,
    without a network: values beside DFT, a page for each structure, hulls, and
    what failed or is unmatched.
    """
    if output is not None and is_folder(output):
        _folder(campaign, form, output, pages, figures)
        return
    if figures is not None:
        raise PetFlowsError("--figures needs a folder: give one with -o, such as -o report.")
    from pet_flows.report.formats import as_csv, as_json, as_markdown, as_text
    from pet_flows.report.table import report
    from pet_flows.store.results import ResultStore

    check_output(output)
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


def _folder(
    campaign: str, form: Shape | None, folder: Path, pages: int, figures: Picture | None
) -> None:
    """Write the pages of a campaign into a folder."""
    from pet_flows.report.page.folder import check_folder, write_report
    from pet_flows.report.page.viewer import ABSENT
    from pet_flows.store.results import ResultStore

    if form is not None:
        raise PetFlowsError(
            f"--output {folder} is a folder of pages, which has no format {form}: name a file, or "
            "leave out --format."
        )
    if pages < 0:
        raise PetFlowsError(f"--pages must be at least 0 (got {pages}).")
    check_folder(folder)
    with ResultStore.open(read_only=True) as store:
        written = write_report(store, campaign, folder, pages, figures)
    typer.echo(
        f"{counted(written.n_structures, 'structure')} and "
        f"{counted(written.n_comparisons, 'comparison')} in {folder}: open {folder / 'index.html'}"
    )
    if not written.n_comparisons:
        said = f"pet-flows compare {shlex.quote(campaign)} looks for references"
        typer.echo(f"Nothing is beside DFT: {said}.")
    if written.n_pages < written.n_structures:
        typer.echo(f"{counted(written.n_pages, 'structure')} have pages; --pages makes more.")
    if figures is not None:
        typer.echo(f"{counted(written.n_figures, 'figure')} in {folder / 'figures'}")
    if not written.viewer:
        typer.echo(ABSENT)


def check_output(output: Path | None, what: str = "--output") -> None:
    """Refuse what could not be written; a folder has no ending.

    Parameters
    ----------
    output
        None where nothing is to be written.
    what
        How the user calls it.
    """
    if output is None:
        return
    if is_folder(output):
        from pet_flows.report.page.folder import check_folder

        check_folder(output)
        return
    if output.suffix.lower() not in _ENDINGS:
        raise PetFlowsError(
            f"{what} must end in .csv, .json, .md or .txt for a file, or in nothing for a folder "
            f"of pages (got {output})."
        )
    check_file(output, tuple(_ENDINGS), what)


def is_folder(output: Path) -> bool:
    """Whether a report is to be a folder of pages."""
    return output.is_dir() or not output.suffix


def _width(output: Path | None) -> int:
    if output is None and sys.stdout.isatty():
        return shutil.get_terminal_size().columns
    return _WIDTH
