"""Means over the operations of structures, as linear maps that are made once for a batch.

What operations do to coordinates in which their matrices never change (fractional ones, or those
of a crystal's reference) is the same at every step, and so is its mean. To a site only the sites of
its orbit bring something, each by the sum of the matrices that take it there: some blocks for each
site, instead of a row for each operation of each site.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from pet_flows.geometry.ragged import owners_of, row_products, starts_of


class Means:
    """Means over the operations of S structures with E sites together.

    Parameters
    ----------
    counts
        ``(S,)`` int, operations of each structure, M together.
    operation, site, target
        ``(R,)`` int, of the rows: which operation takes which site to which, as in
        :class:`.batch.SymmetryBatch`.
    matrices
        ``(M, 3, 3)`` of the operations, for row vectors.

    Attributes
    ----------
    of_operation, of_site
        ``(M,)`` and ``(E,)`` int, whose they are.
    """

    def __init__(
        self,
        counts: np.ndarray,
        operation: np.ndarray,
        site: np.ndarray,
        target: np.ndarray,
        matrices: np.ndarray,
    ):
        self.operation, self.site, self.target = operation, site, target
        self.matrices = matrices
        self.of_operation = owners_of(counts)
        self._counts = counts
        key = target * (int(site.max()) + 1) + site
        # structures are in order already, of which a stable sort makes use
        self._order = np.argsort(key, kind="stable")
        key = key[self._order]
        self._begins = np.nonzero(np.concatenate([[True], key[1:] != key[:-1]]))[0]
        first = self._order[self._begins]
        self._site, goal = site[first], target[first]
        # every site is a target: of the identity
        self._starts = np.nonzero(np.concatenate([[True], goal[1:] != goal[:-1]]))[0]
        of = self.of_operation[operation[first]]
        self.of_site = of[self._starts]
        self._share = (1.0 / counts)[of]

    @cached_property
    def _blocks(self) -> np.ndarray:
        """``(B, 3, 3)``, what each site brings to each of its orbit."""
        rows = self.matrices.take(self.operation.take(self._order), 0)
        return np.add.reduceat(rows, self._begins) * self._share[:, None, None]

    @cached_property
    def _weights(self) -> np.ndarray:
        """``(B,)``, the same of what no operation rotates."""
        return np.diff(self._begins, append=len(self._order)) * self._share

    @cached_property
    def _pairs(self) -> np.ndarray:
        """``(S, 9, 9)``, means of A ⊗ A."""
        flat = np.zeros((len(self._counts), int(self._counts.max()), 9))
        of = self.of_operation
        flat[of, np.arange(len(of)) - starts_of(self._counts)[of]] = self.matrices.reshape(-1, 9)
        products = (flat.swapaxes(1, 2) @ flat) / self._counts[:, None, None]
        return products.reshape(-1, 3, 3, 3, 3).swapaxes(2, 3).reshape(-1, 9, 9)

    def scalars(self, values: np.ndarray) -> np.ndarray:
        """``(E,)`` of values ``(E,)``: means over what the operations bring to each site."""
        found: np.ndarray = np.add.reduceat(values.take(self._site) * self._weights, self._starts)
        return found

    def vectors(self, values: np.ndarray) -> np.ndarray:
        """``(E, 3)`` of vectors ``(E, 3)``, rotated by ``v → v A``."""
        rows = row_products(values.take(self._site, 0), self._blocks)
        found: np.ndarray = np.add.reduceat(rows, self._starts)
        return found

    def tensors(self, values: np.ndarray) -> np.ndarray:
        """``(S, 3, 3)``, means of ``Aᵀ T A`` for T of each structure."""
        return (values.reshape(-1, 1, 9) @ self._pairs).reshape(-1, 3, 3)

    def metrics(self, values: np.ndarray) -> np.ndarray:
        """``(S, 3, 3)``, means of ``A G Aᵀ`` for G of each structure."""
        return (self._pairs @ values.reshape(-1, 9, 1)).reshape(-1, 3, 3)
