"""Which strains an elastic tensor needs: along the crystal's axes, no more than its symmetry asks.

The strains belong to the crystal, not to the laboratory: a rotated crystal is strained along its
own rotated axes, and its tensor is the rotated one to round-off.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.errors import StructureError
from pet_flows.properties.elastic.axes import ieee_frames
from pet_flows.properties.elastic.tensor import WEIGHTS, design, invariant_basis, mandel, matrix

#: entries of unit strains that differ by less than this are the same; round-off is 1e-13
SAME = 1e-6
#: (6, 3, 3) unit strains 11, 22, 33, 23, 13, 12: one component of the tensor, as atomate2's
UNITS = matrix(np.diag(WEIGHTS))


@dataclass(frozen=True)
class StrainState:
    """A direction in the space of strains along which the stress is differentiated."""

    strain: np.ndarray
    """(3, 3) symmetric, one component of one in the crystal's axes; in those of the structure"""
    group: SpaceGroup | None
    """the symmetry that strained cells keep"""
    mirror: np.ndarray | None
    """(3, 3) operation Q with ``Qᵀ strain Q = −strain``: the stress at −strain is then known"""

    @property
    def signs(self) -> tuple[int, ...]:
        """Of the strains that must be computed."""
        return (1, -1) if self.mirror is None else (1,)

    def deformation(self, magnitude: float) -> np.ndarray:
        """``(3, 3)`` F = 1 + magnitude strain, for ``x → x F``."""
        return np.eye(3) + magnitude * self.strain


@dataclass(frozen=True)
class StrainPlan:
    """Strains of one crystal and the tensors that they can tell apart."""

    states: tuple[StrainState, ...]
    basis: np.ndarray
    """(n, 6, 6) Mandel, the tensors that the point group allows"""
    frames: np.ndarray
    """(k, 3, 3) axes that obey the IEEE standard; strains follow the first"""

    @property
    def strains(self) -> np.ndarray:
        """(s, 6) Mandel."""
        return np.array([mandel(state.strain) for state in self.states])


def plan(atoms: Atoms, group: SpaceGroup | None, symprec: float) -> StrainPlan:
    """Fewest strains from which the whole elastic tensor follows.

    Of the six strains with one component in the crystal's axes as many are taken as the point
    group needs: two for cubic crystals (11 and 23), three for hexagonal and trigonal ones, four
    for tetragonal ones, six below.

    Parameters
    ----------
    atoms
        Crystal, exactly symmetric under ``group``.
    group
        The symmetry that is kept and imposed on the tensor; None for none.
    symprec
        Å; for the axes where there is no group. They are the laboratory's where none is found.
    """
    operations = np.eye(3)[None] if group is None else group.operations(atoms.cell.array)
    frames = _frames(atoms, group, symprec)
    basis = invariant_basis(operations)
    strains = frames[0].T @ UNITS @ frames[0]
    chosen = _fewest(strains, basis, operations)
    states = tuple(_state(strains[n], group, operations) for n in chosen)
    return StrainPlan(states, basis, frames)


def _frames(atoms: Atoms, group: SpaceGroup | None, symprec: float) -> np.ndarray:
    if group is None:
        try:
            group = SpaceGroup.find(atoms, symprec)
        except StructureError:
            return np.eye(3)[None]
    return ieee_frames(group, atoms.cell.array)


def _fewest(strains: np.ndarray, basis: np.ndarray, operations: np.ndarray) -> Sequence[int]:
    """Smallest set of strains that determines the tensor; of several the best conditioned one."""
    costs = [1 if _mirror(strain, operations) is not None else 2 for strain in strains]
    vectors = mandel(strains)
    for size in range(1, 7):
        able = []
        for subset in itertools.combinations(range(6), size):
            values = np.linalg.svd(design(vectors[list(subset)], basis), compute_uv=False)
            if len(values) == len(basis) and values[-1] > 1e-3 * values[0]:
                worth = round(float(values[-1] / values[0]), 6)
                able.append((sum(costs[n] for n in subset), -worth, subset))
        if able:
            return min(able)[-1]
    raise AssertionError("six strains determine every tensor")


def _state(strain: np.ndarray, group: SpaceGroup | None, operations: np.ndarray) -> StrainState:
    kept = None
    if group is not None:
        same = _maps(strain, strain, operations)
        kept = group.subgroup(same)
    return StrainState(strain, kept, _mirror(strain, operations))


def _maps(strain: np.ndarray, onto: np.ndarray, operations: np.ndarray) -> np.ndarray:
    """(m,) bool: which operations make another strain of one."""
    moved = operations.transpose(0, 2, 1) @ strain @ operations
    return np.abs(moved - onto).max((1, 2)) < SAME


def _mirror(strain: np.ndarray, operations: np.ndarray) -> np.ndarray | None:
    found = np.nonzero(_maps(strain, -strain, operations))[0]
    return operations[found[0]] if len(found) else None
