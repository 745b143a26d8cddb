"""``pet-flows query``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.arguments import parse_query
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.report.listing import ListColumn
    from pet_flows.store.results import ResultStore


class Format(StrEnum):
    """How a result is printed."""

    table = "table"
    json = "json"


class ListFormat(StrEnum):
    """How records are printed."""

    table = "table"
    json = "json"
    csv = "csv"


Campaign = Annotated[str | None, typer.Argument(help="Name of a campaign; all if left out.")]
Filter = Annotated[str, typer.Option(help="A MongoDB query, as JSON.")]
Fields = Annotated[
    str | None,
    typer.Option(
        help="Columns, with commas: fields of records (property, potential.name), of their results "
        "(b0, result.thermal.0.cv), and key, material_id, formula, headline."
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        help="Field to sort by; with a minus before it, largest first (default: formula and "
        "property, with --limit those that the database finds first)."
    ),
]
Shape = Annotated[
    ListFormat, typer.Option("--format", help="A table, a JSON list of whole records, or CSV.")
]
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")]
Export = Annotated[
    tuple[str, Path] | None,
    typer.Option(
        metavar="cif|poscar|extxyz PLACE",
        help="Write final structures instead: CIFs or POSCARs into a folder, or one extxyz file.",
    ),
]


def command(
    campaign: Campaign = None,
    filter: Filter = "{}",
    fields: Fields = None,
    sort: Sort = None,
    shape: Shape = ListFormat.table,
    limit: Limit = 0,
    export: Export = None,
) -> None:
    """List records: each one's property, state and headline. Works while a campaign runs.

    For example: pet-flows query oxides --filter '{"property": "eos"}'

    as a table for others: --fields material_id,b0 --sort -b0 --format csv

    What a record holds, and can be asked for, is described in docs/records.md.
    """
    from pet_flows.report.listing import DEFAULT, column, sort_order
    from pet_flows.store.results import ResultStore

    criteria = parse_query(filter)
    order = sort_order(sort)
    names = [name.strip() for name in fields.split(",") if name.strip()] if fields else []
    if fields is not None and not names:
        raise PetFlowsError("--fields names no field: write it like material_id,b0.")
    columns = [column(name) for name in names or DEFAULT]
    with ResultStore.open(read_only=True) as store:
        if campaign is not None:
            check_campaign(store, campaign)
            named = {"sources.campaign": campaign}
            criteria = {"$and": [named, criteria]} if criteria else named
        if export is not None:
            from pet_flows.report.structures import counts_said
            from pet_flows.report.structures import export as write

            counts = write(store, criteria, order, limit, *export, campaign)
            for line in counts_said(counts, export[1]):
                typer.echo(line)
            return
        if limit and sort is None:  # some of 10⁵ records should not take as long as sorting all
            order = {}
        if shape is ListFormat.json and not names:
            _print_json(map(_dumped, store.query(criteria, sort=order, limit=limit)))
        else:
            from pet_flows.report.listing import projection

            at_a_glance = shape is ListFormat.table and not names
            needed = [*columns, column("potential")] if at_a_glance else columns
            found = store.query(criteria, projection(needed), order, limit)
            if at_a_glance:
                print_table(found)
            else:
                _print_fields(found, columns, shape)


def check_campaign(store: ResultStore, name: str) -> None:
    """Refuse the name of a campaign that has neither records nor a manifest here.

    Raises
    ------
    PetFlowsError
        Says which campaigns there are.
    """
    if next(store.query({"sources.campaign": name}, ["_id"], limit=1), None) is None:
        store.campaigns.get(name)


def print_table(records: Iterable[dict[str, Any]]) -> None:
    """Print property, structure and headline of each record; the potential where there are two."""
    from pet_flows.report.damage import sound
    from pet_flows.report.find import identifiers
    from pet_flows.report.listing import headline
    from pet_flows.report.table import potential_name

    def row(record: Mapping[str, Any]) -> tuple[str, ...]:
        return (
            ", ".join(identifiers(record)),
            record.get("formula_pretty") or "",
            record["property"],
            record["state"],
            headline(record),
            potential_name(record["potential"]),
            record["_id"][:12],
        )

    heads = ("material", "formula", "property", "state", "result", "potential", "key")
    rows = list(sound(records, row))
    kept = [
        n for n, head in enumerate(heads) if head != "potential" or len({r[n] for r in rows}) > 1
    ]
    _table([heads[n] for n in kept], [tuple(r[n] for n in kept) for r in rows])


def _table(heads: Iterable[str], rows: Sequence[tuple[str, ...]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        typer.echo("No record matches.")
        return
    table = Table(box=None, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="ellipsis" if head == "key" else "fold")
    for row in rows:
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    typer.echo(counted(len(rows), "record"))


def _print_fields(
    records: Iterator[dict[str, Any]], columns: list[ListColumn], shape: ListFormat
) -> None:
    """Print chosen columns, one record at a time; then say which of them nobody had."""
    from pet_flows.report.damage import sound
    from pet_flows.report.fields import number_text
    from pet_flows.report.listing import misspelt, plain_cell

    empty = {one.name for one in columns}

    def rows() -> Iterator[list[Any]]:
        for cells in sound(records, lambda record: [one.value(record) for one in columns]):
            empty.difference_update(
                one.name for one, cell in zip(columns, cells, strict=True) if cell is not None
            )
            yield [plain_cell(cell) for cell in cells]

    heads = [one.name for one in columns]
    if shape is ListFormat.json:
        _print_json(_dumped(dict(zip(heads, row, strict=True))) for row in rows())
    elif shape is ListFormat.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows([_csv_cell(cell) for cell in row] for row in rows())
    else:
        _table(heads, [tuple(number_text(cell) for cell in row) for row in rows()])
    for sentence in misspelt(columns, empty):
        typer.echo(sentence, err=True)


def _csv_cell(value: Any) -> Any:
    """Lists and documents as JSON; true and false as JSON has them."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value


def _print_json(documents: Iterator[str]) -> None:
    """Print a JSON list without ever holding it."""
    sys.stdout.write("[")
    for n, text in enumerate(documents):
        sys.stdout.write(f"{',' if n else ''}\n{text}")
    sys.stdout.write("\n]\n")


def _dumped(document: dict[str, Any]) -> str:
    from bson import json_util
    from bson.json_util import DatetimeRepresentation, JSONOptions

    options = JSONOptions(datetime_representation=DatetimeRepresentation.ISO8601)
    return json_util.dumps(document, indent=1, json_options=options, ensure_ascii=False)
