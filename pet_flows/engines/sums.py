"""What the chunks of a batch add up to."""

from __future__ import annotations

import torch

from pet_flows.engines.chunks import Chunk
from pet_flows.engines.raw import RawResult
from pet_flows.engines.rows import Rows
from pet_flows.engines.spread import ForceSpread
from pet_flows.symmetrization.batch import BatchPlan


class Sums:
    """Energies of S structures and the derivatives that the model gives, summed copy by copy.

    Parameters
    ----------
    plan, rows
        What is evaluated.

    Attributes
    ----------
    energies
        ``(E,)`` eV, by site.
    gradient
        ``(E, 3)`` eV/Å, rotations and weights held fixed.
    virials
        ``(S, 3, 3)`` eV, likewise.
    rotations, weights
        ``(C, 3, 3)`` and ``(W,)`` eV, derivatives with respect to those of the plan.
    spread
        Of the forces; None where none is defined.
    """

    def __init__(self, plan: BatchPlan, rows: Rows):
        n = int(plan.sites.sum())
        self.rows = rows
        self.plan = plan
        self.energies = torch.zeros(n, dtype=torch.float64)
        self.gradient = torch.zeros(n, 3, dtype=torch.float64)
        self.virials = torch.zeros(len(plan.sites), 3, 3, dtype=torch.float64)
        self.rotations = torch.zeros_like(plan.rotations)
        self.weights = torch.zeros_like(plan.weights)
        self.spread: ForceSpread | None = None
        if (plan.copies > 1).any():
            spread = ForceSpread(rows, plan.weights)
            self.spread = spread if spread.defined.any() else None

    def add(self, chunk: Chunk, result: RawResult) -> None:
        """Add what the model says of some copies."""
        rows, copies = chunk.rows, chunk.copies
        site = self.rows.site[rows]
        self.energies.index_add_(0, site, chunk.raw.weights * result.energies)
        self.weights[rows] = result.energies
        if result.gradients is None or result.virials is None:
            return
        self.virials.index_add_(0, self.rows.of_copy[copies], result.virials)
        self.rotations[copies] = result.virials @ self.plan.rotations[copies]
        self.gradient.index_add_(0, site, result.gradients)
        if self.spread is not None:
            self.spread.add(rows, result.gradients)
