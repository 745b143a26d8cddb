"""What the chunks of a batch add up to for one structure."""

from __future__ import annotations

import torch

from pet_flows.engines.clusters import Part
from pet_flows.engines.raw import Copies, RawResult
from pet_flows.engines.spread import ForceSpread


class Sums:
    """Energies of one structure and the derivatives that the model gives, summed copy by copy.

    Parameters
    ----------
    rotations, weights
        ``(K, 3, 3)`` and ``(K, n)`` of the plan, without its gradients.

    Attributes
    ----------
    energies
        ``(n,)`` eV.
    gradient
        ``(n, 3)`` eV/Å, rotations and weights held fixed.
    virial
        ``(3, 3)`` eV, likewise.
    rotations, weights
        ``(K, 3, 3)`` and ``(K, n)`` eV, derivatives with respect to those of the plan.
    spread
        Of the forces; None of a single copy.
    """

    def __init__(self, rotations: torch.Tensor, weights: torch.Tensor):
        n = weights.shape[1]
        self.energies = torch.zeros(n, dtype=torch.float64)
        self.gradient = torch.zeros(n, 3, dtype=torch.float64)
        self.virial = torch.zeros(3, 3, dtype=torch.float64)
        self.rotations = torch.zeros_like(rotations)
        self.weights = torch.zeros_like(weights)
        self.spread = ForceSpread(weights) if len(weights) > 1 else None

    def add(self, part: Part, rows: torch.Tensor, copies: Copies, result: RawResult) -> None:
        """Add what the model says of some copies, ``rows`` of the plan, of a part."""
        atoms: slice | torch.Tensor = slice(None) if part.atoms is None else part.atoms
        self.energies[atoms] += (copies.weights * result.energies).sum(0)
        self.weights[rows if part.atoms is None else rows[:, None], atoms] = result.energies
        if result.gradients is None or result.virials is None:
            return
        self.virial += result.virials.sum(0)
        self.rotations[rows] = result.virials @ copies.rotations
        if part.atoms is None:
            self.gradient += result.gradients.sum(0)
            if self.spread is not None:
                self.spread.add(rows, result.gradients)
        else:
            self.gradient[part.atoms] += result.gradients.sum(0)
