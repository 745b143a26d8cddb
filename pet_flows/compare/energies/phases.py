"""Energies of a campaign and of its references, as the phases of a hull."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

from pet_flows.compare.energies.corrections import Refused, adjust
from pet_flows.compare.energies.hull import Phase
from pet_flows.compare.energies.methods import methods
from pet_flows.compare.energies.shift import ENERGIES
from pet_flows.compare.potential import is_force_field, level_of
from pet_flows.compare.shelf import Shelf
from pet_flows.dft.differences import differences
from pet_flows.dft.level import LevelOfTheory
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from pet_flows.store.writes import chunks


@dataclass
class Crystal:
    """A relaxed crystal of a campaign.

    Parameters
    ----------
    key
        Of its relaxation, or of its one record.
    records
        Keys of all of its records.
    phase
        Its energy; None where there is none.
    reason
        Why there is none.
    twin
        Key of the reference beside that energy.
    """

    key: str
    records: set[str] = field(default_factory=set)
    phase: Phase | None = None
    reason: str = "it has no energy"
    twin: str | None = None


@dataclass
class Energies:
    """Crystals of one potential.

    Parameters
    ----------
    potential
        As in its records.
    of
        Property that they are of.
    crystals
        By key.
    """

    potential: Mapping[str, Any]
    of: str
    crystals: dict[str, Crystal] = field(default_factory=dict)

    @property
    def phases(self) -> list[Phase]:
        """Those that have an energy."""
        return [crystal.phase for crystal in self.crystals.values() if crystal.phase is not None]

    @property
    def elements(self) -> set[str]:
        """Of all of them."""
        return set().union(*(phase.elements for phase in self.phases))


def energies_of(where: ResultStore | Shelf, campaign: str) -> list[Energies]:
    """Energies of a campaign, by potential: of final statics, of relaxations where these are more.

    Raises
    ------
    PetFlowsError
        No record belongs to such a campaign.
    """
    names = [
        "property", "parent", "state", "reason", "formula_pretty", "result.energy_per_atom",
        "potential",
    ]  # fmt: skip
    shelf = where if isinstance(where, Shelf) else Shelf(where)
    # damaged ones are named where records and references are compared
    whole = {name: {"$exists": True} for name in ("state", "property", "potential.sha256")}
    records = list(shelf.store.query({"sources.campaign": campaign, **whole}, names))
    if not records:
        raise PetFlowsError(
            f"No record in this store belongs to a campaign {campaign!r}; list the records there "
            "are with pet-flows query."
        )
    # a relaxation that failed has no final static after it, and is no reason against these
    counts = Counter(
        r["property"] for r in records if r["property"] != "relax" or r["state"] == "ok"
    )
    chosen = max(ENERGIES, key=lambda name: counts[name])
    found: dict[tuple[str, str | None], Energies] = {}
    for record in records:
        # final statics may use another symmetrization than their relaxation
        said = record["potential"]
        of_weights = found.setdefault((said["sha256"], said.get("variant")), Energies(said, chosen))
        key = record.get("parent") or record["_id"]
        crystal = of_weights.crystals.setdefault(key, Crystal(key))
        crystal.records.add(record["_id"])
        if record["property"] != chosen:
            continue
        energy = (record.get("result") or {}).get("energy_per_atom")
        if record["state"] != "ok":
            crystal.reason = f"its {chosen} is {record['state']} ({record.get('reason')})"
        elif energy is not None:
            crystal.phase = Phase(key, record["formula_pretty"], float(energy))
    _find_twins(shelf, campaign, chosen, found.values())
    return list(found.values())


def _find_twins(shelf: Shelf, campaign: str, chosen: str, found: Iterable[Energies]) -> None:
    """Note the references that comparisons set beside these energies."""
    of_record = {
        key: crystal
        for energies in found
        for crystal in energies.crystals.values()
        for key in crystal.records
    }
    names = ("record", "reference", "level_differs", "property")
    for document in shelf.comparisons([campaign], names):
        crystal = of_record.get(document["record"])
        if crystal is None or document["property"] != chosen:
            continue
        if document["reference"] and not document["level_differs"]:
            crystal.twin = document["reference"]


@dataclass
class ReferenceEnergies:
    """References of one method, all that the elements of a campaign have.

    Parameters
    ----------
    phases
        By the key of the reference.
    method
        Their level of theory.
    refused
        Why others are left out → how many.
    notes
        What a person should know.
    """

    phases: dict[str, Phase] = field(default_factory=dict)
    method: LevelOfTheory | None = None
    refused: Counter[str] = field(default_factory=Counter)
    notes: set[str] = field(default_factory=set)


def reference_energies(
    store: ResultStore, ours: Energies, *, corrected: bool = False
) -> ReferenceEnergies:
    """Energies of the references that a hull beside a campaign is made of.

    Parameters
    ----------
    store
        Where they are.
    ours
        The campaign's, whose elements and level of theory count.
    corrected
        Whether they get the corrections of the Materials Project, so that those with and without U
        are one method.

    Returns
    -------
    ReferenceEnergies
        Of the method, among those of the potential's level of theory, that has most.
    """
    level = level_of(ours.potential)
    by_level: dict[str, list[dict[str, Any]]] = {}
    levels: dict[str, LevelOfTheory] = {}
    for document in _of_elements(store, ours, ["entry"] * corrected):
        digest = document["level"]["digest"]
        if digest not in levels:
            content = {name: v for name, v in document["level"].items() if name != "digest"}
            levels[digest] = LevelOfTheory(**content)
        if not differences(level, levels[digest], document["elements"]):
            by_level.setdefault(digest, []).append(document)
    method_of = methods((levels[digest] for digest in by_level), mix_u=corrected)
    counts: Counter[str] = Counter()
    for digest, documents in by_level.items():
        counts[method_of[digest]] += len(documents)
    found = ReferenceEnergies()
    if not counts:
        return found
    ((method, _),) = counts.most_common(1)
    found.method = levels[method]
    for digest, documents in by_level.items():
        if method_of[digest] != method:
            found.refused["of another method"] += len(documents)
            continue
        for document in documents:
            _take(found, document, corrected)
    return found


def _take(found: ReferenceEnergies, document: Mapping[str, Any], corrected: bool) -> None:
    energy = float(document["result"]["energy_per_atom"])
    if corrected:
        try:
            energy += correction(document, found.notes)
        except Refused as refused:
            found.refused[str(refused)] += 1
            return
    found.phases[document["_id"]] = Phase(document["_id"], document["formula_pretty"], energy)


def correction(document: Mapping[str, Any], notes: set[str]) -> float:
    """eV/atom that the corrections add to a reference; what is not checked is noted.

    Raises
    ------
    Refused
        It has no entry, or none that the scheme is made for.
    """
    if document["nelements"] == 1:
        return 0.0
    if document.get("entry") is None:
        raise Refused("the run type is not known")
    adjusted = adjust(document["entry"])
    notes |= set(adjusted.warnings)
    return adjusted.total


def _of_elements(
    store: ResultStore, ours: Energies, more: Collection[str]
) -> Iterator[dict[str, Any]]:
    """References of the systems of a campaign's crystals, and of the systems within these."""
    systems = {phase.elements for phase in ours.phases}
    within = {
        "-".join(sorted(part))
        for system in systems
        for part in chain.from_iterable(
            combinations(sorted(system), n) for n in range(1, len(system) + 1)
        )
    }
    fields = ["formula_pretty", "elements", "nelements", "level", "result.energy_per_atom", *more]
    for chunk in chunks(sorted(within)):
        query = {"chemsys": {"$in": chunk}, "property": ours.of}
        for document in store.references.find(query, fields):
            if "energy_per_atom" in document["result"] and not is_force_field(document):
                yield document
