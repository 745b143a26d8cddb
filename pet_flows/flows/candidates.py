"""Which materials of a campaign are worth a calculation with DFT: the first by one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from pet_flows.compare.energies.above import Kind, above_hull
from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.report.fields import value_at
from pet_flows.report.find import label

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

#: energies above a hull: that of the campaign's own energies, or DFT's
HULLS: Mapping[str, Kind] = {"e_above_hull": "own", "e_above_hull.dft": "dft"}

_HEAD = ["property", "parent", "sources", "formula_pretty", "structure_digest", "potential.name"]


@dataclass(frozen=True)
class Candidate:
    """One material that is chosen.

    Parameters
    ----------
    record
        Key of the record whose final structure it is: the relaxation, where there was one.
    name
        Identifier, else path, else the beginning of the key.
    material_id
        None where it has none.
    formula
        Reduced.
    value
        What it was chosen by.
    structure
        Final one of `record`.
    """

    record: str
    name: str
    material_id: str | None
    formula: str
    value: float
    structure: Structure


@dataclass(frozen=True)
class Order:
    """A number of records by which candidates are put in order.

    Parameters
    ----------
    property
        Whose result has it.
    path
        Field of that result, dots going into nested ones.
    """

    property: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Order:
        """Order of ``energy_per_atom`` or ``phonon.min_frequency``, without the minus before it.

        A field that several properties have is that of the first: of ``relax`` before ``static``.

        Raises
        ------
        PetFlowsError
            No property has such a field.
        """
        name = text.removeprefix("-")
        first, _, rest = name.partition(".")
        known = properties()
        if first in known and rest:
            where, path = [first], rest
        else:
            where, path = list(known), name
        for property in where:
            if path.partition(".")[0] in known[property].result.model_fields:
                return cls(property, path)
        raise PetFlowsError(
            f"No result has a number {name!r} to choose by: choose a field that pet-flows query "
            "--fields can show, such as energy_per_atom, b0 or phonon.min_frequency."
        )


def candidates(
    store: ResultStore,
    campaign: str,
    by: str,
    top: int,
    criteria: Mapping[str, Any] | None = None,
) -> list[Candidate]:
    """First materials of a campaign, each once, the best first.

    Parameters
    ----------
    store
        With its records.
    campaign
        Name.
    by
        See `Order.parse`; or ``e_above_hull``, eV/atom above the hull of the campaign's energies,
        ``e_above_hull.dft`` above that of the references.
    top
        How many at most.
    criteria
        MongoDB query that their records must match too.

    Raises
    ------
    PetFlowsError
        No such field, or no record in state ``ok`` that has it as a number.
    """
    if top < 1:
        raise PetFlowsError(f"top must be at least 1 (got {top}).")
    wanted = {"sources.campaign": campaign, "state": "ok"}
    query = {"$and": [wanted, dict(criteria)]} if criteria else wanted
    hull = HULLS.get(by.removeprefix("-"))
    if hull is None:
        ranked = _by_result(store, query, Order.parse(by))
        what = by.removeprefix("-")
    else:
        ranked, reason = _by_hull(store, campaign, query, hull)
        what = f"energy above the hull ({reason})"
    if not ranked:
        raise PetFlowsError(
            f"Campaign {campaign} has no record in state ok{' that matches' * bool(criteria)} with "
            f"a number {what}: compute it first, or choose by another field."
        )
    sign = -1 if by.startswith("-") else 1
    ranked.sort(key=lambda pair: (sign * pair[0], pair[1]["_id"]))
    return _distinct(store, campaign, ranked, top)


def _by_result(
    store: ResultStore, query: Mapping[str, Any], order: Order
) -> list[tuple[float, dict[str, Any]]]:
    field = order.path.partition(".")[0]
    of_property = {"$and": [{"property": order.property}, query]}
    found = []
    for record in store.query(of_property, [*_HEAD, f"result.{field}"]):
        value = value_at(record.get("result"), order.path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((float(value), record))
    return found


def _by_hull(
    store: ResultStore, campaign: str, query: Mapping[str, Any], hull: Kind
) -> tuple[list[tuple[float, dict[str, Any]]], str]:
    """Records with their energies above the hull, and why others have none."""
    of_potentials = above_hull(store, campaign, hull)
    values = {key: value for one in of_potentials for key, value in one.above.items()}
    reasons = {reason for one in of_potentials for reason in one.missing.values()}
    found = [
        (values[record["_id"]], record)
        for record in store.query(query, _HEAD)
        if record["_id"] in values
    ]
    return found, "; ".join(sorted(reasons)[:3]) or "nothing matches"


def _distinct(
    store: ResultStore, campaign: str, ranked: list[tuple[float, dict[str, Any]]], top: int
) -> list[Candidate]:
    """Candidates of records in order; one material counts once, whatever potentials it had."""
    found: list[Candidate] = []
    seen: set[str] = set()
    for value, record in ranked:
        start = record["_id"] if record.get("parent") is None else record["parent"]
        whole = store.existing([start]).get(start)
        if whole is None:
            continue  # its relaxation was removed
        input_ = str(whole.get("structure_digest") or start)
        if input_ in seen:
            continue
        seen.add(input_)
        sources = [s for s in whole["sources"] if s.get("campaign") == campaign] or whole["sources"]
        identifier = next((s["material_id"] for s in sources if s.get("material_id")), None)
        found.append(
            Candidate(
                record=start,
                name=label(whole, campaign),
                material_id=identifier,
                formula=str(whole["formula_pretty"]),
                value=value,
                structure=store.final_structure(whole),
            )
        )
        if len(found) == top:
            break
    return found
