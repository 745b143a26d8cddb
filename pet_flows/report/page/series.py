"""The comparisons of a campaign as series: one for each quantity, level of theory and potential."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pet_flows.compare.statistics import RAW_ENERGIES
from pet_flows.properties.comparison import WITHOUT_SCALE
from pet_flows.properties.registry import properties
from pet_flows.report.damage import SYMPTOMS
from pet_flows.report.page.levels import Levels
from pet_flows.report.table import Row
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

#: what is loaded of each comparison
_NEEDED = (
    "record", "reference", "property", "matched_by", "level_differs", "level", "values", "reason",
    "record_state", "formula_pretty", "material_id",
)  # fmt: skip


@dataclass
class Series:
    """One quantity of many structures beside DFT; all lists have one entry a structure."""

    property: str
    name: str
    unit: str
    level: str
    potential: str
    row: list[int] = field(default_factory=list)
    pet: list[float | None] = field(default_factory=list)
    dft: list[float | None] = field(default_factory=list)
    difference: list[float] = field(default_factory=list)
    relative: list[float | None] = field(default_factory=list)
    spread: list[float | None] = field(default_factory=list)
    """of the record's energy over the rotations, eV/atom"""
    uncertainty: list[float | None] = field(default_factory=list)
    """what the model says of its own error in this structure, see `expected`"""
    matched_by: list[str] = field(default_factory=list)
    differs: list[int] = field(default_factory=list)
    """places of structures in these lists whose levels of theory are not the same"""
    expected: str = field(init=False)
    """of what that is: ``forces`` (eV/Å) and ``stress`` (GPa) beside errors of these, else
    ``energy_per_atom`` (eV)"""
    raw: bool = field(init=False)
    """whether the zeros of both sides are different ones, so that differences say nothing"""

    def __post_init__(self) -> None:
        """A name says it."""
        self.raw = self.name in RAW_ENERGIES
        begins = self.name.partition("_")[0]
        self.expected = begins if begins in ("forces", "stress") else "energy_per_atom"


@dataclass
class Beside:
    """Everything that is beside DFT, and what is not.

    Attributes
    ----------
    series
        In the order of properties, and of what each declares as most telling.
    levels
        Short name of a level → all that is known of it.
    matched
        By row: how its references were found (``link``, ``identifier``, ``structure``), or
        ``unmatched``; rows that nobody compared are not in it.
    alone
        Records and references without a partner, and pairs that are not comparable, with reasons.
    n_comparisons
        Pairs of a record and a reference.
    """

    series: list[Series]
    levels: dict[str, str]
    matched: dict[int, str]
    alone: list[dict[str, Any]]
    n_comparisons: int


#: from what says most to what says least
_WAYS = ("link", "identifier", "structure", "unmatched")


def beside_dft(store: ResultStore, campaign: str, rows: Sequence[Row]) -> Beside:
    """Read the comparisons of a campaign, one after the other.

    Parameters
    ----------
    store
        Where they are.
    campaign
        Its name.
    rows
        Of its table, whose numbers the series name.
    """
    places: dict[str, int] = {}
    spreads: dict[str, float | None] = {}
    expected: dict[str, Mapping[str, float | None]] = {}
    for number, row in enumerate(rows):
        # it is in the record of one property, and of the structure
        own: Mapping[str, float | None] = next(
            (m.uncertainty for m in row.members if m.uncertainty), {}
        )
        for member in row.members:
            places.setdefault(member.key, number)
            spreads[member.key] = member.spread.get("energy_per_atom")
            expected[member.key] = member.uncertainty or own
    reader = _Reader(store, rows, places, spreads, expected)
    for document in store.comparisons.find({"campaigns": campaign}, list(_NEEDED)):
        try:
            reader.add(document)
        except SYMPTOMS as error:
            logger.warning(
                "Comparison %s is damaged (%s: %s): run pet-flows compare again. It is left out.",
                document.get("_id"), type(error).__name__, error,
            )  # fmt: skip
    return reader.found()


class _Reader:
    """Puts comparisons into series, one after the other."""

    def __init__(
        self,
        store: ResultStore,
        rows: Sequence[Row],
        places: Mapping[str, int],
        spreads: Mapping[str, float | None],
        expected: Mapping[str, Mapping[str, float | None]],
    ):
        self._rows, self._places, self._spreads = rows, places, spreads
        self._expected = expected
        self._levels = Levels(store)
        self._series: dict[tuple[str, ...], Series] = {}
        self._found = Beside([], {}, {}, [], 0)

    def add(self, document: Mapping[str, Any]) -> None:
        found = self._found
        place = self._places.get(document.get("record") or "")
        if place is None or not document.get("reference"):
            found.alone.append(_alone(document, place))
            if place is not None:
                found.matched.setdefault(place, "unmatched")
            return
        level = self._levels.add(document.get("level") or {})
        values = [
            ((document["property"], value["name"], level, self._rows[place].potential), value)
            for value in document.get("values") or ()
            if isinstance(value["difference"], int | float)
        ]
        found.n_comparisons += 1
        way = str(document["matched_by"])
        found.matched[place] = min((way, found.matched.get(place, "unmatched")), key=_rank)
        if not document.get("values"):
            found.alone.append(_alone(document, place))
        if document["record_state"] != "ok":
            return  # it is shown on its page, but is nobody's error
        for key, value in values:
            series = self._series.setdefault(
                key, Series(key[0], key[1], str(value.get("unit") or ""), *key[2:])
            )
            if document.get("level_differs"):
                series.differs.append(len(series.row))
            series.row.append(place)
            for name in ("pet", "dft", "difference"):
                getattr(series, name).append(_number(value.get(name)))
            series.relative.append(relative_of(value))
            series.spread.append(self._spreads.get(document["record"]))
            series.uncertainty.append(self._expected[document["record"]].get(series.expected))
            series.matched_by.append(way)

    def found(self) -> Beside:
        short, self._found.levels = self._levels.named()
        for series in self._series.values():
            series.level = short[series.level]
        self._found.series = sorted(self._series.values(), key=_order)
        return self._found


def _order(series: Series) -> tuple[Any, ...]:
    """As properties are computed, then as their tables begin; the larger of two levels first.

    Raw energies are the last.
    """
    known = properties()
    names = list(known)
    place = names.index(series.property) if series.property in known else len(names)
    table: list[Any] = list(known[series.property].table) if series.property in known else []
    told = table.index(series.name) if series.name in table else len(table)
    return series.raw, place, told, series.name, -len(series.row)


def _rank(way: str) -> int:
    return _WAYS.index(way) if way in _WAYS else len(_WAYS)


def relative_of(value: Mapping[str, Any]) -> float | None:
    """Difference of a value relative to DFT's; None where zero is a convention, or belongs."""
    return None if value.get("name") in WITHOUT_SCALE else _number(value.get("relative"))


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _what(document: Mapping[str, Any]) -> str:
    if document.get("record") and document.get("reference"):
        return "pair"
    return "record" if document.get("record") else "reference"


def _alone(document: Mapping[str, Any], place: int | None) -> dict[str, Any]:
    return {
        "row": place,
        "what": _what(document),
        "key": document.get("record") or document.get("reference"),
        "property": document.get("property"),
        "formula": document.get("formula_pretty"),
        "material": document.get("material_id"),
        "reason": document.get("reason") or "no value is in both",
    }


def series_csv(beside: Beside, rows: Sequence[Row]) -> str:
    """All values beside DFT as CSV with all digits: a line for each structure and quantity."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ("pet", "dft", "difference", "relative", "matched_by")
    writer.writerow(
        ["material_id", "formula", "potential", "property", "name", "unit", "level", *columns]
    )
    for series in beside.series:
        for n, number in enumerate(series.row):
            row = rows[number]
            what = (series.property, series.name, series.unit, beside.levels[series.level])
            values = [getattr(series, name)[n] for name in columns]
            writer.writerow([row.material, row.formula, row.potential, *what, *values])
    return text.getvalue()
