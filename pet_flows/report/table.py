"""A campaign as one table: a row for each structure, columns of every property."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import Column
from pet_flows.properties.registry import properties
from pet_flows.report.damage import sound
from pet_flows.report.describe import group_name
from pet_flows.report.fields import cell_of, columns_of
from pet_flows.store.results import ResultStore

#: what is loaded of each record
_NEEDED = (
    "property", "state", "reason", "parent", "sources", "structure_digest", "formula_pretty",
    "spacegroup", "potential", "result", "spread",
    "uncertainty",
)  # fmt: skip


@dataclass(frozen=True)
class Head:
    """A column: which property it is of, its field, its unit."""

    of: str
    name: str
    unit: str

    @property
    def key(self) -> str:
        """``eos.b0``."""
        return f"{self.of}.{self.name}"


@dataclass(frozen=True)
class Member:
    """One of the records of a row."""

    key: str
    of: str
    """its property"""
    state: str
    reason: str | None
    spread: Mapping[str, float | None]
    """over the rotations: ``energy_per_atom`` (eV), ``forces`` (eV/Å)"""
    uncertainty: Mapping[str, float | None]
    """of the model itself: ``energy_per_atom`` (eV), ``forces`` (eV/Å), ``stress`` (GPa)"""

    @property
    def problem(self) -> str | None:
        """What is not ok; None where all is."""
        return None if self.state == "ok" else f"{self.of} {self.state} ({self.reason})"


@dataclass
class Row:
    """One structure of a campaign, under one potential."""

    material: str
    formula: str
    space_group: int | None
    potential: str
    cells: dict[str, Any] = field(default_factory=dict)
    """by `Head.key`"""
    problems: list[str] = field(default_factory=list)
    """what is not ok, one entry a property"""
    members: list[Member] = field(default_factory=list)
    """its records, in the order in which properties are computed"""
    absent: list[str] = field(default_factory=list)
    """properties that the campaign asks for and that have no record yet"""

    @property
    def state(self) -> str:
        """``ok``, or everything that is not."""
        return "; ".join(self.problems) or "ok"


@dataclass(frozen=True)
class Report:
    """The table of a campaign."""

    campaign: str
    heads: list[Head]
    rows: list[Row]

    @cached_property
    def several_potentials(self) -> bool:
        """Whether rows differ in their potential, which they then say."""
        return len({row.potential for row in self.rows}) > 1


@dataclass(frozen=True)
class _Entry:
    """One record, without what the table does not show."""

    member: Member
    parent: str | None
    names: tuple[str, ...]
    start: str
    """digest of the structure it is of, or its key where that could not be read"""
    potential: Mapping[str, Any]
    formula: str
    space_group: int | None
    cells: dict[str, Any]


def report(store: ResultStore, campaign: str) -> Report:
    """Put the records of a campaign into one table.

    A row is a structure under an identifier; what starts from its relaxation is in the same row.
    Space groups are those of the relaxed structure at 0.1 Å.

    Raises
    ------
    PetFlowsError
        There is no such campaign, or it has no records yet.
    """
    columns = {name: columns_of(prop) for name, prop in properties().items()}
    found = store.query({"sources.campaign": campaign}, list(_NEEDED))
    entries = {e.member.key: e for e in sound(found, lambda r: _entry(r, campaign, columns))}
    asked: list[str] = []
    if not entries:
        store.campaigns.get(campaign)  # says which campaigns there are, if it is none
        raise PetFlowsError(f"The campaign {campaign!r} has no records yet: run it first.")
    if campaign in store.campaigns.names():
        asked = list((store.campaigns.get(campaign)["manifest"] or {}).get("properties", ()))
    present = {entry.member.of for entry in entries.values()} | set(asked)
    shown = [name for name in columns if name in present]
    wanted = [name for name in columns if name in asked]
    rows = [_row(*group, wanted) for group in _groups(entries)]
    rows.sort(key=lambda row: (row.formula, row.material, row.potential))
    heads = [Head(name, one.name, one.unit) for name in shown for one in columns[name]]
    return Report(campaign, heads, rows)


def _entry(record: Mapping[str, Any], campaign: str, columns: Mapping[str, list[Column]]) -> _Entry:
    which, result = record["property"], record["result"] or {}
    groups = record["spacegroup"]["final"] or record["spacegroup"]["input"] or {}
    sources = [s for s in record["sources"] if s.get("campaign") == campaign]
    return _Entry(
        member=Member(
            key=record["_id"],
            of=which,
            state=record["state"],
            reason=record["reason"],
            spread=record.get("spread") or {},
            uncertainty=record.get("uncertainty") or {},
        ),
        parent=record["parent"],
        names=tuple(dict.fromkeys(s.get("material_id") or s.get("path") or "" for s in sources)),
        start=record["structure_digest"] or record["_id"],
        potential=record["potential"],
        formula=record["formula_pretty"] or "",
        space_group=groups.get("loose"),
        cells={
            f"{which}.{one.name}": cell_of(one, result)
            for one in columns.get(which, ())
            if record["state"] != "failed"
        },
    )


def _groups(
    entries: Mapping[str, _Entry],
) -> Iterator[tuple[str, _Entry, list[_Entry]]]:
    """Identifier, first record, and all records of each row."""
    by_row: dict[tuple[str, str, str], list[_Entry]] = {}
    for entry in entries.values():
        root = _root(entry, entries)
        for name in entry.names:
            row_key = (name, root.parent or root.start, root.potential["sha256"])
            by_row.setdefault(row_key, []).append(entry)
    for (name, _, _), members in by_row.items():
        # properties choose their own precision, and with it another potential of the same
        # weights; the same property twice was asked for with two potentials
        twice = len({entry.member.of for entry in members}) < len(members)
        parts: dict[str, list[_Entry]] = {}
        for member in members:
            digest = _root(member, entries).potential["digest"] if twice else ""
            parts.setdefault(digest, []).append(member)
        for part in parts.values():
            yield (
                name,
                min((_root(m, entries) for m in part), key=lambda e: e.member.of),
                part,
            )


def _root(entry: _Entry, entries: Mapping[str, _Entry]) -> _Entry:
    """Record that a record's structure goes back to, as far as the campaign has it."""
    while entry.parent is not None and entry.parent in entries:
        entry = entries[entry.parent]
    return entry


def _row(name: str, root: _Entry, members: list[_Entry], asked: list[str]) -> Row:
    row = Row(name, root.formula, root.space_group, potential_name(root.potential))
    order = list(properties())
    for entry in sorted(
        members,
        key=lambda e: order.index(e.member.of) if e.member.of in order else len(order),
    ):
        row.members.append(entry.member)
        row.cells.update(entry.cells)
        if entry.member.problem:
            row.problems.append(entry.member.problem)
    row.absent = [which for which in asked if which not in {m.of for m in row.members}]
    if row.absent:
        row.problems.append(f"not computed: {', '.join(row.absent)}")
    return row


def potential_name(used: Mapping[str, Any]) -> str:
    """How a record's potential is called: model, symmetrization and dtype."""
    return f"{used['name']} {used['symmetrization']} {used['dtype']}"


def heads_of(table: Report) -> list[str]:
    """Heads of all columns with units, for formats that have one line for them."""
    first = ["material_id", "formula", "space group"]
    first += ["potential"] * table.several_potentials
    return first + [f"{h.key} ({h.unit})" if h.unit else h.key for h in table.heads] + ["state"]


def cells_of(table: Report, row: Row) -> list[Any]:
    """Cells of a row, in the order of `heads_of`."""
    first: list[Any] = [row.material, row.formula, group_name(row.space_group)]
    first += [row.potential] * table.several_potentials
    return first + [row.cells.get(head.key) for head in table.heads] + [row.state]
