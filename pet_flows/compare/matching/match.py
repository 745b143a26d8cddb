"""Which references stand beside a record: by link, by identifier, by structure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pet_flows.compare.matching.same import Distances
from pet_flows.compare.sides import Ours, Theirs
from pet_flows.dft.differences import differences

Way = Literal["link", "identifier", "structure"]

SAME_CRYSTAL = 0.01
"""RMSD within which references are as near as the nearest: calculations of one crystal in several
cells or with several orders of moments differ by less, two different crystals by more."""

CLEAR = 0.03
"""RMSD below which a reference with the record's space group is its crystal without any doubt, and
those with other groups, which differ by more than 0.1 Å, are not looked at."""

SAME_VOLUME = 0.1
"""Relative difference of volumes from which a crystal with the identifier and space group of its
reference is looked at whether it is still the same."""

NO_STRUCTURE = "no structure to be matched"
NOT_THERE = "no reference of this property and formula"
ANOTHER_CRYSTAL = "no reference with this structure"
ANOTHER_LEVEL = "of another level of theory ({})"


@dataclass(frozen=True)
class Match:
    """A reference of a record's crystal."""

    theirs: Theirs
    way: Way
    rmsd: float | None
    """None where structures did not need to be compared, or are not alike"""
    notes: tuple[str, ...] = ()
    level_differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The reference that is taken of those at one level of theory."""

    match: Match
    others: tuple[Match, ...]
    """of the same crystal and level"""
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Partners:
    """What stands beside a record.

    Parameters
    ----------
    choices
        One for each level of theory; of several levels that differ from the potential's only the
        nearest.
    reason
        Why there is none.
    left
        References of the same crystal that are not taken.
    level_differs
        What keeps them away.
    notes
        What else a person should know.
    """

    choices: tuple[Choice, ...] = ()
    reason: str | None = None
    left: tuple[Match, ...] = ()
    level_differs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Candidates:
    """References of one property and reduced formula, found by what they are known by."""

    def __init__(self, references: Iterable[Theirs] = ()) -> None:
        self.all: list[Theirs] = []
        self._by_record: dict[str, list[Theirs]] = {}
        self._by_id: dict[str, list[Theirs]] = {}
        self._by_size: dict[int, list[Theirs]] = {}
        for theirs in references:
            self.add(theirs)

    def add(self, theirs: Theirs) -> None:
        """Take one more."""
        self.all.append(theirs)
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
    """Find the references of a record's crystal and level of theory.

    Parameters
    ----------
    ours
        The record.
    candidates
        References of its property and reduced formula.
    distances
        Shared by all records of that formula.
    across_levels
        Where no reference is of the potential's level, take the nearest; it says what differs.
    """
    if not candidates.all:
        return Partners(reason=NOT_THERE)
    notes: list[str] = []
    differing: list[Match] = []
    for find in (_by_link, _by_identifier, _by_structure):
        found = [_leveled(ours, match) for match in find(ours, candidates, distances, notes)]
        known = {match.theirs.key for match in differing}
        differing += [m for m in found if m.level_differs and m.theirs.key not in known]
        alike = [match for match in found if not match.level_differs]
        if alike:
            return Partners(tuple(_choices(alike)), left=tuple(differing), notes=tuple(notes))
    if not differing:
        reason = NO_STRUCTURE if ours.primitive is None else ANOTHER_CRYSTAL
        return Partners(reason=reason, notes=tuple(notes))
    nearest = min(differing, key=lambda match: _distance(ours, match))
    if not across_levels:
        reason = ANOTHER_LEVEL.format("; ".join(nearest.level_differs))
        return Partners((), reason, tuple(differing), nearest.level_differs, tuple(notes))
    level = nearest.theirs.level.digest
    of_level = [match for match in differing if match.theirs.level.digest == level]
    rest = tuple(match for match in differing if match not in of_level)
    return Partners(tuple(_choices(of_level)), None, rest, nearest.level_differs, tuple(notes))


def crystals_of(ours: Ours, candidates: Candidates, distances: Distances) -> list[Match]:
    """References of the same crystal, of whatever level of theory, by the first way that finds."""
    for find in (_by_link, _by_identifier, _by_structure):
        if found := find(ours, candidates, distances, []):
            return found
    return []


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
    group = _space_group(ours)
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
    group = _space_group(ours)
    other = (theirs.document["spacegroup"] or {}).get("loose")
    if group is None or group != other or ours.structure is None:
        return False
    volumes = [s.volume / len(s) for s in (ours.structure, theirs.structure)]
    return abs(volumes[0] / volumes[1] - 1) < SAME_VOLUME


def _space_group(ours: Ours) -> int | None:
    """At the loose tolerance."""
    groups = ours.record["spacegroup"]
    number: int | None = (groups["final"] or groups["input"] or {}).get("loose")
    return number


def _leveled(ours: Ours, match: Match) -> Match:
    differs = tuple(differences(ours.level, match.theirs.level, ours.elements))
    return Match(match.theirs, match.way, match.rmsd, match.notes, differs)


def _distance(ours: Ours, match: Match) -> tuple[bool, int, float]:
    """How far a level of theory is; one of the same functional is nearer than any other."""
    same = ours.level.same_functional(match.theirs.level)
    return not same, len(match.level_differs), match.rmsd or 0.0


def _choices(found: Sequence[Match]) -> Iterable[Choice]:
    """Of each level the crystal nearest to the record's, in its calculation of lowest energy."""
    levels: dict[str, list[Match]] = {}
    for match in found:
        levels.setdefault(match.theirs.level.digest, []).append(match)
    for matches in levels.values():
        least = min(match.rmsd or 0.0 for match in matches)
        near = [m for m in matches if (m.rmsd or 0.0) <= least + SAME_CRYSTAL]
        near.sort(key=_preference)
        taken = near[0]
        notes = list(taken.notes)
        if near[1:]:
            notes.append(
                f"{len(near)} references are of this crystal and level of theory; the lowest in "
                "energy is taken"
            )
        for other in sorted((m for m in matches if m not in near), key=lambda m: m.rmsd or 0.0):
            notes.append(
                f"ambiguous: {other.theirs.name} is also alike (RMSD {other.rmsd or 0.0:.3f}, the "
                f"taken {taken.theirs.name} {least:.3f})"
            )
        yield Choice(taken, tuple(near[1:]), tuple(notes))


def _preference(match: Match) -> tuple[float, float, str]:
    energy = match.theirs.energy
    return (float("inf") if energy is None else energy, match.rmsd or 0.0, match.theirs.key)
