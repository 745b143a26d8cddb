"""Projection of geometries, forces and stresses of many structures on their space groups.

Everything is projected relative to the centroid: one pass is exact to round-off and keeps origin,
cell setting and orientation, which standardizing routines do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import cached_property
from typing import Protocol

import numpy as np

from pet_flows.crystallography.batch import Symmetric, SymmetryBatch
from pet_flows.crystallography.means import Means
from pet_flows.geometry.ragged import row_products, sum_by


class Group(Symmetric, Protocol):
    """What is needed of a space group: see :class:`.group.SpaceGroup`."""

    @property
    def rotations(self) -> np.ndarray:
        """``(m, 3, 3)`` int."""
        ...

    @property
    def shifts(self) -> np.ndarray:
        """``(m, n, 3)``."""
        ...

    @property
    def fractional(self) -> np.ndarray:
        """``(N, 3)``."""
        ...


class Projection:
    """Space groups of S structures of N atoms together."""

    def __init__(self, groups: Sequence[Group]):
        self.symmetry = SymmetryBatch(groups)
        self._rotations = np.concatenate([g.rotations for g in groups]).astype(float)
        self._shifts = np.concatenate([g.shifts.reshape(-1, 3) for g in groups])
        self._supercells = np.stack([g.primitive.supercell for g in groups])
        self._place(np.concatenate([g.fractional for g in groups]))

    def _place(self, fractional: np.ndarray) -> None:
        self._fractional = fractional
        own = fractional[self.symmetry.atoms]
        self._offset = np.rint(fractional - own[self.symmetry.image])

    def around(self, fractional: np.ndarray) -> Projection:
        """The same against other positions ``(N, 3)`` of the atoms, from which they unwrap."""
        other = copy(self)
        other._place(fractional)
        return other

    def cells(self, cells: np.ndarray) -> np.ndarray:
        """Nearest cells ``(S, 3, 3)`` of these symmetries, without rotating them.

        The metric is averaged over the operations and the primitive cell p stretched to it by
        the symmetric S with ``p S² pᵀ`` the average.
        """
        lattices = self.symmetry.bases @ cells
        mean = self._means.metrics(lattices @ lattices.transpose(0, 2, 1))
        inverses = np.linalg.inv(lattices)
        squares, axes = np.linalg.eigh(inverses @ mean @ inverses.transpose(0, 2, 1))
        stretches = (axes * np.sqrt(squares)[:, None, :]) @ axes.transpose(0, 2, 1)
        return self._supercells @ lattices @ stretches

    def positions(self, positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Nearest positions ``(N, 3)`` Å of these symmetries; centroids stay.

        Parameters
        ----------
        positions
            ``(N, 3)`` Å, wrapped or not.
        cells
            ``(S, 3, 3)`` Å, already of these symmetries.
        """
        of, n = self.symmetry.of_atom, len(self.symmetry)
        lattices = self.symmetry.bases @ cells
        fractional = row_products(positions, np.linalg.inv(lattices)[of])
        drift = fractional - self._fractional
        # a common drift is no wrapping: measured on the circle, it does not mind wrapped atoms
        circle = np.stack([np.cos(2 * np.pi * drift), np.sin(2 * np.pi * drift)], 1)
        cosines, sines = sum_by(of, circle, n).swapaxes(0, 1)
        common = np.arctan2(sines, cosines) / (2 * np.pi)
        wrapped = np.rint(drift - common[of])
        return row_products(self.average(fractional - wrapped) + wrapped, lattices[of])

    def forces(self, forces: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Averages of forces ``(N, 3)`` eV/Å over all operations and translations."""
        symmetry, lattices = self.symmetry, self.symmetry.bases @ cells
        own = row_products(symmetry.over_copies(forces), np.linalg.inv(lattices)[symmetry.of_site])
        mean = row_products(self._means.vectors(own), lattices[symmetry.of_site])
        return mean[symmetry.image]

    def stresses(self, stresses: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Averages of stresses ``(S, 3, 3)`` over the point groups."""
        lattices = self.symmetry.bases @ cells
        inverses = np.linalg.inv(lattices)
        mean = self._means.tensors(inverses.transpose(0, 2, 1) @ stresses @ inverses)
        return lattices.transpose(0, 2, 1) @ mean @ lattices

    def operations(self, cells: np.ndarray) -> np.ndarray:
        """``(M, 3, 3)`` orthogonal Q for ``x → x Q`` in cells ``(S, 3, 3)`` of these symmetries."""
        of, lattices = self.symmetry.of_operation, self.symmetry.bases @ cells
        return np.linalg.inv(lattices)[of] @ self._rotations @ lattices[of]

    def average(self, fractional: np.ndarray) -> np.ndarray:
        """Project unwrapped fractional positions (N, 3): translations first, then operations.

        ``u_perm(i) = mean over W of u_i W − (n_i − n̄)``, u relative to the centroid.
        """
        symmetry = self.symmetry
        own = symmetry.over_copies(fractional - self._offset)
        centroids = sum_by(symmetry.of_site, own, len(symmetry)) / symmetry.n_sites[:, None]
        centroid = centroids[symmetry.of_site]
        mean = self._means.vectors(own - centroid) - self._shift + centroid
        return mean[symmetry.image] + self._offset

    @cached_property
    def _means(self) -> Means:
        """Over the operations in the primitive basis."""
        return self.symmetry.means(self._rotations)

    @cached_property
    def _shift(self) -> np.ndarray:
        """``(E, 3)``, means of the lattice vectors that operations add."""
        symmetry = self.symmetry
        summed = sum_by(symmetry.target, self._shifts, len(symmetry.atoms))
        return summed / symmetry.n_operations[symmetry.of_site][:, None]
