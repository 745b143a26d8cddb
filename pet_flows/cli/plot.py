"""``pet-flows plot``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.compare import PICTURES, check_file
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.report.find import Named
    from pet_flows.store.results import ResultStore


class Ending(StrEnum):
    """Formats of pictures."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


Names = Annotated[
    list[str],
    typer.Argument(
        metavar="RECORD|CAMPAIGN",
        help="Keys (six characters suffice), identifiers (mp-149), names of campaigns.",
    ),
]
Plot = Annotated[str | None, typer.Option(help="One plot (curve, bands, ...) instead of all.")]
Which = Annotated[
    str | None, typer.Option("--property", "-p", help="Records of this property only.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o",
        help="A folder; or a file (.png, .svg, .pdf) for the plot of one record. Without it "
        "CAMPAIGN_plots for a campaign, else the current folder.",
    ),
]  # fmt: skip
Shape = Annotated[
    Ending | None, typer.Option("--format", help="Of the files in a folder (default: png).")
]


def command(
    names: Names,
    plot: Plot = None,
    which: Which = None,
    output: Output = None,
    shape: Shape = None,
) -> None:
    """Draw records: equations of state, phonon bands, trajectories and so on.

    For example: pet-flows plot oxides

    or one of them: pet-flows plot mp-149 --plot bands -o bands.pdf

    Which plots a record has is said by pet-flows show.
    """
    from pet_flows.properties.registry import get_property
    from pet_flows.report.find import find
    from pet_flows.report.pictures import Pictures
    from pet_flows.store.results import ResultStore

    if which is not None:
        get_property(which)
    _check_plot(plot, which)
    file = output if output is not None and output.suffix.lower() in PICTURES else None
    _check_output(file, output, shape)
    with ResultStore.open(read_only=True) as store:
        named = [find(store, name) for name in names]
        if file is not None:
            records = list(_records(store, named, which, plot))
            if len(records) > 1:
                listed = sorted({record["property"] for _, record in records})
                raise PetFlowsError(
                    f"--output {file} is one file, and there are {len(records)} records to draw "
                    f"({', '.join(listed)}): choose one by its key or with --property, or name a "
                    "folder."
                )
            asked, record = _only(records, names, which, plot)
            Pictures(store, file.parent, "").write(record, plot, asked, file)
            typer.echo(file)
            return
        if output is None:
            campaign = len(named) == 1 and named[0].is_campaign
            output = Path(f"{names[0]}_plots") if campaign else Path()
        pictures = Pictures(store, output, shape or Ending.png)
        _draw_all(pictures, _records(store, named, which, plot), plot, names, which)


def _records(
    store: ResultStore, named: list[Named], which: str | None, plot: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records that have plots, each once, with the name that asked for it."""
    from pet_flows.report.damage import sound
    from pet_flows.report.pictures import WITHOUT, plots_of

    seen = set()
    for one in named:
        criteria = one.criteria if which is None else {"$and": [one.criteria, {"property": which}]}
        order = {"formula_pretty": 1, "property": 1}
        found = store.query(criteria, WITHOUT, order)
        for record, offered in sound(found, lambda r: (r, r["state"] and plots_of(r))):
            if record["_id"] in seen or not (offered if plot is None else plot in offered):
                continue
            seen.add(record["_id"])
            yield one.name, dict(record)


def _draw_all(
    pictures: Any,
    records: Iterator[tuple[str, dict[str, Any]]],
    plot: str | None,
    names: list[str],
    which: str | None,
) -> None:
    """Draw everything that can be drawn, and say why the rest cannot."""
    from pet_flows.report.damage import SYMPTOMS, damage
    from pet_flows.report.pictures import plots_of

    drawn, failed, missing = 0, 0, Counter[str]()
    for asked, record in records:
        if record["state"] == "failed" and not record["blobs"]:
            failed += 1
            continue
        for name in [plot] if plot is not None else plots_of(record):
            try:
                typer.echo(pictures.write(record, name, asked))
                drawn += 1
            except PetFlowsError as error:
                missing[str(error)] += 1
            except SYMPTOMS as error:
                missing[damage(record, error)] += 1
    if not drawn and not missing:
        _only([], names, which, plot, failed)
    if not drawn:
        first, _ = missing.most_common(1)[0]
        more = missing.total() - 1
        raise PetFlowsError(first + (f" ({more} more could not be drawn either.)" * bool(more)))
    if failed:
        typer.echo(f"Left out {counted(failed, 'record')} that failed.", err=True)
    for sentence, times in missing.most_common(10):
        typer.echo(f"Left out {counted(times, 'plot')}: {sentence}", err=True)
    if len(missing) > 10:
        typer.echo(f"And {counted(len(missing) - 10, 'plot')} for other reasons.", err=True)


def _only(
    records: list[tuple[str, dict[str, Any]]],
    names: list[str],
    which: str | None,
    plot: str | None,
    failed: int = 0,
) -> tuple[str, dict[str, Any]]:
    """The one record there is.

    Raises
    ------
    PetFlowsError
        There is none.
    """
    if records:
        return records[0]
    if failed:
        raise PetFlowsError(
            f"There is nothing to draw, because all that was computed of {', '.join(names)} "
            "failed: ask pet-flows show for the reason."
        )
    of = f" of {which}" * (which is not None) + f" with the plot {plot}" * (plot is not None)
    raise PetFlowsError(
        f"There is nothing to draw, because {', '.join(names)} has no record{of or ' with plots'}: "
        "list the records of an identifier with pet-flows show, those of a campaign with pet-flows "
        "query."
    )


def _check_plot(plot: str | None, which: str | None) -> None:
    """Refuse the name of a plot that no property has, or not the one that is named."""
    from pet_flows.properties.figure import plot_name
    from pet_flows.properties.registry import get_property, properties
    from pet_flows.validate import unknown

    if plot is None:
        return
    if which is not None:
        plot_name(get_property(which), plot)
        return
    known = [name for prop in properties().values() for name in prop.plots]
    if plot not in known:
        raise PetFlowsError(unknown(plot, known, "plot"))


def _check_output(file: Path | None, output: Path | None, shape: Ending | None) -> None:
    """Refuse a file that could not be written, before anything is drawn."""
    if file is None:
        if output is not None and output.suffix and not output.is_dir():
            check_file(output, PICTURES, "--output, where it is not a folder,")
        return
    check_file(file, PICTURES, "--output")
    if shape is not None and file.suffix.lower() != f".{shape}":
        raise PetFlowsError(
            f"--output {file} does not fit --format {shape}: leave out one of them."
        )
