"""A comparison as a table for a terminal and as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pet_flows.compare.match import COMPARED, Matched, Row
from pet_flows.compare.metrics import Metrics, measure, worst

if TYPE_CHECKING:
    from rich.console import RenderableType

SYMBOLS = {"v0_per_atom": "V0", "b0": "B0"}
_DIGITS = {"v0_per_atom": 2, "b0": 1}
_STATE_STYLES = {"ok": "green", "unconverged": "yellow", "failed": "red"}
_ABSENT = "–"


def as_dict(matched: Matched) -> dict[str, Any]:
    """Give a comparison as JSON: ``rows``, ``metrics``, ``worst``, ``unmatched``, ``references``.

    Returns
    -------
    dict
        Relative errors in %, energies in eV/atom, everything else in the units named.
    """
    references = [r for row in matched.rows for r in row.references.values()]
    levels = {(str(r.level), r.citation, r.doi, r.licence) for r in references}
    return {
        "rows": [_row_dict(row) for row in matched.rows],
        "metrics": [asdict(metrics) for metrics in measure(matched.rows)],
        "worst": {
            name: [
                {"crystal": str(row.crystal), "label": row.label, "error": 100 * found.relative}
                for row, found in worst(matched.rows, name)
            ]
            for name in COMPARED
        },
        "unmatched": matched.unmatched,
        "references": [
            {"level": level, "citation": citation, "doi": doi, "licence": licence}
            for level, citation, doi, licence in sorted(levels, key=str)
        ],
    }


def comparison_table(matched: Matched) -> RenderableType:
    """Draw the table and its summary, for `rich.console.Console.print`; 100 columns suffice."""
    from rich.console import Group

    return Group(_table(matched.rows), "", *_summary(matched))


def _table(rows: list[Row]) -> RenderableType:
    """Draw one line per crystal; a last column says what was compared across levels."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("crystal", no_wrap=True)
    for head in ("V0 PET", "V0 DFT", "err %", "B0 PET", "B0 DFT", "err %", "E−E0"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True, overflow="ellipsis")
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
            reference = row.references.get(name)
            error = row.comparisons.get(name)
            cells += [
                _number(row.values.get(name), _DIGITS[name]),
                _number(reference.value if reference else None, _DIGITS[name]),
                _number(100 * error.relative if error else None, 1, sign=True),
            ]
        above = None if row.energy_above is None else 1000 * row.energy_above
        mark = "*" if row.ground_state else ""
        name = f"{row.crystal}{mark}" + (f" {row.label}" if several else "")
        state = row.state if row.reason is None else f"{row.state}: {row.reason}"
        table.add_row(
            Text(name, style="bold" if row.ground_state else "", overflow="ellipsis"),
            *cells,
            _number(above, 1),
            Text(state, style=_STATE_STYLES.get(row.state, "")),
            {True: "yes", False: "no", None: "?"}[row.in_training],
            *["; ".join(row.level_differs) if row.references else ""] * bool(compared_across),
        )
    return table


def _summary(matched: Matched) -> list[str]:
    """Say the rest in a few lines."""
    data = as_dict(matched)
    lines = [
        "V0 Å³/atom, B0 GPa, E−E0 meV/atom above the ground state (*) by final statics, without "
        "DFT value."
    ]
    by_group: dict[str, list[Metrics]] = {}
    for metrics in measure(matched.rows):
        by_group.setdefault(metrics.group, []).append(metrics)
    for group, members in by_group.items():
        parts = [
            f"{SYMBOLS[m.property]} MAE {m.mae:.{_DIGITS[m.property]}f} {m.unit} ({m.mape:.1f} %)"
            for m in members
        ]
        n = f"n = {members[0].n}"
        n += f", {members[0].missing} missing" * bool(members[0].missing)
        n += f", {members[0].across} across levels of theory" * bool(members[0].across)
        lines.append(f"[bold]{group:<18}[/bold] {', '.join(parts)}; {n}")
    for name in COMPARED:
        if found := data["worst"][name]:
            listed = ", ".join(f"{item['crystal']} {item['error']:+.1f} %" for item in found)
            lines.append(f"[bold]{'worst ' + SYMBOLS[name]:<18}[/bold] {listed}")
    if matched.unmatched:
        listed = "; ".join(f"{len(names)} {cause}" for cause, names in matched.unmatched.items())
        if any(row.level_differs and not row.references for row in matched.rows):
            listed += "; --across-levels compares levels of theory that differ"
        lines.append(f"[bold]{'without DFT':<18}[/bold] {listed}")
    for reference in data["references"]:
        doi = f", doi:{reference['doi']}" if reference["doi"] else ""
        lines.append(f"[bold]DFT[/bold] {reference['level']}{doi}")
    return lines


def _row_dict(row: Row) -> dict[str, Any]:
    """Give one row as plain data."""
    content: dict[str, Any] = {
        "element": row.crystal.element,
        "prototype": row.crystal.prototype,
        "label": row.label,
        "potential": row.potential,
        "state": row.state,
        "reason": row.reason,
        "ground_state": row.ground_state,
        "in_training": row.in_training,
        "energy_above": row.energy_above,
        "level_differs": list(row.level_differs),
    }
    for name in COMPARED:
        reference, found = row.references.get(name), row.comparisons.get(name)
        content[name] = row.values.get(name)
        content[f"{name}_dft"] = reference.value if reference else None
        content[f"{name}_error"] = 100 * found.relative if found else None
    return content


def _number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """Write a number, or the sign for none."""
    if value is None:
        return _ABSENT
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"  # + 0.0: no −0.0
