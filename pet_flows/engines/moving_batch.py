"""Systems that move together: their geometries guarded and projected, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pet_flows.crystallography.projection import Projection
from pet_flows.engines.evaluation import Batch, Evaluation, System
from pet_flows.engines.moving import MovingSystem
from pet_flows.errors import StructureError
from pet_flows.geometry.ragged import largest_by, owners_of, rows_of, starts_of
from pet_flows.symmetrization.batch import join

#: |log principal stretch| of a cell that is flat
FLAT = 600.0


class MovingBatch:
    """S systems of N atoms together, in the order of an optimizer's state.

    Parameters
    ----------
    members
        The systems.
    """

    def __init__(self, members: Sequence[MovingSystem]):
        self.members = list(members)
        start = Batch([m.start for m in members])
        self._start = start
        self._periodic = start.pbc.all(1)
        self._inverses = np.tile(np.eye(3), (len(members), 1, 1))
        self._inverses[self._periodic] = np.linalg.inv(start.cells[self._periodic])
        self._limits = np.minimum([m.max_strain for m in members], FLAT)
        ends = np.cumsum(start.sizes).tolist()
        self._spans = [slice(*each) for each in zip([0, *ends[:-1]], ends, strict=True)]
        # nothing is equal to what was never asked for
        known = [m.asked or (np.full((len(m), 3), np.nan), np.zeros((3, 3))) for m in members]
        self._asked = np.concatenate([x for x, _ in known]), np.stack([cell for _, cell in known])
        groups = {s: m.group for s, m in enumerate(members) if m.group is not None}
        self._grouped = np.array(list(groups), dtype=int)
        self._of_grouped = rows_of(
            starts_of(start.sizes)[self._grouped], start.sizes[self._grouped]
        )
        self._projection = Projection(list(groups.values())) if groups else None

    def new(self, positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """``(S,)`` bool, which geometries were not asked for last, of those that can go on."""
        moved = largest_by(self._start.sizes, (positions != self._asked[0]).any(1))
        moved |= (cells != self._asked[1]).any((1, 2))
        return moved & np.array([m.error is None for m in self.members])

    def place(
        self, positions: np.ndarray, cells: np.ndarray, which: np.ndarray
    ) -> dict[int, tuple[MovingSystem, System]]:
        """By place, those of some members that can be evaluated, projected on what they keep.

        The `error` of the others says why: ``cell_runaway``, the cell has left its range, or
        nothing is finite any more.

        Parameters
        ----------
        positions, cells
            ``(N, 3)`` and ``(S, 3, 3)`` Å.
        which
            ``(S,)`` bool.
        """
        asked = self._asked = positions.copy(), cells.copy()
        positions, cells = positions.copy(), cells.copy()
        for s in np.nonzero(which)[0].tolist():
            self.members[s].asked = asked[0][self._spans[s]], asked[1][s]
        self._guard(positions, cells, which)
        if self._projection is not None:
            projected = self._projection.cells(cells[self._grouped])
            cells[self._grouped] = projected
            own = positions[self._of_grouped]
            positions[self._of_grouped] = self._projection.positions(own, projected)
        return {
            s: (m, m.start.at(positions[self._spans[s]], cells[s]))
            for s, m in enumerate(self.members)
            if which[s] and m.error is None
        }

    def symmetrized(self, found: dict[int, Evaluation]) -> dict[int, Evaluation]:
        """Evaluations of some members, by place, averaged over the symmetry that they keep."""
        projection = self._projection
        if projection is None:
            return found
        forces = np.zeros_like(self._start.positions)
        stresses = np.zeros_like(self._start.cells)
        cells = self._start.cells.copy()
        for s, result in found.items():
            forces[self._spans[s]] = result.forces
            cells[s] = result.system.cell
            if result.stress is not None:
                stresses[s] = result.stress
        own = cells[self._grouped]
        forces[self._of_grouped] = projection.forces(forces[self._of_grouped], own)
        stresses[self._grouped] = projection.stresses(stresses[self._grouped], own)
        return {
            s: result
            if self.members[s].group is None
            else result.projected(
                forces[self._spans[s]].copy(),
                None if result.stress is None else stresses[s].copy(),
            )
            for s, result in found.items()
        }

    def _guard(self, positions: np.ndarray, cells: np.ndarray, which: np.ndarray) -> None:
        """Refuse what has left its range; its geometry becomes that of its start."""
        first, sizes = self._start.cells, self._start.sizes
        broken = ~np.isfinite(cells).all((1, 2))
        broken |= largest_by(sizes, ~np.isfinite(positions).all(1))
        deformations = self._inverses @ np.where(broken[:, None, None], first, cells)
        deformations[~self._periodic] = np.eye(3)
        # no singular value differs from one by more than the norm of F − 1
        off = np.sqrt(((deformations - np.eye(3)) ** 2).sum((1, 2)))
        if not broken.any() and (off < 1 - np.exp(-self._limits)).all():
            return
        stretches = np.linalg.svd(deformations, compute_uv=False)
        strains = np.abs(np.log(stretches + 1e-300)).max(1)
        far = strains > self._limits
        for s in np.nonzero(which & (broken | far))[0].tolist():
            self.members[s].error = _runaway(
                None if broken[s] else float(np.prod(stretches[s])), float(np.exp(strains[s]))
            )
        bad = broken | far
        if bad.any():
            cells[bad] = first[bad]
            atoms = bad[owners_of(sizes)]
            positions[atoms] = self._start.positions[atoms]


def _runaway(ratio: float | None, stretch: float) -> StructureError:
    """Error of a cell of another volume, in this ratio; None where nothing is finite."""
    if ratio is None:
        return StructureError(
            "cell_runaway",
            "Positions or cell grew beyond any number; start from a relaxed structure, or use "
            "another model.",
        )
    return StructureError(
        "cell_runaway",
        f"The cell did not stay near its start: it went to {ratio:.2f} times the first "
        f"volume with a principal stretch of {stretch:.2f} or its inverse; "
        "check the structure, or raise max_strain if it should go that far; it may be "
        "unstable with this model, or far outside what that was trained on.",
    )


def weigh(moving: Sequence[MovingSystem]) -> None:
    """Note what a step of each costs; of one that has no plan the error says why."""
    if not moving:
        return
    try:
        batch = Batch([m.start for m in moving])
        plan = join([m.start.bound for m in moving]).plan(batch.positions, batch.cells, False)
    except StructureError as error:
        if len(moving) == 1:
            moving[0].error = error
            return
        middle = len(moving) // 2
        weigh(moving[:middle])
        weigh(moving[middle:])
        return
    for m, cost in zip(moving, (plan.copies * plan.sites).tolist(), strict=True):
        m.cost = cost
