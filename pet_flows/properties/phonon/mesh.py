"""phonopy's mesh of q-points, reduced by a space group that is known."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.phonon.grid import length2mesh
from phonopy.phonon.mesh import Mesh
from phonopy.structure.symmetry import Symmetry

from pet_flows.crystallography.group import SpaceGroup

#: Å; of cells that have been made exact, and of others what their force constants obey
EXACT = 1e-5


def run_mesh(
    dynamics: DynamicalMatrix,
    group: SpaceGroup,
    mesh: tuple[int, int, int] | float,
    eigenvectors: bool,
) -> Mesh:
    """Γ-centred mesh with its phonons.

    Parameters
    ----------
    dynamics
        Of force constants that obey the group.
    group
        Of the primitive cell. Where that repeats itself, nothing is reduced by it.
    mesh
        Numbers of points along each axis, or a length in Å.
    eigenvectors
        Whether to keep them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that break symmetry: then nothing is reduced
        modes = Mesh(
            dynamics,
            mesh,
            with_eigenvectors=eigenvectors,
            is_gamma_center=True,
            primitive_symmetry=_symmetry(dynamics, group, mesh),
        )
    modes.run()
    return modes


def _symmetry(
    dynamics: DynamicalMatrix, group: SpaceGroup, mesh: tuple[int, int, int] | float
) -> Any:
    """What a mesh asks phonopy's ``Symmetry``, which takes longer to make than the mesh.

    Where a length gives numbers that break the symmetry phonopy takes a mesh of the conventional
    cell instead, which its ``Symmetry`` alone knows.
    """
    if len(group.primitive.atoms) < len(dynamics.primitive):
        return None  # its operations are those of another lattice
    cell = dynamics.primitive.cell
    rotations, translations = group.columns
    if np.ndim(mesh) == 0:
        numbers = length2mesh(float(mesh), cell, rotations=rotations)  # type: ignore[arg-type]
        moved = numbers[:, None] * rotations.transpose(0, 2, 1) / numbers
        if np.abs(moved - np.rint(moved)).max() > EXACT:
            return Symmetry(dynamics.primitive, EXACT)
    operations = SimpleNamespace(
        rotations=rotations,
        translations=translations,
        # asked for and not used without that other mesh
        transformation_matrix=np.eye(3),
        std_lattice=cell,
        std_types=np.zeros(len(dynamics.primitive), dtype=int),
        hall_number=0,
    )
    return SimpleNamespace(dataset=operations, pointgroup_operations=rotations)
