"""Γ-centred meshes of q-points, reduced by a space group that is known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.phonon.grid import get_reduced_bases_and_tmat_inv, length2mesh
from phonopy.phonon.mesh import Mesh
from phonopy.structure.symmetry import Symmetry

from pet_flows.crystallography.group import SpaceGroup

#: Å; of cells that have been made exact, and of others what their force constants obey
EXACT = 1e-5
#: reciprocal vectors that may take a q-point into the first zone, in the order in which phonopy
#: tries them: of points that are equally far from Γ the first is taken
_NEAR = np.array(list(product((0, 1, 2, -2, -1), repeat=3)), dtype=float)
#: squares of distances within this part of a mesh's spacing, squared, are equal
_EQUALLY_FAR = 0.01


@dataclass(frozen=True)
class QMesh:
    """q-points that stand for all of a mesh.

    Attributes
    ----------
    numbers
        ``(3,)`` int, points along each axis.
    qpoints
        ``(q, 3)``, fractions of the primitive reciprocal vectors, in the first Brillouin zone.
    weights
        ``(q,)`` int, for how many points each stands.
    phonopy
        phonopy's own object, where it was made.
    """

    numbers: np.ndarray
    qpoints: np.ndarray
    weights: np.ndarray
    phonopy: Mesh | None = None


def reduced_mesh(
    dynamics: DynamicalMatrix,
    group: SpaceGroup,
    mesh: tuple[int, int, int] | float,
    with_phonopy: bool = False,
) -> QMesh:
    """Irreducible points of a mesh: phonopy's, in a fraction of its time.

    Parameters
    ----------
    dynamics
        Of force constants that obey the group.
    group
        Of the primitive cell. Where that repeats itself, nothing is reduced by it.
    mesh
        Numbers of points along each axis, or a length in Å. Where a length gives numbers that
        break the symmetry, the mesh is phonopy's of the conventional cell; where given numbers
        do, it is reduced by time reversal alone.
    with_phonopy
        Make phonopy's object in any case.
    """
    cell = dynamics.primitive.cell
    rotations = np.eye(3, dtype=int)[None]  # those of another lattice are of no use
    if len(group.primitive.atoms) == len(dynamics.primitive):
        rotations = group.columns[0]
    by_length = np.ndim(mesh) == 0
    numbers: Any = length2mesh(mesh, cell, rotations=rotations) if by_length else mesh  # type: ignore[arg-type]
    numbers = np.array(numbers, dtype=int)
    operations = rotations * (numbers / numbers[:, None])  # of q R, in steps of the mesh
    fits = bool(np.abs(operations - np.rint(operations)).max() < EXACT)
    if with_phonopy or (by_length and not fits):
        made = _phonopy_mesh(dynamics, mesh, None if by_length and not fits else rotations)
        return QMesh(made.mesh_numbers, made.qpoints, made.weights, made)
    steps, weights = _irreducible(numbers, np.rint(operations) if fits else np.eye(3)[None])
    return QMesh(numbers, _in_first_zone(steps / numbers, cell, numbers), weights)


def _irreducible(numbers: np.ndarray, operations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(q, 3)`` of a mesh, in steps, of which no two are equal by symmetry, and weights.

    Of the points that operations ``(m, 3, 3)`` and time reversal take to each other that one is
    kept which comes first where the first axis runs fastest.
    """
    both = np.unique(np.concatenate([operations, -operations]), axis=0).transpose(0, 2, 1)
    sizes = numbers[:, None].astype(float)
    strides = np.array([1.0, numbers[0], numbers[0] * numbers[1]])

    def places(of: np.ndarray, points: np.ndarray) -> np.ndarray:
        moved = of @ points
        found: np.ndarray = strides @ (moved - sizes * np.floor(moved / sizes))
        return found

    points = np.indices(numbers[::-1].tolist()).reshape(3, -1)[::-1].astype(float)
    own = np.arange(points.shape[1], dtype=float)
    for operation in both:
        first = places(operation, points) >= own
        points, own = points[:, first], own[first]
    fixed = (places(both, points) == own).sum(0)
    return points.T, len(both) // fixed


def _in_first_zone(qpoints: np.ndarray, cell: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The images of q-points ``(q, 3)`` that are nearest to Γ."""
    reduced, change = get_reduced_bases_and_tmat_inv(np.linalg.inv(cell))  # columns
    fractions = qpoints @ change.T
    fractions -= np.trunc(fractions + np.copysign(0.5, fractions))
    metric = reduced.T @ reduced
    # of a point of this cell no other image can be nearer than it is itself
    farthest = np.sqrt(np.einsum("i,ij,j", [0.5] * 3, np.abs(metric), [0.5] * 3))
    near = _NEAR[np.einsum("ki,ij,kj->k", _NEAR, metric, _NEAR) <= (2.1 * farthest) ** 2]
    # |q + g|² - |q|²
    longer = 2.0 * fractions @ metric @ near.T + np.einsum("ki,ij,kj->k", near, metric, near)
    equal = _EQUALLY_FAR * (np.diag(metric) / numbers**2).max()
    which = (longer < longer.min(1, keepdims=True) + equal).argmax(1)
    found: np.ndarray = (fractions + near[which]) @ np.linalg.inv(change).T
    return found


def _phonopy_mesh(
    dynamics: DynamicalMatrix, mesh: tuple[int, int, int] | float, rotations: np.ndarray | None
) -> Mesh:
    """phonopy's, of operations that are known; without any it looks for the conventional cell."""
    cell = dynamics.primitive
    symmetry: Any = None
    if rotations is None:
        symmetry = Symmetry(cell, EXACT)
    else:
        # what a mesh asks its `Symmetry`, which takes longer to make than the mesh
        operations = SimpleNamespace(
            rotations=rotations,
            translations=np.zeros((len(rotations), 3)),
            # asked for and used of the conventional cell alone
            transformation_matrix=np.eye(3),
            std_lattice=cell.cell,
            std_types=np.zeros(len(cell), dtype=int),
            hall_number=0,
        )
        symmetry = SimpleNamespace(dataset=operations, pointgroup_operations=rotations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that break symmetry: then nothing is reduced
        return Mesh(dynamics, mesh, is_gamma_center=True, primitive_symmetry=symmetry)
