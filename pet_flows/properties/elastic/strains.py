"""Which strains an elastic tensor needs: along the crystal's axes, no more than its symmetry asks.

The strains belong to the crystal, not to the laboratory: a turned crystal is strained along its
own turned axes, and its tensor is the turned one to round-off. Axes are those of the IEEE standard
176-1987. (pymatgen's are not: x is along c in tetragonal crystals with c < a, and two equal lengths
in a triclinic or orthorhombic one are an error.)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import standard_cell
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

    def strained(self, atoms: Atoms, magnitude: float) -> Atoms:
        """Copy with the cell ``h (1 + magnitude strain)`` and the same fractional coordinates."""
        copy = atoms.copy()
        deform = np.eye(3) + magnitude * self.strain
        copy.set_cell(atoms.cell.array @ deform, scale_atoms=True)
        return copy


@dataclass(frozen=True)
class StrainPlan:
    """Strains of one crystal and the tensors that they can tell apart."""

    states: tuple[StrainState, ...]
    basis: np.ndarray
    """(n, 6, 6) Mandel, the tensors that the point group allows"""
    axes: np.ndarray
    """(3, 3) IEEE axes in the rows, right-handed"""

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
        Å; for the axes.
    """
    operations = np.eye(3)[None] if group is None else group.operations(atoms.cell.array)
    axes = ieee_axes(atoms, symprec)
    basis = invariant_basis(operations)
    strains = axes.T @ UNITS @ axes
    chosen = _fewest(strains, basis, operations)
    states = tuple(_state(strains[n], group, operations) for n in chosen)
    return StrainPlan(states, basis, axes)


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
    """(m,) bool: which operations turn one strain into another."""
    moved = operations.transpose(0, 2, 1) @ strain @ operations
    return np.abs(moved - onto).max((1, 2)) < SAME


def _mirror(strain: np.ndarray, operations: np.ndarray) -> np.ndarray | None:
    found = np.nonzero(_maps(strain, -strain, operations))[0]
    return operations[found[0]] if len(found) else None


def ieee_axes(atoms: Atoms, symprec: float) -> np.ndarray:
    """``(3, 3)`` right-handed axes x, y, z (rows) of a crystal after IEEE 176-1987.

    z along c and x along a, the conventional axes (spglib's) of cubic, hexagonal, trigonal and
    tetragonal crystals; orthorhombic ones are named so that c < a < b; monoclinic ones have y
    along the unique axis b and z along the shorter of the others; triclinic ones z along the
    shortest and y normal to the plane of the two shortest. Where spglib finds no symmetry: the
    laboratory's.
    """
    cell, scaled = atoms.cell.array, atoms.get_scaled_positions(wrap=False)
    standard = standard_cell(cell, scaled, atoms.numbers, symprec)
    if standard is None:
        return np.eye(3)
    conventional = standard.basis @ cell
    # an inversion changes no tensor of even rank, but x, z and z × x must be of one hand
    conventional = conventional * np.sign(np.linalg.det(conventional))
    # rounded, so that round-off does not decide between equal lengths
    by_length = np.argsort(np.linalg.norm(conventional, axis=1).round(6), kind="stable")
    a, b, c = conventional
    if standard.number >= 75:
        x, z = a, c
    elif standard.number >= 16:
        z, x = conventional[by_length[:2]]
    elif standard.number >= 3:
        z = a if np.linalg.norm(a) < np.linalg.norm(c) else c
        x = np.cross(b, z)
    else:
        z, x = conventional[by_length[:2]]
    z = z / np.linalg.norm(z)
    x = x - (x @ z) * z
    x = x / np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])
