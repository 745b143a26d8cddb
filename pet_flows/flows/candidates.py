"""Which materials of a campaign are worth a calculation with DFT: the first by one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.report.fields import value_at
from pet_flows.report.find import label

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore

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
    largest_first
        Otherwise the smallest is the best.
    """

    property: str
    path: str
    largest_first: bool = False

    @classmethod
    def parse(cls, text: str) -> Order:
        """Order of ``energy_per_atom``, ``-b0`` (largest first) or ``phonon.min_frequency``.

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
                return cls(property, path, text.startswith("-"))
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
        See `Order.parse`.
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
    order = Order.parse(by)
    wanted = {"sources.campaign": campaign, "property": order.property, "state": "ok"}
    query = {"$and": [wanted, dict(criteria)]} if criteria else wanted
    field = order.path.partition(".")[0]
    ranked = []
    for record in store.query(query, [*_HEAD, f"result.{field}"]):
        value = value_at(record.get("result"), order.path)
        if isinstance(value, int | float) and not isinstance(value, bool):
            ranked.append((float(value), record))
    if not ranked:
        raise PetFlowsError(
            f"Campaign {campaign} has no record of {order.property} in state ok with a number "
            f"{order.path}{' that matches' * bool(criteria)}: compute it first, or choose by "
            "another field."
        )
    ranked.sort(key=lambda pair: (-pair[0] if order.largest_first else pair[0], pair[1]["_id"]))
    return _distinct(store, campaign, ranked, top)


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
