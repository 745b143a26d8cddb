"""One system whose geometry changes step by step, in an optimizer or an integrator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from pet_flows.engines.evaluation import Evaluation, System
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
    cost: int = field(init=False)
    """atoms × evaluations of a step, at its beginning: what memory and time go with; 0 where the
    strategy has no plan for it, and `error` says why"""
    _asked: System | None = field(init=False, default=None, repr=False)
    """geometry that was asked for last, before its projection"""

    def __post_init__(self) -> None:
        start = self.start
        try:
            with torch.no_grad():
                plan = start.bound.plan(
                    torch.from_numpy(start.positions), torch.from_numpy(start.cell)
                )
        except StructureError as error:
            self.error, self.cost = error, 0
            return
        n = len(start) if plan.atoms is None else len(plan.atoms)
        self.cost = n * len(plan.rotations)

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

    def is_at(self, positions: np.ndarray, cell: np.ndarray) -> bool:
        """Whether this very geometry was asked for last."""
        asked = self._asked
        return (
            asked is not None
            and np.array_equal(asked.positions, positions)
            and np.array_equal(asked.cell, cell)
        )

    def place(self, positions: np.ndarray, cell: np.ndarray) -> System:
        """System at a geometry, projected on the symmetry that is kept.

        Raises
        ------
        StructureError
            ``cell_runaway``: the cell has left its range, or nothing is finite any more.
        """
        self._asked = self.start.at(positions, cell)
        if not (np.isfinite(positions).all() and np.isfinite(cell).all()):
            raise StructureError(
                "cell_runaway",
                "Positions or cell grew beyond any number; start from a relaxed structure, or use "
                "another model.",
            )
        if self.start.pbc.all():
            self._guard(cell)
        if self.group is None:
            return self._asked
        cell = self.group.project_cell(cell)
        return self.start.at(self.group.project_positions(positions, cell), cell)

    def take(self, evaluation: Evaluation) -> None:
        """Where it is now; forces and stress are averaged over the symmetry that is kept."""
        self.n_evaluations += evaluation.n_evaluations
        if self.first_energy is None:
            self.first_energy = evaluation.energy
        if self.group is not None:
            cell, stress = evaluation.system.cell, evaluation.stress
            evaluation = replace(
                evaluation,
                forces=self.group.symmetrize_forces(evaluation.forces, cell),
                stress=None if stress is None else self.group.symmetrize_stress(stress, cell),
            )
        self.evaluation = evaluation

    def _guard(self, cell: np.ndarray) -> None:
        """Refuse a cell that has left its range."""
        first = self.start.cell
        stretch = np.abs(np.log(np.linalg.svd(np.linalg.solve(first, cell))[1] + 1e-300))
        if stretch.max() > self.max_strain:
            ratio = abs(np.linalg.det(cell) / np.linalg.det(first))
            raise StructureError(
                "cell_runaway",
                f"The cell did not stay near its start: it went to {ratio:.2f} times the first "
                f"volume with a principal stretch of {np.exp(stretch.max()):.2f} or its inverse; "
                "check the structure, or raise max_strain if it should go that far; it may be "
                "unstable with this model, or far outside what that was trained on.",
            )
