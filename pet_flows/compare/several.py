"""Several potentials side by side: the same references, a column for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pet_flows.compare import force_fields
from pet_flows.compare.campaign import Compared
from pet_flows.compare.campaigns import beside_campaign
from pet_flows.compare.documents import Document
from pet_flows.compare.matching.unmatched import said, unmatched
from pet_flows.compare.statistics import Summary, is_pair, summarize
from pet_flows.compare.tables.lines import (
    clipped,
    dft_lines,
    number,
    short,
    volume_lines,
    without_dft,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

#: rows of the table in a terminal; JSON has all
SHOWN = 60

#: name of a column → pairs with DFT
Columns = Mapping[str, Sequence[Document]]
#: columns of a campaign and of another, or of a potential → what both have of one crystal
Beside = Mapping[tuple[str, str], Sequence[Document]]


@dataclass
class SideBySide:
    """One quantity of one crystal, with what each potential gives for it.

    ``dft`` is None where there is no reference; ``reference`` is then another potential's document,
    or a record of another campaign.
    """

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
    """potential minus DFT, or the distance"""
    relative: dict[str, float | None] = field(default_factory=dict)
    """0.01 is 1 %; None of distances, and of what has no scale, such as energies"""


def columns_of(compared: Compared, properties: Sequence[str] = ()) -> dict[str, list[Document]]:
    """Pairs by column: a campaign, and its potential if it has several; then other potentials.

    Parameters
    ----------
    compared
        Of `compare_campaign`.
    properties
        Only these, if any are named.
    """
    found = {
        name: [document for document in documents if is_pair(document)]
        for name, documents in _campaign_columns(compared, properties).items()
    }
    everything = [document for documents in found.values() for document in documents]
    for name in compared.force_fields:
        found[name] = force_fields.documents(compared.shelf, name, everything)
    return found


def _campaign_columns(compared: Compared, properties: Sequence[str]) -> dict[str, list[Document]]:
    """Comparisons of records, those that stand alone included."""
    found: dict[str, list[Document]] = {}
    for campaign in compared.campaigns:
        documents = [
            document
            for document in compared.documents(campaign)
            if document["potential"] and (not properties or document["property"] in properties)
        ]
        several = len({document["potential"]["name"] for document in documents}) > 1
        for document in documents:
            name = f"{campaign} {document['potential']['name']}" if several else campaign
            found.setdefault(name, []).append(document)
    return found


def beside_of(
    compared: Compared, properties: Sequence[str] = ()
) -> dict[tuple[str, str], list[Document]]:
    """Records beside documents of other potentials, and beside records that DFT has nothing for."""
    columns = _campaign_columns(compared, properties)
    names = list(columns)
    return {
        (one, other): beside_campaign(
            compared.shelf, columns[one], columns[other], names.index(one) < names.index(other)
        )
        for one in names
        for other in names
        if one != other
    } | {
        (column, name): force_fields.beside_records(compared.shelf, name, documents)
        for column, documents in columns.items()
        for name in compared.force_fields
    }


def rows_of_several(columns: Columns, beside: Beside | None = None) -> list[SideBySide]:
    """Quantities by crystal, those of most columns first.

    Parameters
    ----------
    columns
        Pairs with DFT.
    beside
        Of `beside_of`: quantities that DFT does not have are rows too.
    """
    found: dict[tuple[str, str, str], SideBySide] = {}
    by_record: dict[tuple[str, str], SideBySide] = {}
    for column, documents in columns.items():
        for document in documents:
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
                row.error[column] = value["difference"]
                row.relative[column] = value["relative"]
                by_record[document["record"], value["name"]] = row
    pairs = [(*names, one) for names, several in (beside or {}).items() for one in several]
    records = {record for record, _ in by_record}
    for column, other, document in sorted(pairs, key=lambda pair: pair[2]["record"] not in records):
        for value in document["values"]:
            if value["pet"] is None:
                continue  # how far the two potentials are from each other
            row = by_record.get((document["record"], value["name"])) or found.setdefault(
                (document["property"], document["reference"], value["name"]),
                SideBySide(
                    document["reference"], str(document["material_id"]),
                    str(document["formula_pretty"]), document["property"], value["name"],
                    value["unit"], None,
                ),
            )  # fmt: skip
            for record in (document["record"], document["reference"]):
                by_record.setdefault((record, value["name"]), row)
            row.pet.setdefault(column, value["pet"])
            row.pet.setdefault(other, value["dft"])
    return sorted(
        found.values(), key=lambda r: (-len(r.pet), r.property, r.formula, r.material, r.name)
    )


def side_by_side(compared: Compared, properties: Sequence[str] = ()) -> list[RenderableType]:
    """Draw mean errors with each potential, then the values beside each other."""
    columns = columns_of(compared, properties)
    beside = beside_of(compared, properties)
    rows = rows_of_several(columns, beside)
    parts: list[RenderableType] = [_means(columns), ""] if any(columns.values()) else []
    if rows:
        parts.append(_values(rows[:SHOWN], list(columns)))
    if len(rows) > SHOWN:
        parts.append(f"{len(rows) - SHOWN} more rows: --format json has all of them.")
    everything = [document for documents in columns.values() for document in documents]
    parts += [*volume_lines(everything), *without_dft(compared, properties)]
    for (column, other), documents in beside.items():
        if refused := unmatched(documents).pairs:
            parts.append(f"[bold]{'not compared':<18}[/bold] {column}, {other}: {said(refused)}")
    return [*parts, *dft_lines(compared.published(everything))]


def _means(columns: Columns) -> Table:
    """Mean errors: a row for each quantity."""
    table = _table("property", "quantity", "unit")
    for column in columns:
        table.add_column(f"MAE {column}", justify="right", no_wrap=True)
        table.add_column("n", justify="right", no_wrap=True)
    found: dict[tuple[str, str, str], dict[str, Summary]] = {}
    for column, documents in columns.items():
        for summary in summarize(documents, worst=0):
            place = (summary.property, summary.name, summary.unit)
            found.setdefault(place, {})[column] = summary
    for place, by_column in found.items():
        cells = []
        for column in columns:
            one = by_column.get(column)
            cells += ["–", "0"] if one is None else [short(one.mae), str(one.n)]
        property, name, unit = place
        table.add_row(clipped(property), clipped(name), unit, *cells)
    return table


def _values(rows: Sequence[SideBySide], columns: Sequence[str]) -> Table:
    """Values: a row for each quantity of each reference."""
    table = _table("material", "property", "quantity")
    table.add_column("DFT", justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
        table.add_column("err %", justify="right", no_wrap=True)
    for row in rows:
        cells = []
        for column in columns:
            relative = row.relative.get(column)
            cells += [
                _text(row.pet.get(column)),
                number(None if relative is None else 100 * relative, 1, sign=True),
            ]
        material = clipped(f"{row.formula} {row.material}")
        table.add_row(material, clipped(row.property), clipped(row.name), _text(row.dft), *cells)
    return table


def _table(*heads: str) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=head == "unit")
    return table


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return short(value) if isinstance(value, float) else str(value)
