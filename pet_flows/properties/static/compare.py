"""Energy, forces and stress beside those of DFT."""

from __future__ import annotations

from functools import partial

import numpy as np
from pymatgen.core import Structure

from pet_flows.crystallography.alignment import PrimitiveCell, align
from pet_flows.properties.comparison import Side, Value, distance, number

#: Å and strain, within which two geometries are one: printed coordinates have 1e-4 to 1e-3
SAME_DISTANCE, SAME_STRAIN = 0.005, 1e-3
#: (6,) places of a symmetric (3, 3) matrix
_ROWS, _COLUMNS = np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1])


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare energy, pressure, largest force, volume; of one geometry all forces and stresses.

    The energy is per atom, as it was calculated, with DFT's zero of energy. Forces (MAE and RMSE
    over the components, the largest difference of two vectors) and the stress (MAE over six
    components) are compared only where both calculations are of the same geometry, in DFT's axes.
    """
    one = partial(_number, ours, theirs)
    found = [
        one("energy_per_atom", "eV"),
        one("pressure", "GPa"),
        one("max_force", "eV/Å"),
        _volume(ours, theirs),
    ]
    return [value for value in found if value] + _vectors(ours, theirs)


def _number(ours: Side, theirs: Side, name: str, unit: str) -> Value | None:
    return number(name, unit, ours.result.get(name), theirs.result.get(name))


def _volume(ours: Side, theirs: Side) -> Value | None:
    """Of two crystals: one structure does not mean one volume."""
    both = ours.structure, theirs.structure
    if not all(all(structure.lattice.pbc) for structure in both):
        return None
    return number("volume_per_atom", "Å³", *(s.volume / len(s) for s in both))


def _vectors(ours: Side, theirs: Side) -> list[Value]:
    """What depends on orientation and order of the atoms."""
    forces = _forces(ours), _forces(theirs)
    stresses = ours.result.get("stress"), theirs.result.get("stress")
    if None in stresses and any(f is None for f in forces):
        return []
    volumes = [side.structure.volume / len(side.structure) for side in (ours, theirs)]
    if abs(volumes[0] / volumes[1] - 1) > SAME_STRAIN:  # which most are, and is seen at once
        return []
    pet, dft = _periodic(ours.structure), _periodic(theirs.structure)
    if pet is None or dft is None:
        return []
    laid = align(pet, dft)
    if laid is None or laid.distance > SAME_DISTANCE or laid.strain > SAME_STRAIN:
        return []
    rotation = laid.rotation(pet.cell, dft.cell)
    found = []
    if forces[0] is not None and forces[1] is not None:
        mine = forces[0][pet.atoms][laid.atoms] @ rotation
        wrong = mine - forces[1][dft.atoms]
        found = [
            distance("forces_mae", "eV/Å", float(np.abs(wrong).mean())),
            distance("forces_rmse", "eV/Å", float(np.sqrt((wrong**2).mean()))),
            distance("forces_largest", "eV/Å", float(np.linalg.norm(wrong, axis=1).max())),
        ]
    if None not in stresses:
        wrong = rotation.T @ np.array(stresses[0]) @ rotation - np.array(stresses[1])
        found.append(distance("stress_mae", "GPa", float(np.abs(wrong[_ROWS, _COLUMNS]).mean())))
    return found


def _forces(side: Side) -> np.ndarray | None:
    """``(N, 3)`` eV/Å in the order of the structure's atoms; None where there are none."""
    try:
        forces = np.asarray(side.arrays("static")["forces"], dtype=float)
    except KeyError:
        return None
    return forces if forces.shape == (len(side.structure), 3) else None


def _periodic(structure: Structure) -> PrimitiveCell | None:
    if not structure.is_ordered or not all(structure.lattice.pbc):
        return None
    return PrimitiveCell.of(structure)
