"""A report as text: table, CSV, JSON, Markdown."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from pet_flows.report.describe import group_name
from pet_flows.report.fields import number_text
from pet_flows.report.table import Report, Row, cells_of, heads_of

if TYPE_CHECKING:
    from rich.table import Table

FORMATS = ("table", "csv", "json", "md")
#: significant digits for people; files for programs have all
_DIGITS = 5
#: of an identifier, in a table on a terminal
_LONGEST_NAME = 30


def as_csv(table: Report) -> str:
    """One line of heads with units, numbers with all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    first, *heads = heads_of(table)
    writer.writerow([first, "space group number", *heads])
    for row in table.rows:
        name, *cells = cells_of(table, row)
        written = [json.dumps(c) if isinstance(c, bool | list | dict) else c for c in cells]
        writer.writerow([name, row.space_group, *written])
    return text.getvalue()


def as_json(table: Report) -> str:
    """``campaign``, ``columns`` with property, name and unit, ``rows`` with the columns' keys."""
    document = {
        "campaign": table.campaign,
        "columns": [
            {"key": h.key, "property": h.of, "name": h.name, "unit": h.unit or None}
            for h in table.heads
        ],
        "rows": [
            {
                "material_id": row.material,
                "formula": row.formula,
                "space_group": row.space_group,
                "potential": row.potential,
                "state": row.state,
                **{head.key: row.cells.get(head.key) for head in table.heads},
            }
            for row in table.rows
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def as_markdown(table: Report) -> str:
    """A table as GitHub and mkdocs draw it, numbers to the right."""
    heads = heads_of(table)
    first = len(heads) - len(table.heads) - 1
    marks = ["---"] * first + ["---:"] * len(table.heads) + ["---"]
    lines = [heads, marks]
    lines += [[number_text(c, _DIGITS) for c in cells_of(table, row)] for row in table.rows]
    return "".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |\n" for line in lines
    )


def as_text(table: Report, width: int) -> str:
    """For a terminal: columns that do not fit beside each other come in further tables below."""
    from rich.console import Console

    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    for part in _tables(table, width):
        console.print(part)
        console.print()
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _tables(table: Report, width: int) -> list[Table]:
    names = [(row, _first(table, row)) for row in table.rows]
    fixed = sum(
        max(len(head), *(len(cells[n]) for _, cells in names)) + 2
        for n, head in enumerate(_first_heads(table))
    )
    blocks: list[list[int]] = [[]]
    used = fixed
    widths = [_width(table, n) for n in range(len(table.heads))]
    for n, needed in enumerate(widths):
        if blocks[-1] and used + needed > width:
            blocks.append([])
            used = fixed
        blocks[-1].append(n)
        used += needed
    tables = [_block(table, names, block, last=False) for block in blocks if block]
    if any(row.state != "ok" for row in table.rows):
        tables.append(_block(table, [n for n in names if n[0].state != "ok"], [], last=True))
    return tables


def _block(
    table: Report, names: list[tuple[Row, list[str]]], block: list[int], *, last: bool
) -> Table:
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for head in _first_heads(table):
        drawn.add_column(head, no_wrap=True)
    for n in block:
        drawn.add_column("\n".join(_head_lines(table, n)), justify="right", no_wrap=True)
    if last:
        drawn.add_column("not ok", overflow="fold")
    for row, cells in names:
        numbers = [number_text(row.cells.get(table.heads[n].key), _DIGITS) for n in block]
        drawn.add_row(*map(escape, [*cells, *numbers, *([row.state] if last else [])]))
    return drawn


def _first_heads(table: Report) -> list[str]:
    return ["material", "formula", "space group"] + ["potential"] * table.several_potentials


def _first(table: Report, row: Row) -> list[str]:
    name = row.material
    if len(name) > _LONGEST_NAME:
        name = f"…{name[1 - _LONGEST_NAME :]}"
    cells: list[Any] = [name, row.formula, group_name(row.space_group)]
    return cells + [row.potential] * table.several_potentials


def _head_lines(table: Report, n: int) -> tuple[str, str, str]:
    head = table.heads[n]
    return head.of, head.name, head.unit


def _width(table: Report, n: int) -> int:
    cells = [number_text(row.cells.get(table.heads[n].key), _DIGITS) for row in table.rows]
    return max(map(len, [*_head_lines(table, n), *cells])) + 2
