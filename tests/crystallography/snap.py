"""A structure moved onto a space group, wherever its atoms are by now."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup


def snap(group: SpaceGroup, atoms: Atoms) -> Atoms:
    """Copy that has the symmetry exactly."""
    found = atoms.copy()
    cell = group.project_cell(atoms.cell.array)
    moved = atoms.positions @ np.linalg.solve(atoms.cell.array, cell)
    found.cell[:] = cell
    found.positions = group.projection.positions(moved, cell[None])
    return found
