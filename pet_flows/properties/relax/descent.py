"""One structure on its way down, and how far it is from its minimum."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pet_flows.engines.moving import MovingSystem
from pet_flows.properties.relax.path import PathPoint

#: a residual must fall to this part of its least value to count as progress
PROGRESS = 0.9


class Residual(NamedTuple):
    """How far a structure is from its minimum."""

    force: float
    """eV/Å; largest force on an atom"""
    cell_force: float
    """eV; largest eigenvalue of V (σ + p) / N, of the part that may move"""
    relative: float
    """the worse of both in units of its criterion"""
    volume: float | None
    """Å³/atom, of the geometry; None without a cell"""


#: of what was never evaluated
UNKNOWN = Residual(np.inf, np.inf, np.inf, None)


@dataclass(kw_only=True, eq=False)
class Descent[T](MovingSystem):
    """One structure on its way down; given back as the optimizer left it."""

    owner: T
    """whoever asked for it, as :meth:`Optimization.add` was told"""
    n_steps: int = 0
    residual: Residual = UNKNOWN
    """of the last geometry"""
    converged: bool = False
    stalled: bool = False
    """it left because it got no further, not for want of steps"""
    least: float = np.inf
    """least residual after a step so far, relative"""
    since: int = 0
    """steps since that last fell"""
    path: list[PathPoint] = field(default_factory=list)
    """at the start and after each step"""

    def arrived(self, residual: Residual) -> None:
        """Note where it is now."""
        self.residual = residual
        if self.evaluation is None:
            return
        point = PathPoint(self.evaluation.energy_per_atom, residual.force, residual.volume)
        self.path.append(point)

    def stepped(self, residual: Residual) -> None:
        """Count a step that has led to a residual."""
        self.n_steps += 1
        self.arrived(residual)
        if residual.relative < PROGRESS * self.least:
            self.least, self.since = residual.relative, 0
        else:
            self.since += 1
