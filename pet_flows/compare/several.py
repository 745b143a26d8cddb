"""Several campaigns side by side: the same references, several potentials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pet_flows.compare.campaign import Compared
from pet_flows.compare.lines import dft_lines, number, short, without_dft
from pet_flows.compare.statistics import Summary, is_pair, summarize

if TYPE_CHECKING:
    from rich.console import RenderableType

#: rows of the table in a terminal; JSON has all
SHOWN = 60


@dataclass
class SideBySide:
    """One quantity of one reference, with what each potential gives for it."""

    reference: str
    material: str
    formula: str
    property: str
    name: str
    unit: str
    dft: Any
    pet: dict[str, Any] = field(default_factory=dict)
    """by column; of a metric that is itself a distance, the distance"""
    error: dict[str, float | None] = field(default_factory=dict)
    """relative, or the difference where there is no such thing"""


def rows_of_several(compared: Compared, properties: Sequence[str] = ()) -> list[SideBySide]:
    """Quantities by reference, those of most columns first.

    Parameters
    ----------
    compared
        Of several campaigns.
    properties
        Only these, if any are named.
    """
    found: dict[tuple[str, str, str], SideBySide] = {}
    for column, document in _columns(compared):
        if properties and document["property"] not in properties:
            continue
        if document["record_state"] != "ok":
            continue
        for value in document["values"]:
            place = (document["property"], document["reference"], value["name"])
            row = found.setdefault(
                place,
                SideBySide(
                    document["reference"], str(document["material_id"]),
                    str(document["formula_pretty"]), document["property"], value["name"],
                    value["unit"], value["dft"],
                ),
            )  # fmt: skip
            row.pet[column] = value["difference"] if value["pet"] is None else value["pet"]
            relative = value["relative"]
            row.error[column] = value["difference"] if relative is None else relative
    return sorted(
        found.values(), key=lambda r: (-len(r.pet), r.property, r.formula, r.material, r.name)
    )


def side_by_side(compared: Compared, properties: Sequence[str] = ()) -> list[RenderableType]:
    """Draw mean errors with each potential, then the values beside each other."""
    from rich.table import Table

    columns = list(dict.fromkeys(column for column, _ in _columns(compared)))
    rows = rows_of_several(compared, properties)
    means = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for head in ("property", "quantity", "unit"):
        means.add_column(head, no_wrap=True)
    for column in columns:
        means.add_column(f"MAE {column}", justify="right")
        means.add_column("n", justify="right")
    for (name, quantity, unit), by_column in _means(compared, properties).items():
        cells = []
        for column in columns:
            summary = by_column.get(column)
            cells += ["–", "0"] if summary is None else [short(summary.mae), str(summary.n)]
        means.add_row(name, quantity, unit, *cells)
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for head in ("material", "property", "quantity"):
        table.add_column(head, no_wrap=True)
    table.add_column("DFT", justify="right")
    for column in columns:
        table.add_column(column, justify="right")
        table.add_column("err %", justify="right")
    for row in rows[:SHOWN]:
        cells = []
        for column in columns:
            relative = row.error.get(column) if isinstance(row.dft, float) else None
            cells += [
                _text(row.pet.get(column)),
                number(None if relative is None else 100 * relative, 1, sign=True),
            ]
        material = f"{row.formula} {row.material}"
        table.add_row(material, row.property, row.name, _text(row.dft), *cells)
    parts: list[RenderableType] = [means, "", table]
    if len(rows) > SHOWN:
        parts.append(f"{len(rows) - SHOWN} more rows: --format json has all of them.")
    parts += without_dft(compared, properties)
    return [*parts, *dft_lines(compared.published(d for _, d in _columns(compared)))]


def _columns(compared: Compared) -> Iterable[tuple[str, dict[str, Any]]]:
    """Pairs of each campaign with the name of their column: campaign, and potential if several."""
    for campaign in compared.campaigns:
        pairs = [document for document in compared.documents(campaign) if is_pair(document)]
        several = len({document["potential"]["digest"] for document in pairs}) > 1
        for document in pairs:
            name = document["potential"]["name"]
            yield (f"{campaign} {name}" if several else campaign), document


def _means(
    compared: Compared, properties: Sequence[str]
) -> dict[tuple[str, str, str], dict[str, Summary]]:
    by_column: dict[str, list[dict[str, Any]]] = {}
    for column, document in _columns(compared):
        if not properties or document["property"] in properties:
            by_column.setdefault(column, []).append(document)
    found: dict[tuple[str, str, str], dict[str, Summary]] = {}
    for column, documents in by_column.items():
        for summary in summarize(documents):
            place = (summary.property, summary.name, summary.unit)
            found.setdefault(place, {})[column] = summary
    return found


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return short(value) if isinstance(value, float) else str(value)
