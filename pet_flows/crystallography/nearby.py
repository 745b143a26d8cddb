"""The space group of a structure that lies near another one, whose space group is known.

A relaxation moves atoms by hundredths of an Å and keeps operations exactly. What it ends with has
them still, which is soon looked at; and whatever else held there within a tolerance would have
held within a larger one where it began, where nothing else was found.
"""

from __future__ import annotations

import numpy as np

from pet_flows.crystallography.spacegroups import (
    EXACTLY,
    FARTHEST,
    Answer,
    is_sound,
    off_lattice,
    without_doubt,
)
from pet_flows.geometry.faces import lengths_of, volume_of

#: cell ``(3, 3)`` Å, rows; fractional positions ``(N, 3)``; atomic numbers ``(N,)``
Cell = tuple[np.ndarray, np.ndarray, np.ndarray]
#: so many times the tolerance is looked at, at least
MARGIN = 2.0


def number_as(before: Cell, after: Cell, *tolerances: float) -> int | None:
    """Number of the space group that a structure shares with one near it, at all tolerances.

    Parameters
    ----------
    before, after
        Of the same atoms in the same order.
    tolerances
        Å, within those at which the first one was looked at.

    Returns
    -------
    The number; None where it need not be the same, and is to be sought.
    """
    if not (is_sound(*before[:2]) and is_sound(*after[:2])):
        return None
    answer = without_doubt(*before)
    if answer is None or answer.permutations is None:
        return None
    if not _near(before, after, max(tolerances)):
        return None
    return answer.number if _holds(answer, *after[:2], EXACTLY * FARTHEST[0]) else None


def _near(before: Cell, after: Cell, tolerance: float) -> bool:
    """Whether what holds in a structure within a tolerance was looked at in the one before.

    An operation that one maps on itself within a distance, the other maps within that and twice
    what the atoms have moved, if both have the same volume; ends of lattice vectors likewise. Where
    both are equal but for the volume it is the same distance.
    """
    (first, old, _), (last, new, _) = before, after
    scale = abs(volume_of(first) / volume_of(last)) ** (1 / 3)
    stretches = np.linalg.svd(np.linalg.solve(scale * last, first), compute_uv=False)
    strain = float(np.abs(stretches - 1).max())
    moved = new - old
    moved -= moved[:1]
    moved -= np.rint(moved)
    moved -= moved.mean(0)
    distances = (
        np.sqrt(((moved @ first) ** 2).sum(1).max()),
        strain * max(lengths_of(first)),
    )
    return bool(MARGIN * tolerance * scale * (1 + strain) + 2 * sum(distances) <= FARTHEST[1])


def _holds(answer: Answer, cell: np.ndarray, places: np.ndarray, within: float) -> bool:
    """Whether a structure has operations within a distance in Å, wherever its origin is now."""
    rotations = answer.rotations.astype(float)
    if off_lattice(rotations, cell) > within:
        return False
    offset = places @ rotations - places[answer.permutations]
    offset -= offset[:, :1]
    offset -= np.rint(offset)
    missed = offset @ cell
    return bool((missed * missed).sum(2).max() <= within**2)
