"""``pet-flows query``."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.arguments import counted, parse_query

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


class Format(StrEnum):
    """How records are printed."""

    table = "table"
    json = "json"


Campaign = Annotated[str | None, typer.Argument(help="Name of a campaign; all if left out.")]
Filter = Annotated[str, typer.Option(help="A MongoDB query, as JSON.")]
Shape = Annotated[Format, typer.Option("--format", help="A table, or a JSON list of records.")]
Limit = Annotated[int, typer.Option(min=0, help="At most so many; 0 for all.")]


def command(
    campaign: Campaign = None,
    filter: Filter = "{}",
    shape: Shape = Format.table,
    limit: Limit = 0,
) -> None:
    """List records: each one's property, state and headline. Works while a campaign runs.

    For example: pet-flows query oxides --filter '{"state": "failed"}'. What a record holds, and
    can be asked for, is described in docs/records.md.
    """
    from pet_flows.store.results import ResultStore

    criteria = parse_query(filter)
    store = ResultStore.open(read_only=True)
    if campaign is not None:
        check_campaign(store, campaign)
        named = {"sources.campaign": campaign}
        criteria = {"$and": [named, criteria]} if criteria else named
    found = store.query(criteria, sort={"formula_pretty": 1, "property": 1}, limit=limit)
    if shape is Format.json:
        from bson import json_util

        sys.stdout.write(json_util.dumps(list(found), indent=1, json_options=_options()) + "\n")
        return
    _table(list(found))


def check_campaign(store: ResultStore, name: str) -> None:
    """Refuse the name of a campaign that has neither records nor a manifest here.

    Raises
    ------
    PetFlowsError
        Says which campaigns there are.
    """
    if next(store.query({"sources.campaign": name}, ["_id"], limit=1), None) is None:
        store.campaigns.get(name)


def _options() -> Any:
    from bson.json_util import DatetimeRepresentation, JSONOptions

    return JSONOptions(datetime_representation=DatetimeRepresentation.ISO8601)


def _table(records: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not records:
        typer.echo("No record matches.")
        return
    table = Table(box=None, header_style="bold")
    for column in ("material", "formula", "property", "state", "result", "key"):
        table.add_column(column, overflow="fold" if column == "result" else "ellipsis")
    for record in records:
        names = {s.get("material_id") or s.get("path") or "" for s in record["sources"]}
        cells = (
            ", ".join(sorted(names)),
            record.get("formula_pretty") or "",
            record["property"],
            record["state"],
            headline(record),
            record["_id"][:12],
        )
        table.add_row(*map(escape, cells))
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    typer.echo(counted(len(records), "record"))


def headline(record: dict[str, Any]) -> str:
    """The one line that says most about a record."""
    result = record.get("result") or {}
    if record["state"] == "failed":
        return f"{record['reason']}: {record['message']}"
    lines = {
        "relax": "{energy_per_atom:.4f} eV/atom, {n_steps} steps, dV {volume_change:+.2%}",
        "static": "{energy_per_atom:.4f} eV/atom, p {pressure:.2f} GPa",
        "eos": "V0 {v0_per_atom:.3f} Å³/atom, B0 {b0:.1f} GPa",
        "elastic": "K {k_vrh:.1f}, G {g_vrh:.1f} GPa",
        "phonon": "{min_frequency:.2f} to {max_frequency:.2f} THz",
        "kappa": "{kappa[0][mean]:.4g} W/m/K at {kappa[0][T]:.0f} K",
        "qha": "{n_volumes} volumes, mean mode Grüneisen {mode_gruneisen_mean:.2f}",
        "md": "{time:.2f} ps, drift {drift:.1e} eV/atom/ps",
    }
    try:
        text = lines[record["property"]].format(**result)
    except (KeyError, TypeError, ValueError):
        text = record.get("message") or ""
    if record["property"] == "elastic" and result.get("stable") is False:
        text = f"unstable: smallest eigenvalue {result['min_eigenvalue']:.1f} GPa"
    if record["property"] == "phonon" and result.get("has_imaginary_modes"):
        text += ", imaginary modes"
    return text if record["state"] == "ok" else f"{record['reason']}: {text}"
