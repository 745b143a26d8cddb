"""Relaxed structures beside those of DFT: volume, cell, positions and symmetry."""

from __future__ import annotations

from math import lcm

import numpy as np
from pymatgen.core import Lattice, Structure

from pet_flows.crystallography.alignment import (
    Alignment,
    PrimitiveCell,
    align,
    group_and_order,
)
from pet_flows.crystallography.standard import standard_cell
from pet_flows.properties.comparison import NotComparable, Side, Value, distance, number
from pet_flows.properties.result import LatticeParameters
from pet_flows.properties.settings import unit_of

#: Å, at which space groups are compared, by their names in values
SYMPRECS = {"1e-2": 1e-2, "1e-5": 1e-5}
#: of structures that cannot be laid onto each other
NO_MATCH = 1.0
#: atoms of a primitive cell that pymatgen's matcher would need seconds to minutes for
LARGE = 40
#: GPa; relaxations under pressures that differ by more end elsewhere
SAME_PRESSURE = 0.5


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare two relaxed structures, as matbench-discovery does, and their standardized cells.

    Volume per atom; a, b, c, α, β, γ of the conventional cell of DFT's space group and of the same
    cell of the other; pymatgen's RMSD over the cube root of the volume per atom; the space groups
    at 1e-2 and 1e-5 Å and the numbers of their operations in cells of equally many atoms. With a
    cell that was not free to relax there is no volume and no lattice.
    """
    one, other = ours.structure, theirs.structure
    for structure in (one, other):
        if not structure.is_ordered:
            raise NotComparable("a structure has sites that several elements share")
    found = [number("energy_per_atom", "eV", *_both(ours, theirs, "energy_per_atom"))]
    if not (all(one.lattice.pbc) and all(other.lattice.pbc)):
        return [value for value in found if value]
    _refuse_pressure(ours, theirs)
    free = ours.settings.get("relax_cell", True)
    if free and ours.settings.get("cell_constraint") != "volume":
        volumes = one.volume / len(one), other.volume / len(other)
        found.append(number("volume_per_atom", "Å³", *volumes))
    ours_cell, theirs_cell = PrimitiveCell.of(one), PrimitiveCell.of(other)
    large = max(len(ours_cell), len(theirs_cell)) > LARGE
    laid = align(ours_cell, theirs_cell) if free or large else None
    if free and laid is not None:
        found += _lattices(ours_cell, theirs_cell, laid)
    apart = rmsd_of_alignment(ours_cell, theirs_cell, laid) if large else rmsd(one, other)
    found.append(distance("rmsd", "", apart))
    return [value for value in found if value] + _symmetries(one, other)


def rmsd(one: Structure, other: Structure) -> float:
    """Pymatgen's, over the cube root of the volume per atom; 1 without a match.

    The matcher is matbench-discovery's: primitive cells, no scaling of volumes, ``stol`` of 1. It
    tries all lattices and shifts that come into question, and finds what lies far apart too.
    """
    from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher

    matcher = StructureMatcher(stol=1.0, scale=False, comparator=ElementComparator())
    found = matcher.get_rms_dist(one, other)
    return NO_MATCH if found is None else float(found[0])


def rmsd_of_alignment(ours: PrimitiveCell, theirs: PrimitiveCell, laid: Alignment | None) -> float:
    """The same of two cells that lie on each other, in their mean lattice, as pymatgen has it."""
    if laid is None:
        return NO_MATCH
    cells = Lattice(laid.basis @ ours.cell), Lattice(theirs.cell)
    mean = Lattice.from_parameters(*np.mean([cell.parameters for cell in cells], axis=0))
    apart = cells[0].get_fractional_coords(ours.positions[laid.atoms]) - theirs.fractional
    apart -= np.angle(np.exp(2j * np.pi * apart).mean(0)) / (2 * np.pi)
    lengths = np.linalg.norm((apart - np.rint(apart)) @ mean.matrix, axis=1)
    return float(np.sqrt((lengths**2).mean()) / (mean.volume / len(theirs)) ** (1 / 3))


def _both(ours: Side, theirs: Side, name: str) -> tuple[object, object]:
    return ours.result.get(name), theirs.result.get(name)


def _refuse_pressure(ours: Side, theirs: Side) -> None:
    pressure = float(ours.settings.get("pressure") or 0.0)
    there = theirs.result.get("pressure")
    # the rest of stress that DFT leaves in a relaxed cell is no pressure that was asked for
    if pressure and (there is None or abs(there - pressure) > SAME_PRESSURE):
        raise NotComparable(f"it was relaxed under {pressure:g} GPa, and DFT was not")


def _lattices(ours: PrimitiveCell, theirs: PrimitiveCell, laid: Alignment) -> list[Value | None]:
    """Lengths and angles of DFT's conventional cell, in both crystals."""
    standard = standard_cell(theirs.cell, theirs.fractional, theirs.numbers, SYMPRECS["1e-2"])
    if standard is None:
        return []
    basis = np.rint(standard.basis)
    pet = Lattice(basis @ laid.basis @ ours.cell)
    dft = Lattice(basis @ theirs.cell)
    fields = LatticeParameters.model_fields.items()
    return [number(name, unit_of(f), getattr(pet, name), getattr(dft, name)) for name, f in fields]


def _symmetries(one: Structure, other: Structure) -> list[Value]:
    found = []
    for name, symprec in SYMPRECS.items():
        pet, dft = group_and_order(one, symprec), group_and_order(other, symprec)
        if pet is None or dft is None:
            continue
        size = lcm(pet[2], dft[2])
        operations = [order * size // atoms for _, order, atoms in (pet, dft)]
        found.append(Value(f"spacegroup_{name}", "", pet[0], dft[0], None))
        more = float(operations[0] - operations[1])
        found.append(Value(f"operations_{name}", "", operations[0], operations[1], more))
    return found
