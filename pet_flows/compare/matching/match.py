"""Which references stand beside a record: by link, by identifier, by structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pet_flows.compare.matching.choose import WAYS, Choice, Match, Way, choose
from pet_flows.compare.matching.same import Distances
from pet_flows.compare.sides import Ours, Theirs
from pet_flows.dft.differences import differences
from pet_flows.dft.level import LevelOfTheory

CLEAR = 0.03
"""RMSD below which a reference with the record's space group is its crystal without any doubt, and
those with other groups, which differ by more than 0.1 Å, are not looked at."""

SAME_VOLUME = 0.1
"""Relative difference of volumes from which a crystal with the identifier and space group of its
reference is looked at whether it is still the same."""

NO_STRUCTURE = "no structure to be matched"
NOT_THERE = "no reference of this property and formula"
ONLY_OF = "no reference of DFT, but of {0}: pet-flows compare CAMPAIGN {0} shows it"
ANOTHER_CRYSTAL = "no reference with this structure"
ANOTHER_LEVEL = "of another level of theory ({})"


@dataclass(frozen=True)
class Partners:
    """What stands beside a record.

    Parameters
    ----------
    choices
        One for each level of theory, those of the potential's first.
    reason
        Why there is none.
    aside
        Those of other levels of theory, the nearest first, where these are not to be compared.
    notes
        What else a person should know.
    """

    choices: tuple[Choice, ...] = ()
    reason: str | None = None
    aside: tuple[Choice, ...] = ()
    notes: tuple[str, ...] = ()


class Candidates:
    """References of one property and reduced formula, found by what they are known by."""

    def __init__(self, references: Iterable[Theirs] = ()) -> None:
        self.levels: dict[str, Candidates] = {}
        self._by_record: dict[str, list[Theirs]] = {}
        self._by_id: dict[str, list[Theirs]] = {}
        self._by_size: dict[int, list[Theirs]] = {}
        for theirs in references:
            self._index(theirs)

    def add(self, theirs: Theirs) -> None:
        """Take one more, also among those of its level of theory."""
        self._index(theirs)
        self.levels.setdefault(theirs.level.digest, Candidates())._index(theirs)

    def _index(self, theirs: Theirs) -> None:
        for key in theirs.document["records"]:
            self._by_record.setdefault(key, []).append(theirs)
        for name in theirs.ids:
            self._by_id.setdefault(name, []).append(theirs)
        self._by_size.setdefault(theirs.document["nsites_primitive"], []).append(theirs)

    def linked(self, ours: Ours) -> list[Theirs]:
        """Those that were calculated for a record."""
        return _each(self._by_record, ours.keys)

    def named(self, ours: Ours) -> list[Theirs]:
        """Those of a material with one of its identifiers."""
        return _each(self._by_id, ours.ids)

    def of_size(self, n_atoms: int) -> list[Theirs]:
        """Those with so many atoms in the primitive cell."""
        return self._by_size.get(n_atoms, [])


def _each(index: Mapping[str, list[Theirs]], keys: Iterable[str]) -> list[Theirs]:
    found = {theirs.key: theirs for key in keys for theirs in index.get(key, ())}
    return [found[key] for key in sorted(found)]


def partners(
    ours: Ours, candidates: Candidates, distances: Distances, *, across_levels: bool = False
) -> Partners:
    """Find the references of a record's crystal, one for each level of theory.

    Parameters
    ----------
    ours
        The record.
    candidates
        References of its property and reduced formula.
    distances
        Shared by all records of that formula.
    across_levels
        Also take those of other levels than the potential's; they say what differs.
    """
    if not candidates.levels:
        return Partners(reason=NOT_THERE)
    notes: list[str] = []
    found: list[tuple[LevelOfTheory, Choice]] = []
    for of_level in candidates.levels.values():
        matches = _first(ours, of_level, distances, notes)
        if matches:
            level = matches[0].theirs.level
            differs = tuple(differences(ours.level, level, ours.elements))
            choice = choose(ours, matches, distances)
            found.append((level, replace(choice, level_differs=differs)))
    found.sort(key=lambda pair: _distance(ours, *pair))
    choices = tuple(choice for _, choice in found)
    if not choices:
        unlike = NO_STRUCTURE if ours.primitive is None else ANOTHER_CRYSTAL
        return Partners(reason=unlike, notes=tuple(notes))
    if across_levels:
        return Partners(choices, notes=tuple(notes))
    alike = tuple(choice for choice in choices if not choice.level_differs)
    aside = tuple(choice for choice in choices if choice.level_differs)
    reason = None if alike else ANOTHER_LEVEL.format("; ".join(aside[0].level_differs))
    return Partners(alike, reason, aside, tuple(notes))


def _first(
    ours: Ours, candidates: Candidates, distances: Distances, notes: list[str]
) -> list[Match]:
    """References of the same crystal, by the first way that finds some."""
    for find in (_by_link, _by_identifier, _by_structure):
        if found := find(ours, candidates, distances, notes):
            return found
    return []


def crystals_of(ours: Ours, candidates: Candidates, distances: Distances) -> list[Match]:
    """References of the same crystal, of whatever level of theory, by the first way that finds."""
    return _first(ours, candidates, distances, [])


def _by_link(
    ours: Ours, candidates: Candidates, distances: Distances, notes: list[str]
) -> list[Match]:
    """References that were calculated for this record."""
    return _still_there(ours, candidates.linked(ours), "link", distances, notes)


def _by_identifier(
    ours: Ours, candidates: Candidates, distances: Distances, notes: list[str]
) -> list[Match]:
    """References of a material with one of the record's identifiers."""
    return _still_there(ours, candidates.named(ours), "identifier", distances, notes)


def _by_structure(
    ours: Ours, candidates: Candidates, distances: Distances, notes: list[str]
) -> list[Match]:
    """References with the record's structure, those with its space group first."""
    if ours.primitive is None:
        return []
    group = ours.space_group
    alike: list[Theirs] = []
    others: list[Theirs] = []
    for theirs in candidates.of_size(len(ours.primitive)):
        there = alike if (theirs.document["spacegroup"] or {}).get("loose") == group else others
        there.append(theirs)
    found: list[Match] = []
    for some in (alike, others):
        for theirs in some:
            if theirs.primitive is None:
                continue
            rmsd = distances.rmsd(ours.primitive, theirs.primitive)
            if rmsd is not None:
                found.append(Match(theirs, "structure", rmsd))
        if any((match.rmsd or 0.0) < CLEAR for match in found):
            break
    return found


def _still_there(
    ours: Ours, named: Iterable[Theirs], way: Way, distances: Distances, notes: list[str]
) -> list[Match]:
    """Those named references whose crystal the record is still of.

    A relaxed crystal that became another one keeps its relaxation's reference, whose metrics are
    about that; nothing else of it is compared with the crystal it was.
    """
    found = []
    for theirs in named:
        if _looks_alike(ours, theirs):
            found.append(Match(theirs, way, None))
            continue
        if ours.primitive is None or theirs.primitive is None:
            found.append(Match(theirs, way, None))  # of molecules and slabs a name is all there is
            continue
        rmsd = distances.rmsd(ours.primitive, theirs.primitive)
        if rmsd is not None:
            found.append(Match(theirs, way, rmsd))
            continue
        left = f"it is not the crystal of {theirs.name} any more, which it has the {way} of"
        if ours.record["property"] == "relax":
            found.append(Match(theirs, way, None, (left,)))
        elif left not in notes:
            notes.append(left)
    return found


def _looks_alike(ours: Ours, theirs: Theirs) -> bool:
    """Whether space group and volume are the reference's, so that no one needs to look closer."""
    group = ours.space_group
    other = (theirs.document["spacegroup"] or {}).get("loose")
    if group is None or group != other or ours.structure is None:
        return False
    volumes = [s.volume / len(s) for s in (ours.structure, theirs.structure)]
    return abs(volumes[0] / volumes[1] - 1) < SAME_VOLUME


def _distance(
    ours: Ours, level: LevelOfTheory, choice: Choice
) -> tuple[bool, int, bool, int, float]:
    """How far a choice is: at the potential's level by its way, else by what levels share.

    One of the same functional is nearer than any other.
    """
    differ = len(choice.level_differs)
    way = 0 if differ else WAYS.index(choice.match.way)
    other = not ours.level.same_functional(level)
    return bool(differ), way, other, differ, choice.match.rmsd or 0.0
