"""Records of one campaign → one row per crystal, with the DFT values that may stand beside it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ase.data import atomic_numbers

from pet_flows.compare.identify import PROTOTYPES, crystal_of_record
from pet_flows.compare.potential import level_of
from pet_flows.dft import acwf, sources
from pet_flows.dft.differences import differences
from pet_flows.dft.quantity import Crystal, Reference

COMPARED = ("v0_per_atom", "b0")
"""Quantities of an ``eos`` result that are set beside DFT."""

USED = ("relax", "eos", "static")
"""Properties whose records a comparison reads, in the order in which causes are looked for."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One value next to its reference."""

    record: str
    """key of the record"""
    reference: Reference
    value: float
    level_differs: tuple[str, ...] = ()
    """what the potential's level of theory does not share with the reference's"""

    @property
    def difference(self) -> float:
        """Value minus reference, in the reference's unit."""
        return self.value - self.reference.value

    @property
    def relative(self) -> float:
        """Difference over reference; 0.01 is 1 %."""
        return self.difference / self.reference.value

    def document(self) -> dict[str, Any]:
        """Give the document for the collection ``pet_comparisons``; the same pair, the same id."""
        pair = f"{self.record}\n{self.reference.id}"
        return {
            "_id": hashlib.sha256(pair.encode()).hexdigest()[:32],
            "record": self.record,
            "reference": self.reference.id,
            "property": self.reference.property,
            "unit": self.reference.unit,
            "value": self.value,
            "reference_value": self.reference.value,
            "difference": self.difference,
            "relative": self.relative,
            "level_differs": list(self.level_differs),
        }


@dataclass(frozen=True)
class Row:
    """One crystal of a campaign."""

    crystal: Crystal
    label: str
    """identifier of its first source"""
    potential: str | None
    state: str
    """the worst among its records"""
    reason: str | None
    ground_state: bool | None
    """None where the element's ground state is not known here"""
    in_training: bool | None
    """whether the model's training data hold this phase; None where the model does not say"""
    values: dict[str, float] = field(default_factory=dict)
    """by property of `COMPARED`, where there is a result"""
    references: dict[str, Reference] = field(default_factory=dict)
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    level_differs: tuple[str, ...] = ()
    """what keeps the DFT values there are away from this row, or what it was asked to overlook"""
    energy: float | None = None
    """eV/atom, of the final static"""
    energy_above: float | None = None
    """eV/atom above the element's ground state, or its lowest phase where that is not known"""


@dataclass(frozen=True)
class Matched:
    """All rows of a campaign, and the labels of the crystals that stand without DFT, by cause."""

    rows: list[Row]
    unmatched: dict[str, list[str]]

    def comparison_documents(self) -> list[dict[str, Any]]:
        """Give the documents for ``pet_comparisons``."""
        return [found.document() for row in self.rows for found in row.comparisons.values()]

    def reference_documents(self) -> list[dict[str, Any]]:
        """Give the documents for ``pet_references``, each once."""
        used = {r.id: r for row in self.rows for r in row.references.values()}
        return [reference.document() for reference in used.values()]


@dataclass
class _Group:
    """The records that belong to one relaxed crystal."""

    records: dict[str, Record] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        self.records[record["property"]] = record

    @property
    def first(self) -> Record:
        return next(self.records[name] for name in USED if name in self.records)

    @property
    def final(self) -> Record:
        """The record with the geometry to identify: the relaxed one where there is one."""
        names = [name for name in USED if self.records.get(name, {}).get("structure")]
        return self.records[names[0]] if names else self.first


def match(
    records: Iterable[Record],
    training_phases: Mapping[str, Sequence[str]] | None = None,
    *,
    across_levels: bool = False,
) -> Matched:
    """Set records beside references of the same crystal and the same level of theory.

    Parameters
    ----------
    records
        As stored (docs: records); of other properties than `USED` nothing is read. All of the
        records of one crystal are found by their ``parent``, the relaxation.
    training_phases
        Element → prototypes that the model was trained on, as in its card; None if it does
        not say.
    across_levels
        Where no reference is of the potential's level of theory, take the nearest; its row says
        what differs.

    Returns
    -------
    Matched
        Rows by atomic number, structure and label, whatever the order of the records.
    """
    groups: dict[tuple[str, ...], _Group] = {}
    for record in records:
        if record["property"] in USED:
            groups.setdefault(_group_key(record), _Group()).add(record)
    rows: list[Row] = []
    unmatched: dict[str, list[str]] = {}
    phases = _Phases()
    for group in groups.values():
        crystal = crystal_of_record(group.final)
        if crystal is None:
            cause = "no element in sc, bcc, fcc, hcp or diamond"
            unmatched.setdefault(cause, []).append(_label(group.first))
            continue
        row = _make_row(group, crystal, training_phases, across_levels)
        if not row.references:
            unmatched.setdefault(_cause(row), []).append(row.label)
        rows.append(row)
        phases.add(len(rows) - 1, row, group.records.get("static"))
    rows = [replace(row, energy_above=phases.above(i, row)) for i, row in enumerate(rows)]
    return Matched(sorted(rows, key=_order), unmatched)


def _cause(row: Row) -> str:
    """Say why no reference stands beside a crystal that was recognized."""
    if not row.level_differs:
        return f"no DFT value for {row.crystal.prototype}"
    return f"of another level of theory ({'; '.join(row.level_differs)})"


def _order(row: Row) -> tuple[int, int, str]:
    """Sort as people list crystals."""
    crystal = row.crystal
    return atomic_numbers[crystal.element], PROTOTYPES.index(crystal.prototype), row.label


def _group_key(record: Record) -> tuple[str, ...]:
    """Name the relaxed crystal that a record is of."""
    if record["property"] == "relax":
        return (record["_id"],)
    if record.get("parent"):
        return (record["parent"],)
    potential = record.get("potential") or {}
    # final statics may use another symmetrization than the rest of their crystal
    return (str(record.get("structure_digest")), str(potential.get("sha256")))


def _make_row(
    group: _Group,
    crystal: Crystal,
    training_phases: Mapping[str, Sequence[str]] | None,
    across_levels: bool,
) -> Row:
    """Put one crystal's values and references together."""
    state, reason = _worst(group)
    eos = group.records.get("eos", {})
    potential = group.first.get("potential") or {}
    level = level_of(potential)
    values, references, comparisons = {}, {}, {}
    differs: dict[str, None] = {}
    for name in COMPARED:
        value = _finite(eos, name)
        if value is not None:
            values[name] = value
        reference = sources.nearest(crystal, name, level)
        if reference is None:
            continue
        found = tuple(differences(level, reference.level, [crystal.element]))
        differs |= dict.fromkeys(found)
        if found and not across_levels:
            continue
        references[name] = reference
        # a value that did not converge is shown, but is nobody's error
        if name in values and eos.get("state") == "ok":
            comparisons[name] = Comparison(eos["_id"], reference, values[name], found)
    phases = None if training_phases is None else training_phases.get(crystal.element, ())
    known = acwf.GROUND_STATES.get(crystal.element)
    static = group.records.get("static", {})
    return Row(
        crystal=crystal,
        label=_label(group.first),
        potential=potential.get("name"),
        state=state,
        reason=reason,
        ground_state=None if known is None else known == crystal.prototype,
        in_training=None if phases is None else crystal.prototype in phases,
        values=values,
        references=references,
        comparisons=comparisons,
        level_differs=tuple(differs),
        energy=_finite(static, "energy_per_atom") if static.get("state") == "ok" else None,
    )


def _finite(record: Record, name: str) -> float | None:
    """Take a number from a record's result, if there is one."""
    value = (record.get("result") or {}).get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _worst(group: _Group) -> tuple[str, str | None]:
    """Find the worst state of a crystal's records, and why the first that is not ok is not."""
    found = [group.records[name] for name in USED if name in group.records]
    bad = [record for record in found if record["state"] != "ok"]
    if not bad:
        return "ok", None
    state = "failed" if any(record["state"] == "failed" for record in bad) else "unconverged"
    return state, bad[0].get("reason")


def _label(record: Record) -> str:
    """Name a crystal by its first identifier."""
    sources = record.get("sources") or []
    names = [source.get("material_id") or source.get("path") for source in sources]
    return next((str(name) for name in names if name), str(record["_id"]))


class _Phases:
    """Energies of an element's phases, which only final statics of one potential can compare."""

    def __init__(self) -> None:
        self._kinds: dict[int, tuple[str, ...]] = {}
        self._energies: dict[tuple[str, ...], list[tuple[str, float]]] = {}

    def add(self, index: int, row: Row, static: Record | None) -> None:
        """Take the energy of a row's final static, if it has one."""
        if static is None or row.energy is None:
            return
        digest = (static.get("potential") or {}).get("digest")
        kind = (row.crystal.element, str(digest), str(static.get("settings_digest")))
        self._kinds[index] = kind
        self._energies.setdefault(kind, []).append((row.crystal.prototype, row.energy))

    def above(self, index: int, row: Row) -> float | None:
        """Give a row's energy above the ground state; None if one of the two is not there."""
        if row.energy is None or index not in self._kinds:
            return None
        alike = self._energies[self._kinds[index]]
        known = acwf.GROUND_STATES.get(row.crystal.element)
        zero = [energy for phase, energy in alike if known in (None, phase)]
        return row.energy - min(zero) if zero else None
