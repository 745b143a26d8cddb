"""Comparisons as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pet_flows.compare.campaign import Compared
from pet_flows.compare.metrics import Metrics, measure, worst
from pet_flows.compare.several import side_by_side
from pet_flows.compare.statistics import Summary, summarize
from pet_flows.compare.tables.lines import (
    agreement_lines,
    clipped,
    dft_lines,
    number,
    short,
    volume_lines,
    without_dft,
)
from pet_flows.compare.tables.row import COMPARED, Row

if TYPE_CHECKING:
    from rich.console import RenderableType

SYMBOLS = {"v0_per_atom": "V0", "b0": "B0"}
_DIGITS = {"v0_per_atom": 2, "b0": 1}
_STATE_STYLES = {"ok": "green", "unconverged": "yellow", "failed": "red"}
#: the largest errors that the table of all properties names
_WORST = 1


def comparison_table(compared: Compared, properties: Sequence[str] = ()) -> RenderableType:
    """Draw everything, for `rich.console.Console.print`; 100 columns suffice.

    Parameters
    ----------
    compared
        Of `compare_campaign`.
    properties
        Only these; without any the equations of state by crystal, then the others by quantity.
    """
    from rich.console import Group

    if compared.is_of_several:
        return Group(*side_by_side(compared, properties))
    parts: list[RenderableType] = []
    rows = compared.rows() if not properties or "eos" in properties else []
    if rows:
        parts += [_table(rows), "", *_summary(rows)]
    documents = [d for d in compared.documents() if not properties or d["property"] in properties]
    others = [d for d in documents if d["property"] != "eos" or not rows]
    summaries = summarize(others, worst=_WORST)
    if summaries:
        parts += [""] * bool(parts) + [summary_table(summaries), *agreement_lines(documents)]
    parts += [*volume_lines(documents), *without_dft(compared, properties)]
    levels = {one for row in rows for one in row.published} | compared.published(others)
    return Group(*parts, *dft_lines(levels))


def _table(rows: Sequence[Row]) -> RenderableType:
    """Draw one line per crystal; a last column says what was compared across levels."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("crystal")
    for head in ("V0 PET", "V0 DFT", "err %", "B0 PET", "B0 DFT", "err %", "E−E0"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("state")
    table.add_column("trained", no_wrap=True)
    several = len({row.crystal for row in rows}) < len(rows)
    element = None
    compared_across = [row for row in rows if row.level_differs and row.references]
    if compared_across:
        table.add_column("level differs in", overflow="fold", min_width=14)
    for row in rows:
        if element not in (None, row.crystal.element):
            table.add_section()
        element = row.crystal.element
        cells = []
        for name in COMPARED:
            error = row.comparisons.get(name)
            cells += [
                number(row.values.get(name), _DIGITS[name]),
                number(row.references.get(name), _DIGITS[name]),
                number(100 * error.relative if error else None, 1, sign=True),
            ]
        above = None if row.energy_above is None else 1000 * row.energy_above
        mark = "*" if row.ground_state else ""
        name = f"{row.crystal}{mark}" + (f" {row.label}" if several else "")
        state = row.state if row.reason is None else f"{row.state}: {row.reason}"
        table.add_row(
            clipped(name, "bold" if row.ground_state else ""),
            *cells,
            number(above, 1),
            clipped(state, _STATE_STYLES.get(row.state, "")),
            {True: "yes", False: "no", None: "?"}[row.in_training],
            *["; ".join(row.level_differs) if row.references else ""] * bool(compared_across),
        )
    return table


def _summary(rows: Sequence[Row]) -> list[str]:
    """Say the rest of equations of state in a few lines."""
    lines = [
        "V0 Å³/atom, B0 GPa, E−E0 meV/atom above the ground state (*) by final statics, without "
        "DFT value."
    ]
    by_group: dict[str, list[Metrics]] = {}
    for metrics in measure(rows):
        by_group.setdefault(metrics.group, []).append(metrics)
    for group, members in by_group.items():
        parts = [
            f"{SYMBOLS[m.property]} MAE {number(m.mae, _DIGITS[m.property])} {m.unit} "
            f"({number(m.mape, 1)} %)"
            for m in members
        ]
        n = f"n = {members[0].n}"
        n += f", {members[0].missing} missing" * bool(members[0].missing)
        n += f", {members[0].across} across levels of theory" * bool(members[0].across)
        lines.append(f"[bold]{group:<18}[/bold] {', '.join(parts)}; {n}")
    for name in COMPARED:
        if found := worst(rows, name):
            listed = ", ".join(
                f"{row.crystal} {number(100 * c.relative, 1, sign=True)} %" for row, c in found
            )
            lines.append(f"[bold]{'worst ' + SYMBOLS[name]:<18}[/bold] {listed}")
    return lines


def summary_table(summaries: Sequence[Summary]) -> RenderableType:
    """Draw a line for each quantity: how many, mean errors, the worst."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("property", no_wrap=True)
    table.add_column("quantity")
    table.add_column("unit", no_wrap=True)
    for head in ("n", "missing", "MAE", "MAE %", "bias"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("worst")
    several = len({summary.potential for summary in summaries}) > 1
    across = any(summary.across for summary in summaries)
    if several:
        table.add_column("potential")
    if across:
        table.add_column("across levels", justify="right", no_wrap=True)
    for summary in summaries:
        table.add_row(
            summary.property,
            clipped(summary.name),
            summary.unit,
            str(summary.n),
            str(summary.missing),
            short(summary.mae),
            number(None if summary.mape is None else 100 * summary.mape, 1),
            short(summary.bias, sign=True),
            clipped(
                ", ".join(
                    f"{short(error.difference, sign=True)} {error.formula} {error.material}"
                    for error in summary.worst[:_WORST]
                )
            ),
            *[clipped(summary.potential)] * several,
            *[str(summary.across)] * across,
        )
    return table
