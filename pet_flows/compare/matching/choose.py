"""Which of several references of one crystal and level of theory stands beside a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from pet_flows.compare.matching.same import FARTHEST, Distances
from pet_flows.compare.sides import Ours, Theirs

Way = Literal["link", "identifier", "structure"]
WAYS: tuple[Way, ...] = get_args(Way)
"""The surest first."""

SAME_CRYSTAL = 0.02
"""Distance, RMSD and strain together, within which references are as near as the nearest:
calculations of one crystal in several cells or with several orders of moments differ by less, two
different crystals, such as a cubic one and its tetragonal distortion, by more."""

_TAKEN = (
    "the lowest in energy is taken",
    "the one with the fewest problems is taken",
    "the latest is taken",
    "the first by its key is taken",
)


@dataclass(frozen=True)
class Match:
    """A reference of a record's crystal."""

    theirs: Theirs
    way: Way
    rmsd: float | None
    """None where structures did not need to be compared, or are not alike"""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The reference that is taken of those at one level of theory."""

    match: Match
    others: tuple[Match, ...] = ()
    """of the same crystal and level"""
    notes: tuple[str, ...] = ()
    level_differs: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Of the reference that is taken, and of the others."""
        return [match.theirs.key for match in (self.match, *self.others)]


def choose(ours: Ours, found: Sequence[Match], distances: Distances) -> Choice:
    """Take the crystal nearest to the record's, in its calculation of lowest energy.

    Parameters
    ----------
    ours
        The record.
    found
        References of one level of theory, at least one.
    distances
        Shared by all records of that formula.
    """
    if len(found) == 1:
        return Choice(found[0], (), (*found[0].notes, *_distorted(ours, found[0], distances)))
    apart = {match.theirs.key: _apart(ours, match, distances) for match in found}
    least = min(sum(one) for one in apart.values())
    near = [m for m in found if sum(apart[m.theirs.key]) <= least + SAME_CRYSTAL]
    near.sort(key=_preference)
    taken = near[0]
    notes = [*taken.notes, *_distorted(ours, taken, distances)]
    if near[1:]:
        notes.append(
            f"{len(near)} references are of this crystal and level of theory; {_why(*near[:2])}"
        )
    far = sorted((m for m in found if m not in near), key=lambda m: sum(apart[m.theirs.key]))
    for other in far:
        rmsd, strain = apart[other.theirs.key]
        said = f"RMSD {rmsd:.3f}, the taken {taken.theirs.name} {apart[taken.theirs.key][0]:.3f}"
        if strain > apart[taken.theirs.key][1] + SAME_CRYSTAL:
            said += f"; its cell is distorted by {100 * strain:.1f} %"
        energies = other.theirs.energy, taken.theirs.energy
        if energies[0] is not None and energies[1] is not None and energies[0] < energies[1]:
            said += "; it is lower in energy, but not as near"
        notes.append(f"ambiguous: {other.theirs.name} is also alike ({said})")
    return Choice(taken, tuple(near[1:]), tuple(notes))


def _apart(ours: Ours, match: Match, distances: Distances) -> tuple[float, float]:
    """RMSD, and strain at one volume; zeros where there is nothing to measure."""
    one, other = ours.primitive, match.theirs.primitive
    if one is None or other is None:
        return 0.0, 0.0
    rmsd = match.rmsd if match.rmsd is not None else distances.rmsd(one, other)
    return (FARTHEST, 0.0) if rmsd is None else (rmsd, distances.strain(one, other) or 0.0)


def _distorted(ours: Ours, match: Match, distances: Distances) -> list[str]:
    """Say it of a reference of another space group whose cell has another shape."""
    groups = ours.space_group, (match.theirs.document["spacegroup"] or {}).get("loose")
    if match.rmsd is None or None in groups or groups[0] == groups[1]:
        return []
    _, strain = _apart(ours, match, distances)
    if strain <= SAME_CRYSTAL:
        return []
    return [f"the shapes of the cells of record and reference differ by {100 * strain:.1f} %"]


def _preference(match: Match) -> tuple[float, int, float, str]:
    """By energy; those without one by their problems, the latest first."""
    document, energy = match.theirs.document, match.theirs.energy
    completed = document["source"].get("completed_at")
    return (
        float("inf") if energy is None else energy,
        len(document["problems"]),
        -completed.timestamp() if isinstance(completed, datetime) else float("inf"),
        match.theirs.key,
    )


def _why(taken: Match, second: Match) -> str:
    pairs = zip(_preference(taken), _preference(second), strict=True)
    return next(said for said, (one, other) in zip(_TAKEN, pairs, strict=True) if one != other)
