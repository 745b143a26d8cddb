"""One system whose geometry changes step by step, in an optimizer or an integrator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.surroundings import Surroundings
from pet_flows.errors import StructureError

if TYPE_CHECKING:
    from pet_flows.crystallography.group import SpaceGroup


@dataclass(kw_only=True, eq=False)
class MovingSystem:
    """A system on its way: where it began, where it was evaluated last, what that has cost.

    What moves it (a descent, a run of molecular dynamics) adds what it has to know.
    """

    start: System
    """as it began; strain is measured from its cell"""
    group: SpaceGroup | None = None
    """geometry, forces and stress are projected on it"""
    max_strain: float = np.inf
    """largest |log principal stretch| against the first cell"""
    n_evaluations: int = 0
    wall_time: float = 0.0
    """s, its share of the evaluations"""
    first_energy: float | None = None
    """eV, of the first evaluation"""
    evaluation: Evaluation | None = None
    """of the last geometry that could be evaluated"""
    error: StructureError | None = None
    """why it cannot go on"""
    cost: int = field(init=False, default=0)
    """atoms × evaluations of a step, at its beginning: what memory and time go with; see
    :func:`.moving_batch.weigh`"""
    asked: tuple[np.ndarray, np.ndarray] | None = field(init=False, default=None, repr=False)
    """positions and cell that were asked for last, before their projection"""

    def __post_init__(self) -> None:
        own = self.start.surroundings or Surroundings()
        self.start = replace(self.start, bound=self.start.bound.moving(), surroundings=own)

    def __len__(self) -> int:
        return len(self.start)

    @property
    def last(self) -> Evaluation:
        """Its last evaluation.

        Raises
        ------
        StructureError
            There is none: the error that it began with.
        """
        if self.evaluation is None:
            raise self.error or StructureError(
                "not_evaluated", "The calculation ended before its first evaluation: run it again."
            )
        return self.evaluation

    @cached_property
    def hand(self) -> float:
        """-1 for a left-handed cell, whose negative torch-sim sees: it takes det h for a volume."""
        cell, pbc = self.start.cell, self.start.pbc
        return -1.0 if pbc.all() and np.linalg.det(cell) < 0 else 1.0

    def take(self, evaluation: Evaluation) -> None:
        """Where it is now."""
        self.n_evaluations += evaluation.n_evaluations
        if self.first_energy is None:
            self.first_energy = evaluation.energy
        self.evaluation = evaluation
