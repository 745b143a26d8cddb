"""By how much a relaxation changed a structure."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from pet_flows.geometry.faces import volume_of


def volume_change(before: Atoms, after: Atoms) -> float:
    """Relative change of the volume; zero without a volume."""
    if not before.pbc.all():
        return 0.0
    return abs(volume_of(after.cell.array) / volume_of(before.cell.array)) - 1.0


def rmsd(before: Atoms, after: Atoms) -> float:
    """Root mean square displacement in Å of atoms beyond what follows from the cell's.

    Displacements are taken in fractional coordinates (Cartesian without a cell), in the final
    cell, without their mean; atoms are not wrapped on the way.
    """
    if after.pbc.all():
        start = np.linalg.solve(before.cell.array.T, before.positions.T).T @ after.cell.array
    else:
        start = before.positions
    shift = after.positions - start
    shift = shift - shift.mean(0)
    return float(np.sqrt((shift**2).sum(1).mean()))
