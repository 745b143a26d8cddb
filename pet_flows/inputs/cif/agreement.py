"""Whether the operations that a block lists are all, and those of the group that it names.

What is listed counts. But where it is not complete, or not of the group that is named, the atoms
decide: a table that holds all of them makes one crystal with either, and only that may be read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.core.operations import SymmOp

from pet_flows.crystallography.spacegroups import space_groups
from pet_flows.crystallography.standard import number_of_operations
from pet_flows.inputs.cif.operations import Operations, completed, parse
from pet_flows.inputs.cif.sites import Row
from pet_flows.inputs.cif.structure import places
from pet_flows.inputs.cif.symmetry import all_named, fitting_settings
from pet_flows.inputs.cif.syntax import Items
from pet_flows.inputs.text import DamagedError, quoted

_PARTS = 24
_SAME = 1e-3
"""Fractional, between atoms of two descriptions of one crystal."""
_TOLERANCE = 1e-2
"""Å, at which a crystal has the space group that is named."""


@dataclass(frozen=True)
class Contradiction:
    """What a block names (symbol, number of operations), and what it lists, for a sentence."""

    named: str
    listed: str


def refuse_incomplete(
    operations: Operations, texts: Sequence[str], lattice: Lattice, rows: Sequence[Row]
) -> None:
    """Refuse a list of operations that lacks some, unless those would add no atom.

    Parameters
    ----------
    operations, texts, lattice, rows
        Of one block; the operations also as they are written.

    Raises
    ------
    DamagedError
        Names an operation that is missing.
    """
    if operations.incomplete is None:
        return
    whole = completed(operations)
    if whole and _same(rows, operations, whole, lattice):
        return
    first, second = operations.incomplete
    product = _symmop(operations, first) * _symmop(operations, second)
    shift = product.translation_vector - np.floor(product.translation_vector + 1e-9)
    missing = SymmOp.from_rotation_and_translation(product.rotation_matrix, shift)
    raise DamagedError(
        f"lists {_counted(len(texts))}, but not {missing.as_xyz_str()!r}, which follows from them: "
        "list every operation."
    )


def find_contradiction(
    items: Items,
    lattice: Lattice,
    rows: Sequence[Row],
    operations: Operations,
    structure: Structure,
) -> Contradiction | None:
    """Compare a list of operations with the name of the space group.

    A list for another setting, origin or primitive cell is one of the same group. Where list and
    name are of two groups, they may still make the same crystal: of a table that holds all atoms,
    or of atoms that have the symmetry which is named, whatever the list says.

    Parameters
    ----------
    items, lattice, rows, operations
        Of one block.
    structure
        What the listed operations make.

    Returns
    -------
    None where both mean one crystal.
    """
    named = all_named(items)  # a symbol that is in no table contradicts nothing
    settings = [setting for _, some in named for setting in some]
    whole = completed(operations) or operations
    own = _signs(whole)
    if not settings or any(_signs(parse(tuple(s["symops"]))) == own for s in settings):
        return None
    number = number_of_operations(whole.rotations, whole.translations, np.array(lattice.matrix))
    meant = {setting["number"] for setting in settings}
    if number is None or number in meant or _number_of_crystal(structure) in meant:
        return None
    said, settings = named[0]
    said = said if said.startswith("number") else quoted(said)
    for setting in fitting_settings(settings, lattice):
        if _same(rows, operations, parse(tuple(setting["symops"])), lattice):
            return None
    counts = {len(s["symops"]) for s in settings if "(" not in s["universal_h_m"]}
    of_name = " or ".join(str(n) for n in sorted(counts))
    return Contradiction(
        f"{said}, which has {of_name}" + (" operations" if of_name != "1" else ""),
        f"{_counted(len(operations))} of space group number {number}",
    )


def _number_of_crystal(structure: Structure) -> int | None:
    """Find the space group that the atoms have, if they are whole."""
    if not structure.is_ordered:
        return None
    found = space_groups(
        np.array(structure.lattice.matrix),
        structure.frac_coords,
        np.array(structure.atomic_numbers),
        _TOLERANCE,
    )[0]
    return None if found is None else found.number


def _same(rows: Sequence[Row], one: Operations, other: Operations, lattice: Lattice) -> bool:
    """Whether rows make the same atoms with these operations and with those."""
    first, second = places(rows, one, lattice), places(rows, other, lattice)
    for species, positions in first.items():
        if len(positions) != len(second[species]):
            return False
        apart = positions[:, None] - second[species][None]
        if not (np.abs(apart - np.round(apart)) < _SAME).all(axis=2).any(axis=1).all():
            return False
    return True


def _signs(operations: Operations) -> frozenset[tuple[bytes, bytes]]:
    """Give operations in a form in which they can be compared, lattice translations apart."""
    rotations = np.rint(operations.rotations).astype("i1")
    shifts = np.rint(operations.translations * _PARTS).astype("i8") % _PARTS
    return frozenset((r.tobytes(), t.tobytes()) for r, t in zip(rotations, shifts, strict=True))


def _symmop(operations: Operations, n: int) -> SymmOp:
    return SymmOp.from_rotation_and_translation(operations.rotations[n], operations.translations[n])


def _counted(number: int) -> str:
    return "1 symmetry operation" if number == 1 else f"{number} symmetry operations"
