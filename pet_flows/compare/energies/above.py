"""Records of a campaign → energies above a hull, and how well they tell what is stable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from pet_flows.compare.energies.corrections import Refused
from pet_flows.compare.energies.hull import Hull, Phase
from pet_flows.compare.energies.phases import (
    Crystal,
    Energies,
    ReferenceEnergies,
    correction,
    energies_of,
    reference_energies,
)
from pet_flows.compare.energies.stability import Stability, stability
from pet_flows.compare.shelf import Shelf
from pet_flows.store.results import ResultStore

#: whose hull: the potential's own, or DFT's, to which no potential adds anything
Kind = Literal["own", "dft"]


@dataclass
class AboveHull:
    """Energies above one hull of one potential; those above another are never among them.

    Parameters
    ----------
    hull
        Whose it is.
    potential
        Name of the potential.
    above
        Key of a record → eV/atom; below DFT's fixed hull it is negative.
    missing
        Key of a record → why it has none.
    references
        What DFT's hull is made of, and what is not on it.
    stability
        Beside DFT's distances, over the crystals that have a reference; of DFT's hull alone.
    refused
        Why crystals have no corrections → how many.
    """

    hull: Kind
    potential: str
    above: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    references: ReferenceEnergies | None = None
    stability: Stability | None = None
    refused: Counter[str] = field(default_factory=Counter)


def above_hull(
    where: ResultStore | Shelf, campaign: str, hull: Kind = "own", *, corrected: bool = False
) -> list[AboveHull]:
    """Energies above a hull of the records of a campaign, for each potential.

    Parameters
    ----------
    where
        Where records, references and comparisons are (`pet_flows.compare.campaign`).
    campaign
        Its name. Energies are of its final statics, of its relaxations where these are more.
    hull
        ``own``: of the campaign's energies. ``dft``: of the references of the potential's level of
        theory, fixed; beside it stands the formation energy from the potential's own elements.
    corrected
        Whether energies have the corrections of the Materials Project, so that GGA and GGA+U stand
        on one hull; a potential's have those of their twins.

    Returns
    -------
    list of AboveHull
        By the keys of all records of a relaxed crystal.

    Raises
    ------
    PetFlowsError
        No record belongs to such a campaign.
    """
    shelf = where if isinstance(where, Shelf) else Shelf(where)
    return [
        _of_potential(shelf.store, energies, hull, corrected)
        for energies in energies_of(shelf, campaign)
    ]


def e_above_hull(
    where: ResultStore | Shelf, campaign: str, hull: Kind = "own", *, corrected: bool = False
) -> dict[str, float]:
    """Key of a record → eV/atom above a hull, as `above_hull`; what has none is left out."""
    found = above_hull(where, campaign, hull, corrected=corrected)
    return {key: value for one in found for key, value in one.above.items()}


def _of_potential(store: ResultStore, ours: Energies, kind: Kind, corrected: bool) -> AboveHull:
    found = AboveHull(kind, str(ours.potential["name"]))
    fixed = Hull(())
    if kind == "dft":  # of all systems, also of those whose energies are not corrected below
        found.references = reference_energies(store, ours, corrected=corrected)
        fixed = Hull(found.references.phases.values())
    if corrected:
        _correct(store, ours, found)
    own = Hull(ours.phases)
    values: dict[str, float | None] = {}
    for crystal in ours.crystals.values():
        value, reason = _above(crystal, own, fixed, kind)
        values[crystal.key] = value
        for key in crystal.records:
            if value is None:
                found.missing[key] = reason
            else:
                found.above[key] = value
    if found.references is not None:
        pairs = list(_twins(ours, values, found.references, fixed))
        if pairs:
            found.stability = stability([dft for dft, _ in pairs], [pet for _, pet in pairs])
    return found


def _above(crystal: Crystal, own: Hull, fixed: Hull, kind: Kind) -> tuple[float | None, str]:
    if crystal.phase is None:
        return None, crystal.reason
    elements = crystal.phase.elements
    if absent := own.missing(elements):
        return None, f"the campaign has no energy of the element {absent[0]}"
    if kind == "own":
        return own.above(crystal.phase), ""
    if absent := fixed.missing(elements):
        return None, f"there is no reference energy of the element {absent[0]}"
    return fixed.distance(crystal.phase, own.formation(crystal.phase)), ""


def _twins(
    ours: Energies, values: dict[str, float | None], theirs: ReferenceEnergies, fixed: Hull
) -> Iterator[tuple[float, float | None]]:
    """Distances of DFT and potential, of each reference once: the lowest crystal beside it."""
    lowest: dict[str, float | None] = {}
    for crystal in ours.crystals.values():
        twin = crystal.twin
        if twin is None or twin not in theirs.phases:
            continue
        known, value = lowest.get(twin), values[crystal.key]
        lowest[twin] = known if value is None or (known is not None and known < value) else value
    for twin, value in lowest.items():
        phase: Phase = theirs.phases[twin]
        if not fixed.missing(phase.elements):
            yield fixed.above(phase), value


def _correct(store: ResultStore, ours: Energies, found: AboveHull) -> None:
    """Add to each energy what its twin's has; without a twin a compound has no energy."""
    notes: set[str] = set()
    wanted = [crystal.twin for crystal in ours.crystals.values() if crystal.twin]
    fields = ["entry", "nelements"]
    twins = {
        document["_id"]: document
        for document in store.references.find({"_id": {"$in": wanted or [""]}}, fields)
    }
    for crystal in ours.crystals.values():
        phase = crystal.phase
        if phase is None or len(phase.elements) == 1:
            continue
        try:
            if crystal.twin not in twins:
                raise Refused("no reference beside it whose corrections it could take over")
            energy = phase.energy + correction(twins[crystal.twin], notes)
        except Refused as refused:
            found.refused[str(refused)] += 1
            crystal.phase, crystal.reason = None, f"not corrected: {refused}"
        else:
            crystal.phase = Phase(phase.key, phase.formula, energy)
