"""The rotation in a deformation, F = S R, and its exact derivative."""

from __future__ import annotations

from typing import Any

import torch


class PolarRotation(torch.autograd.Function):
    """Orthogonal factor R of ``F = S R`` with S symmetric positive definite.

    R is improper where det F is negative. With ``S = U diag(s) Uᵀ``, primed quantities in the
    basis U and ``M = dF Rᵀ``, the antisymmetric ``Ω = dR Rᵀ`` is ``Ω'_ij = (M' − M'ᵀ)_ij /
    (s_i + s_j)``. These denominators never vanish, unlike the ``s_i − s_j`` in the derivative of
    a singular value decomposition: equal singular values are the normal case, an unstrained
    crystal.
    """

    @staticmethod
    def forward(ctx: Any, deformation: torch.Tensor) -> torch.Tensor:
        """(3, 3) → (3, 3)."""
        left, stretches, right = torch.linalg.svd(deformation)
        rotation = left @ right
        ctx.save_for_backward(left, stretches, rotation)
        return rotation

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        """∂L/∂F from ∂L/∂R."""
        axes, stretches, rotation = ctx.saved_tensors
        turned = axes.T @ (grad @ rotation.T) @ axes
        scaled = (turned - turned.T) / (stretches[:, None] + stretches[None, :])
        return axes @ scaled @ axes.T @ rotation


def polar_rotation(deformation: torch.Tensor) -> torch.Tensor:
    """Orthogonal factor of a regular ``(3, 3)`` matrix, differentiable once."""
    rotation = PolarRotation.apply(deformation)
    assert isinstance(rotation, torch.Tensor)
    return rotation
