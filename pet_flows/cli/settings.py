"""``pet-flows settings``."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from pet_flows.cli.query import Format

Name = Annotated[
    str | None, typer.Argument(help="A property, or execution; all properties if left out.")
]
Shape = Annotated[Format, typer.Option("--format", help="A table, or JSON.")]


def command(name: Name = None, shape: Shape = Format.table) -> None:
    """List the properties there are, or every setting of one with unit, default and meaning."""
    from pet_flows.flows.campaign_file import CampaignExecution
    from pet_flows.properties.registry import get_property, properties

    if name is None:
        rows = [
            {"property": p.name, "title": p.title, "settings": len(p.settings.model_fields)}
            for p in properties().values()
        ]
        after = "pet-flows settings PROPERTY lists the settings; pet-flows settings execution how."
    else:
        model = CampaignExecution if name == "execution" else get_property(name).settings
        rows = _settings(model)
        after = f"Set one with --set {name}.SETTING=VALUE, in a campaign file, or in the maker."
    if shape is Format.json:
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        return
    _print(rows, after)


def _settings(model: Any) -> list[dict[str, Any]]:
    """One row per field; those of fields that are models themselves behind a point."""
    from pet_flows.flows.campaign_template import written
    from pet_flows.validate import inner_model

    rows = []
    for name, info in model.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        rows.append(
            {
                "setting": name,
                "default": "required" if info.is_required() else written(info.default),
                "unit": str(extra.get("unit", "")),
                "meaning": info.description or "",
            }
        )
        if (inside := inner_model(info.annotation)) is not None:
            rows += [{**row, "setting": f"{name}.{row['setting']}"} for row in _settings(inside)]
    return rows


def _print(rows: list[dict[str, Any]], after: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        typer.echo("There are no settings.")
        return
    table = Table(box=None, header_style="bold")
    for column in rows[0]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(value)) for value in row.values()))
    Console(width=None if sys.stdout.isatty() else 110).print(table)
    typer.echo(after)
