"""Rotations and weights of a structure in TorchScript, for exported files.

Each module maps ``(pbc, [positions, cell, vectors ...], [pair samples ...])``, float64 in the
model's length unit, to orthogonal matrices ``(K, 3, 3)`` and weights ``(K, n)``, differentiable
once; see :mod:`pet_flows.symmetrization.strategy` for what they mean.
"""

import torch

# No `from __future__ import annotations` here: TorchScript reads the annotations.


class GridFrames(torch.nn.Module):
    """Fixed rotations.

    Parameters
    ----------
    rotations, shares
        ``(K, 3, 3)`` and ``(K,)``.
    """

    rotations: torch.Tensor
    shares: torch.Tensor

    def __init__(self, rotations: torch.Tensor, shares: torch.Tensor):
        super().__init__()
        self.register_buffer("rotations", rotations.to(torch.float64))
        self.register_buffer("shares", shares.to(torch.float64))

    def forward(
        self, pbc: torch.Tensor, tensors: list[torch.Tensor], pairs: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The same for every structure."""
        n = tensors[0].size(0)
        device = tensors[0].device
        return self.rotations.to(device), self.shares.to(device)[:, None].repeat(1, n)
