"""Rotations and weights that do not depend on the structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from pet_flows.symmetrization.batch import BatchPlan, merged
from pet_flows.symmetrization.strategy import Plan


@dataclass(frozen=True)
class Fixed:
    """Rotations and weights that do not depend on the structure, bound to ``n_atoms`` atoms."""

    rotations: torch.Tensor
    n_atoms: int
    warnings: tuple[str, ...] = field(default=())
    reference_digest: str | None = None
    shares: torch.Tensor | None = None
    """(K,) weights of a quadrature, summing to one; None if all are equal"""

    @cached_property
    def _plan(self) -> Plan:
        k = len(self.rotations)
        shares = self.shares
        if shares is None:
            shares = torch.full((k,), 1.0 / k, dtype=self.rotations.dtype)
        return Plan(self.rotations, shares[:, None].repeat(1, self.n_atoms))

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """The fixed rotations, whatever the geometry."""
        return self._plan

    def moving(self) -> Fixed:
        """Itself: it remembers nothing."""
        return self

    @staticmethod
    def join(bounds: Sequence[Fixed]) -> FixedBatch:
        """As one."""
        return FixedBatch(bounds)

    def as_dict(self) -> dict[str, Any]:
        """Empty: the spec says everything, so that nothing is inherited."""
        return {}


class FixedBatch:
    """Structures with fixed rotations, as one: one plan, whatever the geometries."""

    def __init__(self, bounds: Sequence[Fixed]):
        counts = np.array([bound.n_atoms for bound in bounds])
        self._plan = merged([bound._plan for bound in bounds], counts)

    def plan(self, positions: np.ndarray, cells: np.ndarray, gradients: bool = True) -> BatchPlan:
        """See :class:`.batch.BatchBound`."""
        return self._plan
