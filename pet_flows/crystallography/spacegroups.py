"""The space group of a structure at a tolerance: spglib's answer, asked only where it matters.

spglib needs 10 to 40 ms to match a cubic space group, moyopy a tenth of that. The two differ
where a symmetry is broken by about the tolerance, and near ties of lattices without right angles.
So moyopy is asked on both sides of the tolerances; a structure on which it says twice the same
has nothing there on which spglib could decide otherwise, and spglib is asked about the rest.
In large cells moyopy alone is asked: on a rattled one spglib takes a minute, and sees P1 where
every atom is within the tolerance of its place.
"""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import sqrt
from typing import Any

import moyopy
import numpy as np
import spglib

from pet_flows.crystallography.lattice import labels
from pet_flows.crystallography.sites import Sites
from pet_flows.geometry.closest import closest_pair
from pet_flows.geometry.faces import volume_of
from pet_flows.geometry.sound import LONGEST

#: how far beside the given tolerances nothing may change
BESIDE = (0.1, 3.0)
#: Å; tolerances within which all others are: what does not change between them is asked about once
FARTHEST = (BESIDE[0] * 1e-5, BESIDE[1] * 0.1)
#: part of the lower of two tolerances within which symmetry is that of whatever is below it
EXACTLY = 0.03
#: times a tolerance by which operations are missed that nobody finds at it
FAR = 100.0
#: decimals of lattices and fractional coordinates that matter
DIGITS = 9
#: triclinic and monoclinic lattices can come near a tie that the two see differently
FIRST_ORTHORHOMBIC = 16
#: atoms of a large cell
LARGE = 200
#: Å³ for each atom, which every crystal has
LEAST_VOLUME = 0.5
#: Å; atoms nearer to each other than this are piled up
APART = 0.25

# it reports each supercell, whose number of operations is not asked for here
logging.getLogger("moyo").setLevel(logging.ERROR)
# it writes to stderr by itself where a tolerance is between two answers, of which one is given
os.environ.setdefault("SPGLIB_WARNING", "OFF")

_flat = chain.from_iterable


@dataclass(frozen=True)
class Answer:
    """What is said of one cell, ``f' = f W + t`` for rows; `SpaceGroup` is made of it."""

    number: int
    international: str
    rotations: np.ndarray
    """(m, 3, 3) int W"""
    translations: np.ndarray
    """(m, 3) t"""
    permutations: np.ndarray | None = None
    """(m, n), of the atoms, where that is known"""

    @classmethod
    def of(cls, number: Any, international: Any, columns: Any, translations: Any) -> Answer:
        """From ``f' = R f + t`` for columns, as both libraries write it."""
        # of nested lists NumPy looks at each first
        flat = columns if isinstance(columns, np.ndarray) else list(_flat(_flat(columns)))
        rotations = np.array(flat, dtype=int).reshape(-1, 3, 3).transpose(0, 2, 1)
        return cls(
            int(number), str(international),
            np.ascontiguousarray(rotations), np.array(translations, dtype=float),
        )  # fmt: skip


def space_groups(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, *tolerances: float
) -> list[Answer | None]:
    """Space group at each tolerance, None where none is found or the structure is impossible.

    Parameters
    ----------
    lattice, fractional, numbers
        ``(3, 3)`` Å, rows; ``(N, 3)``; ``(N,)``. Operations are of this cell: those that its shape
        does not have (a 2×1×1 supercell of a cubic crystal) are left out.
    tolerances
        Å.
    """
    if not is_sound(lattice, fractional):
        return [None] * len(tolerances)
    if len(numbers) > LARGE and _apart(lattice, fractional):
        return [_moyopy(lattice, fractional, numbers, tolerance) for tolerance in tolerances]
    around = (BESIDE[0] * min(tolerances), BESIDE[1] * max(tolerances))
    content = _content(lattice, fractional, numbers)
    if FARTHEST[0] <= around[0] and around[1] <= FARTHEST[1]:
        agreed = _agreed(*content, *FARTHEST)
        if agreed is not None:
            return [agreed] * len(tolerances)
    agreed = _agreed(*content, *around)
    if agreed is not None:
        return [agreed] * len(tolerances)
    return [_spglib(lattice, fractional, numbers, tolerance) for tolerance in tolerances]


def without_doubt(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
) -> Answer | None:
    """Space group that a structure has at any tolerance within `FARTHEST`; None if none is that.

    Arguments as for :func:`space_groups`, of a structure that :func:`is_sound`.
    """
    if len(numbers) > LARGE:
        return None
    return _agreed(*_content(lattice, fractional, numbers), *FARTHEST)


def _content(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
) -> tuple[bytes, bytes, bytes]:
    """What is remembered of a structure."""
    # plus zero: one that has a sign is the same
    cell, places = (each.round(DIGITS) + 0.0 for each in (lattice, fractional))
    return cell.tobytes(), places.tobytes(), np.asarray(numbers, dtype=np.int64).tobytes()


def is_sound(lattice: np.ndarray, fractional: np.ndarray) -> bool:
    """Whether spglib may be asked at all: NaN ends its process."""
    if not len(fractional) or not (np.isfinite(lattice).all() and np.isfinite(fractional).all()):
        return False
    if np.abs(lattice).max() > LONGEST:
        return False
    return abs(volume_of(lattice)) / len(fractional) > LEAST_VOLUME


def _apart(lattice: np.ndarray, fractional: np.ndarray) -> bool:
    """Whether moyopy may be asked: with piled-up atoms it never ends."""
    return closest_pair(fractional @ lattice, lattice, np.ones(3, dtype=bool), APART) is None


@lru_cache(maxsize=4096)  # what a property makes symmetric is asked about by its record as well
def _agreed(
    lattice: bytes, fractional: bytes, numbers: bytes, low: float, high: float
) -> Answer | None:
    """What moyopy says at both of two tolerances; None where these differ, or no angle is right.

    Where the whole group that it says at the higher one is exact, or far from that, it need not be
    asked at the lower one. Some cells have a part of it alone, which may be exact although the rest
    is not.
    """
    cell, places = np.frombuffer(lattice).reshape(3, 3), np.frombuffer(fractional).reshape(-1, 3)
    kinds = np.frombuffer(numbers, dtype=np.int64)
    if not _apart(cell, places):
        return None
    loose = _moyopy(cell, places, kinds, high)
    if loose is None or loose.number < FIRST_ORTHORHOMBIC:
        return None
    if len(set(labels(loose.rotations).tolist())) == _order(loose.number):
        permutations, residual = _permutations(loose, cell, places, kinds)
        if residual <= EXACTLY * low:
            return replace(loose, permutations=permutations)
        if residual > FAR * low:
            return None
    exact = _moyopy(cell, places, kinds, low)
    if exact is None or loose.number != exact.number:
        return None
    return exact if len(loose.rotations) == len(exact.rotations) else None


def off_lattice(rotations: np.ndarray, lattice: np.ndarray) -> float:
    """By how far, in Å, operations ``(m, 3, 3)`` miss a lattice that they should keep."""
    metric = lattice @ lattice.T
    change = rotations @ metric @ rotations.swapaxes(1, 2) - metric
    return float(np.abs(change).max()) / sqrt(metric.trace())


def _permutations(
    answer: Answer, lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, float]:
    """``(m, n)``, and by how far, in Å, operations miss lattice and atoms."""
    rotations = answer.rotations.astype(float)
    sites = Sites(numbers, lattice, fractional @ lattice)
    places = fractional @ rotations + answer.translations[:, None]
    permutations, residual = sites.nearest(places, np.arange(len(numbers)))
    return permutations, max(off_lattice(rotations, lattice), float(residual.max()))


@lru_cache(maxsize=230)
def _order(number: int) -> int:
    """How many rotations the point group of a space group has."""
    kinds: Any = (spglib.get_spacegroup_type(hall) for hall in range(1, 531))
    hall = next(hall for hall, kind in enumerate(kinds, 1) if kind.number == number)
    database: Any = spglib.get_symmetry_from_database(hall)
    return len(np.unique(database["rotations"], axis=0))


@lru_cache(maxsize=530)
def _symbol(hall_number: int) -> str:
    """The international symbol of a Hall symbol."""
    kind: Any = spglib.get_spacegroup_type(hall_number)
    return str(kind.international_short)


def _moyopy(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> Answer | None:
    cell = moyopy.Cell(lattice.tolist(), fractional.tolist(), np.asarray(numbers).tolist())
    try:
        found = moyopy.MoyoDataset(cell, symprec=tolerance)
    except ValueError:
        return None
    except BaseException as error:
        # a panic of its Rust code arrives as a type that cannot be imported, and no Exception
        if type(error).__name__ != "PanicException":
            raise
        return None
    operations = found.operations
    return Answer.of(
        found.number, _symbol(found.hall_number), operations.rotations, operations.translations
    )


def dataset(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> Any | None:
    """All that spglib says of a cell; None where it says nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # spglib announces its future on every call
        try:
            cell: Any = (lattice, fractional, numbers)
            return spglib.get_symmetry_dataset(cell, symprec=tolerance)
        except Exception:  # spglib raises different types in different releases
            return None


def is_p1(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> bool:
    """Whether no operation but the identity is found; False where nothing is found at all.

    Arguments as for :func:`space_groups`. That takes longer where a tolerance is wide, because it
    asks both libraries at several.
    """
    if not is_sound(lattice, fractional):
        return False
    ask = _spglib if len(numbers) <= LARGE else _moyopy
    if ask is _moyopy and not _apart(lattice, fractional):
        return False
    found = ask(lattice, fractional, numbers, tolerance)
    return found is not None and len(found.rotations) == 1


def _spglib(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, tolerance: float
) -> Answer | None:
    found = dataset(lattice, fractional, numbers, tolerance)
    if found is None:
        return None
    return Answer.of(found.number, found.international, found.rotations, found.translations)
