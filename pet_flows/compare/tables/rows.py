"""Equations of state of one campaign: a row per crystal, with the DFT values beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ase.data import atomic_numbers
from pymatgen.core import Structure

from pet_flows.compare.documents import label
from pet_flows.compare.matching.identify import PROTOTYPES, Crystal, identify
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.tables.row import COMPARED, Pair, Phases, Published, Row
from pet_flows.dft import acwf, sources
from pet_flows.models.catalogue import card_of

USED = ("relax", "eos", "static")
"""Properties whose records a row is made of, in the order in which causes are looked for."""

Record = Mapping[str, Any]

_FIELDS = (
    "property", "state", "reason", "parent", "sources", "potential", "settings_digest",
    "structure_digest", "formula_pretty", "spacegroup", "result.v0_per_atom", "result.b0",
    "result.energy_per_atom",
)  # fmt: skip
_WAYS = ("link", "identifier", "structure")


@dataclass
class _Group:
    """The records that belong to one relaxed crystal."""

    records: dict[str, Record] = field(default_factory=dict)
    crystals: dict[str, Crystal] = field(default_factory=dict)

    @property
    def first(self) -> Record:
        return next(self.records[name] for name in USED if name in self.records)

    @property
    def crystal(self) -> Crystal:
        """That of the final geometry: relaxed where there is one."""
        for name in USED:
            if name in self.crystals:
                return self.crystals[name]
        said = _from_tags(tag for s in self.first["sources"] for tag in s.get("tags") or [])
        return said or _named(next(iter(self.records.values())))


def rows_of(shelf: Shelf, campaign: str) -> list[Row]:
    """Put the rows of a campaign together from its records and their comparisons.

    Returns
    -------
    list of Row
        By atomic number, structure and label; of compounds afterwards, by formula. None where the
        campaign has no equations of state.
    """
    groups: dict[tuple[str, ...], _Group] = {}
    for record, crystal in _records(shelf, campaign):
        group = groups.setdefault(_group_key(record), _Group())
        group.records[record["property"]] = record
        if crystal is not None:
            group.crystals[record["property"]] = crystal
    if not any("eos" in group.records for group in groups.values()):
        return []
    beside: dict[str, list[Record]] = {}
    for document in shelf.comparisons([campaign]):
        if document["property"] == "eos" and document["record"] is not None:
            beside.setdefault(document["record"], []).append(document)
    wanted = {key for found in beside.values() for d in found for key in _keys(d)}
    references = {theirs.key: theirs.document for theirs in shelf.references(sorted(wanted))}
    hashes = {group.first["potential"]["sha256"] for group in groups.values()}
    training = _training_phases(hashes)
    rows, phases = [], Phases()
    for group in groups.values():
        found = beside.get(group.records.get("eos", {}).get("_id", ""), [])
        rows.append(_make_row(group, found, references, training))
        phases.add(len(rows) - 1, rows[-1], group.records.get("static"))
    rows = [replace(row, energy_above=phases.above(i, row)) for i, row in enumerate(rows)]
    return sorted(rows, key=_order)


def _records(shelf: Shelf, campaign: str) -> Iterator[tuple[Record, Crystal | None]]:
    """Records that rows are made of, those of elements with the crystal that they are."""
    of_campaign = {"sources.campaign": campaign, "property": {"$in": list(USED)}}
    elements = {**of_campaign, "nelements": 1}
    for record in shelf.store.query(elements, [*_FIELDS, "structure", "input_structure"]):
        # a crystal that left its prototype while it relaxed is no longer taken for it
        content = record.pop("structure") or record["input_structure"]
        record.pop("input_structure")
        known = None if content is None else identify(Structure.from_dict(content))
        yield record, known or (None if content is None else _named(record))
    compounds = {**of_campaign, "nelements": {"$ne": 1}}
    for record in shelf.store.query(compounds, list(_FIELDS)):
        yield record, None if record["formula_pretty"] is None else _named(record)


def _named(record: Record) -> Crystal:
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    groups = record["spacegroup"]["final"] or record["spacegroup"]["input"] or {}
    number = groups.get("loose")
    symbol = "" if number is None else sg_symbol_from_int_number(number)
    return Crystal(record["formula_pretty"] or "?", symbol)


def _from_tags(tags: Iterable[str]) -> Crystal | None:
    """Read ``element:Si`` and ``prototype:diamond``."""
    said = dict(tag.split(":", 1) for tag in tags if ":" in tag)
    if "element" in said and said.get("prototype") in PROTOTYPES:
        return Crystal(element=said["element"], prototype=said["prototype"])
    return None


def _training_phases(hashes: set[str]) -> dict[str, list[str]] | None:
    """Training phases from the card of the bundled model with one of these hashes."""
    cards = [card for card in map(card_of, sorted(hashes)) if card is not None]
    return cards[0].get("training_phases") if cards else None


def _order(row: Row) -> tuple[int, int, str, str, str]:
    """Sort as people list crystals."""
    crystal = row.crystal
    number = atomic_numbers.get(crystal.element, 1000)
    known = crystal.prototype in PROTOTYPES
    place = PROTOTYPES.index(crystal.prototype) if known else len(PROTOTYPES)
    return number, place, crystal.element, crystal.prototype, row.label


def _group_key(record: Record) -> tuple[str, ...]:
    """Name the relaxed crystal that a record is of."""
    if record["property"] == "relax":
        return (record["_id"],)
    if record.get("parent"):
        return (record["parent"],)
    # final statics may use another symmetrization than the rest of their crystal
    return (str(record.get("structure_digest")), str(record["potential"]["sha256"]))


def _make_row(
    group: _Group,
    documents: Sequence[Record],
    references: Mapping[str, Record],
    training: Mapping[str, Sequence[str]] | None,
) -> Row:
    """Put one crystal's values and references together."""
    state, reason = _worst(group)
    crystal = group.crystal
    eos = group.records.get("eos", {})
    ordered = sorted(documents, key=lambda d: _preference(d, references))
    values = _numbers(eos.get("result"))
    theirs, origins = _first_of_each(ordered, references)
    differing = [d for d, _ in origins.values()] or ordered[:1]
    pairs = {}
    # a value that did not converge is shown, but is nobody's error
    if eos.get("state") == "ok":
        pairs = {
            name: Pair(values[name], theirs[name], tuple(document["level_differs"]))
            for name, (document, _) in origins.items()
            if name in values and document["values"]
        }
    phases = None if training is None else training.get(crystal.element, ())
    if crystal.element not in atomic_numbers:
        phases = None
    known = acwf.GROUND_STATES.get(crystal.element)
    static = group.records.get("static", {})
    energy = _number((static.get("result") or {}).get("energy_per_atom"))
    return Row(
        crystal=crystal,
        label=label(group.first) or str(group.first["_id"]),
        potential=group.first["potential"].get("name"),
        state=state,
        reason=reason,
        ground_state=None if known is None else known == crystal.prototype,
        in_training=None if phases is None else crystal.prototype in phases,
        values=values,
        references=theirs,
        comparisons=pairs,
        published=tuple(dict.fromkeys(Published.of(one) for _, one in origins.values())),
        level_differs=tuple(dict.fromkeys(one for d in differing for one in d["level_differs"])),
        alone=ordered[0]["reason"] if ordered and not origins else None,
        energy=energy if static.get("state") == "ok" else None,
    )


def _keys(document: Record) -> list[str]:
    """References of a comparison: that which was taken, then those beside it."""
    return [key for key in (document["reference"], *document["alternatives"]) if key]


def _first_of_each(
    ordered: Sequence[Record], references: Mapping[str, Record]
) -> tuple[dict[str, float], dict[str, tuple[Record, Record]]]:
    """Values, each of the first reference that has it, with the comparison and that reference."""
    values: dict[str, float] = {}
    origins: dict[str, tuple[Record, Record]] = {}
    for document in ordered:
        for key in _keys(document):
            for name, value in _numbers(references.get(key, {}).get("result")).items():
                if name not in values:
                    values[name], origins[name] = value, (document, references[key])
    return values, origins


def _preference(document: Record, references: Mapping[str, Record]) -> tuple[int, int, bool, int]:
    """Several levels of theory may suit: what was named first, what others bring before ours."""
    package = (references.get(document["reference"], {}).get("package") or {}).get("source")
    way = document["matched_by"]
    return (
        len(document["level_differs"]),
        _WAYS.index(way) if way else len(_WAYS),
        package == sources.OURS,
        -len(document["values"]),
    )


def _numbers(result: Mapping[str, Any] | None) -> dict[str, float]:
    found = {name: _number((result or {}).get(name)) for name in COMPARED}
    return {name: value for name, value in found.items() if value is not None}


def _number(value: Any) -> float | None:
    """Take a finite number, if it is one."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _worst(group: _Group) -> tuple[str, str | None]:
    """Find the worst state of a crystal's records, and why the first that is not ok is not."""
    found = [group.records[name] for name in USED if name in group.records]
    bad = [record for record in found if record["state"] != "ok"]
    if not bad:
        return "ok", None
    state = "failed" if any(record["state"] == "failed" for record in bad) else "unconverged"
    return state, bad[0].get("reason")
