"""The rotation in a deformation, F = S R, and its exact derivative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Polar:
    """Orthogonal factor R of ``F = S R`` with S symmetric positive definite.

    R is improper where det F is negative. With ``S = U diag(s) Uᵀ``, primed quantities in the
    basis U and ``M = dF Rᵀ``, the antisymmetric ``Ω = dR Rᵀ`` is ``Ω'_ij = (M' − M'ᵀ)_ij /
    (s_i + s_j)``. These denominators never vanish, unlike the ``s_i − s_j`` in the derivative of
    a singular value decomposition: equal singular values are the normal case, an unstrained
    crystal.

    Attributes
    ----------
    rotation
        ``(..., 3, 3)`` R.
    stretches
        ``(..., 3)`` eigenvalues s of S.
    axes
        ``(..., 3, 3)`` U, columns.
    """

    rotation: np.ndarray
    stretches: np.ndarray
    axes: np.ndarray

    @classmethod
    def of(cls, deformation: np.ndarray) -> Polar:
        """Decompose regular matrices F ``(..., 3, 3)``."""
        axes, stretches, right = np.linalg.svd(deformation)
        return cls(axes @ right, stretches, axes)

    def gradient(self, of_rotation: np.ndarray) -> np.ndarray:
        """∂L/∂F ``(..., 3, 3)`` from ∂L/∂R."""
        back = self.axes.swapaxes(-1, -2)
        inner = back @ (of_rotation @ self.rotation.swapaxes(-1, -2)) @ self.axes
        sums = self.stretches[..., :, None] + self.stretches[..., None, :]
        scaled = (inner - inner.swapaxes(-1, -2)) / sums
        return self.axes @ scaled @ back @ self.rotation
