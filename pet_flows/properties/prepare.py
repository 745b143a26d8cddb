"""What is computed in place of a structure that was given: checked, copied, made symmetric."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluator import refuse_unknown
from pet_flows.errors import StructureError
from pet_flows.geometry.connectivity import refuse_vacuum
from pet_flows.geometry.electrons import electrons_of, told
from pet_flows.geometry.neighbours import check_searchable
from pet_flows.geometry.sound import refuse_crowded, refuse_flat

#: Å; tolerance for the symmetry of a structure whose cell keeps its shape
FIXED_CELL = 1e-5
#: Å; a snap that moves less is round-off or the last digits of a file
WORTH_SAYING = 1e-4


def check(atoms: Atoms, elements: Collection[int] | None = None) -> None:
    """Refuse what no potential can evaluate.

    Parameters
    ----------
    atoms
        The structure.
    elements
        Atomic numbers the model knows, or None for all.

    Raises
    ------
    StructureError
        ``empty``, ``not_finite_input``, ``unknown_element``, ``degenerate_cell``,
        ``bad_electrons``, ``not_searchable`` or ``overlapping_atoms``.
    """
    if len(atoms) == 0:
        raise StructureError("empty", "The structure has no atoms; give one that has.")
    for name, rows in (("position of atom", atoms.positions), ("lattice vector", atoms.cell.array)):
        if not np.isfinite(rows).all():
            wrong = np.nonzero(~np.isfinite(rows).all(1))[0]
            raise StructureError(
                "not_finite_input",
                f"The {name} {wrong[0]} is not finite ({rows[wrong[0]].tolist()}); check the file.",
            )
    if elements is not None:
        refuse_unknown(atoms, elements)
    electrons_of(atoms.info)
    refuse_flat(atoms.cell.array, atoms.pbc)
    check_searchable(atoms.positions, atoms.cell.array, atoms.pbc)
    refuse_crowded(atoms.symbols, atoms.positions, atoms.cell.array, atoms.pbc)


def require_crystal(atoms: Atoms, what: str, cutoff: float | None = None) -> None:
    """Refuse what is no crystal, for properties that only crystals have.

    Parameters
    ----------
    atoms
        What was given.
    what
        Beginning of a sentence: what it is that needs a crystal.
    cutoff
        Å, of the model; atoms nearer than that must be linked along all three axes. None where
        slabs and chains have it too.

    Raises
    ------
    StructureError
        ``not_periodic`` or ``no_volume``.
    """
    if not atoms.pbc.all():
        raise StructureError(
            "not_periodic",
            f"{what} needs a cell that is periodic along three axes, and this one is along "
            f"{int(atoms.pbc.sum())}; give a crystal, or make the cell periodic.",
        )
    if cutoff is not None:
        refuse_vacuum(atoms, cutoff, what)


def bare(atoms: Atoms) -> Atoms:
    """Copy with species, positions, cell, periodicity, charge and spin only, in float64."""
    return Atoms(
        numbers=atoms.numbers,
        positions=np.array(atoms.positions, dtype=np.float64),
        cell=np.array(atoms.cell.array, dtype=np.float64),
        pbc=atoms.pbc,
        info=told(atoms.info),
    )


def scaled(atoms: Atoms, ratio: float) -> Atoms:
    """Copy with ``ratio`` times the volume, in the same shape, the atoms moved along."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array * ratio ** (1 / 3), scale_atoms=True)
    return copy


def snapped(atoms: Atoms, symprec: float) -> tuple[Atoms, SpaceGroup | None, tuple[str, ...]]:
    """Bare copy that has the symmetry found at ``symprec`` (Å) exactly.

    Returns
    -------
    atoms, group, notes
        The copy, its symmetry (None, and the copy as it was given, where it has none to keep), and
        warnings.
    """
    copy = bare(atoms)
    if not copy.pbc.all():
        return copy, None, ()
    try:
        group = SpaceGroup.find(copy, symprec)
    except StructureError as error:
        return copy, None, (f"No symmetry was kept. {error.message}",)
    cell, positions = group.placed(copy.cell.array)
    move = float(np.abs(positions - copy.positions).max())
    stretch = float(np.abs(cell - copy.cell.array).max())
    notes: tuple[str, ...] = ()
    if max(move, stretch) > WORTH_SAYING:
        notes = (
            f"Made exactly symmetric ({group.international}) at symprec {symprec:g} Å: atoms moved "
            f"by up to {move:.1e} Å, lattice vectors by up to {stretch:.1e} Å.",
        )
    copy.cell[:], copy.positions = cell, positions
    return copy, group, notes
