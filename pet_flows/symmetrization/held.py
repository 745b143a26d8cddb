"""Whether symmetries that held before still hold, from what has moved since.

How far a structure misses an operation takes a row for each operation of each atom. Once that is
known of one geometry, the next ones are judged by what of their change is not symmetric itself: by
displacements beside their mean over the operations, and by the part of the cell's stretch that the
operations do not leave as it is. What comes out is never less than the true residual.
"""

from __future__ import annotations

import numpy as np

from pet_flows.crystallography.batch import SymmetryBatch
from pet_flows.crystallography.means import Means
from pet_flows.geometry.ragged import largest_by, row_products, sum_by
from pet_flows.symmetrization.polar import Polar


class Held:
    """Geometries of S structures of N atoms whose residuals are known.

    In the frame of a crystal's reference a cell ``L = h S R``, a position ``x = y S R`` and an
    operation ``Q = Rᵀ A R`` have h and A that never change. Let y move by symmetric displacements
    and by δ, and the operations leave S as it is but for E, of norm e: then

    * ``x_i Q − x_j``, against that of the first atom, changes by at most ``4 |δ| |S|`` and
      ``2 e |y_i − y_1|``;
    * rows of ``L Q − W L`` change by at most ``2 e |h|``.

    Parameters
    ----------
    symmetry, means
        Of the structures; means over the A.
    lattices
        ``(S, 3, 3)`` Å, h of the primitive cells.
    positions, cells, polar
        ``(N, 3)`` and ``(S, 3, 3)`` Å, and how the cells lie.
    residuals
        ``(S,)`` Å, found there.
    """

    def __init__(
        self,
        symmetry: SymmetryBatch,
        means: Means,
        lattices: np.ndarray,
        positions: np.ndarray,
        cells: np.ndarray,
        polar: Polar,
        residuals: np.ndarray,
    ):
        self._symmetry, self._means = symmetry, means
        self._lattices = lattices
        self._longest = np.sqrt((lattices**2).sum(2)).max(1)
        self._least = polar.stretches.min(1)
        self._places = self._seen(positions, cells)
        self._missed = residuals + self._skewness(self._places, polar)

    def residuals(self, positions: np.ndarray, cells: np.ndarray, polar: Polar) -> np.ndarray:
        """``(S,)`` Å, which those of another geometry do not exceed."""
        symmetry = self._symmetry
        places = self._seen(positions, cells)
        moved = places - self._places
        moved -= (sum_by(symmetry.of_atom, moved, len(symmetry)) / symmetry.n_atoms[:, None])[
            symmetry.of_atom
        ]
        off = moved - self._means.vectors(symmetry.over_copies(moved))[symmetry.image]
        delta = np.sqrt(largest_by(symmetry.n_atoms, np.einsum("na,na->n", off, off)))
        largest = polar.stretches.max(1)
        bound: np.ndarray = self._missed * largest / self._least + 4 * delta * largest
        bound += self._skewness(places, polar)
        return bound

    def _seen(self, positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """``(N, 3)`` Å, positions in the frames."""
        symmetry = self._symmetry
        change = np.linalg.inv(symmetry.bases @ cells) @ self._lattices
        return row_products(positions, change.take(symmetry.of_atom, 0))

    def _skewness(self, places: np.ndarray, polar: Polar) -> np.ndarray:
        """``(S,)`` Å, what E moves at most."""
        stretch = (polar.axes * polar.stretches[:, None]) @ polar.axes.swapaxes(1, 2)
        skew = stretch - self._means.tensors(stretch)
        e = np.sqrt((skew**2).sum((1, 2)))
        symmetry = self._symmetry
        first = places.take(np.cumsum(symmetry.n_atoms) - symmetry.n_atoms, 0)
        far = places - first.take(symmetry.of_atom, 0)
        extent = 2 * np.sqrt(largest_by(symmetry.n_atoms, np.einsum("na,na->n", far, far)))
        moved: np.ndarray = 2 * e * (extent + self._longest)
        return moved
