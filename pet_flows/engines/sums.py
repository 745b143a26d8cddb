"""What the chunks of a batch add up to."""

from __future__ import annotations

import torch

from pet_flows.engines.chunks import Chunk, Order
from pet_flows.engines.raw import RawResult
from pet_flows.engines.rows import Rows
from pet_flows.engines.spread import ForceSpread
from pet_flows.symmetrization.batch import BatchPlan

#: rows that are added up together: small calls are many, and adding takes as long for a few
ROWS = 8_000


class Sums:
    """Energies of S structures and the derivatives that the model gives, summed copy by copy.

    Parameters
    ----------
    plan, rows
        What is evaluated.
    order
        In which order.

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

    def __init__(self, plan: BatchPlan, rows: Rows, order: Order):
        n = int(plan.sites.sum())
        self.rows = rows
        self.plan = plan
        self._order = order
        self._waiting: list[tuple[Chunk, RawResult]] = []
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
        """Add what the model says of the copies that follow those before."""
        self._waiting.append((chunk, result))
        if chunk.rows.stop - self._waiting[0][0].rows.start >= ROWS:
            self.finish()

    def finish(self) -> None:
        """Add up what was not yet."""
        if not self._waiting:
            return
        first, last = self._waiting[0][0], self._waiting[-1][0]
        results = [result for _, result in self._waiting]
        self._waiting = []
        which = slice(first.rows.start, last.rows.stop)
        rows, copies = self._order.rows[which], self._order.copies[first.begin : last.end]
        energies = _joined([result.energies for result in results])
        site = self.rows.site[rows]
        self.energies.index_add_(0, site, self._order.weights[which] * energies)
        self.weights[rows] = energies
        slopes = [result.gradients for result in results if result.gradients is not None]
        strains = [result.virials for result in results if result.virials is not None]
        if not slopes or not strains:
            return
        gradients, virials = _joined(slopes), _joined(strains)
        self.virials.index_add_(0, self.rows.of_copy[copies], virials)
        self.rotations[copies] = virials @ self._order.rotations[first.begin : last.end]
        self.gradient.index_add_(0, site, gradients)
        if self.spread is not None:
            self.spread.add(rows, gradients)


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)
