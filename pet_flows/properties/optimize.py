"""Batched optimization with torch-sim: each structure leaves the moment it is done.

torch-sim's own runner stops silently at its last step, leaves the cell out of its criterion and,
when a larger structure enters a running LBFGS batch, pads the histories of the others in the wrong
place (after the cell's rows, and after the newest pair). The loop here keeps its optimizers and
replaces what is around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch_sim as ts

from pet_flows.engines.torchsim import (
    BatchedModel,
    Body,
    EvaluateEach,
    evaluation_cost,
    numbers_of,
)
from pet_flows.errors import StructureError

Freedom = Literal["cell", "shape", "ions"]
"""what moves besides the atoms: the whole cell, the cell at fixed volume, nothing"""


class Criteria(Protocol):
    """What the loop needs of a property's settings."""

    fmax: float
    smax: float
    steps: int
    optimizer: Literal["lbfgs", "fire"]
    max_strain: float


@dataclass
class Optimized:
    """One structure as the optimizer left it."""

    tag: Any
    """what :meth:`Optimization.add` was given"""
    body: Body
    converged: bool
    n_steps: int
    max_force: float
    """eV/Å; of the last geometry"""
    max_cell_force: float
    """eV; largest eigenvalue of V σ / N, of its deviator where the volume is fixed"""
    error: StructureError | None = None


class Optimization:
    """A stream of structures through one of torch-sim's optimizers.

    Iterating runs it; structures may be added while it runs, and enter when there is room.

    Parameters
    ----------
    evaluate
        Batch evaluation with failures kept apart.
    criteria
        Convergence and step limits.
    freedom
        What moves, the same for all structures.
    room
        Atoms × evaluations that one step of the batch may hold; a single structure may exceed it.
    """

    def __init__(
        self, evaluate: EvaluateEach, criteria: Criteria, freedom: Freedom, room: int = 2000
    ):
        self.model = BatchedModel(evaluate)
        self.criteria = criteria
        self.freedom = freedom
        self.room = room
        self._optimizer = _OPTIMIZERS[criteria.optimizer]()
        self._waiting: list[int] = []
        self._tags: dict[int, Any] = {}
        self._cost: dict[int, int] = {}
        self._steps: dict[int, int] = {}
        self._state: ts.SimState | None = None

    def add(self, tag: Any, body: Body, steps: int = 0) -> None:
        """Queue a structure; ``tag`` comes back with its result, ``steps`` were taken before."""
        body.max_strain = self.criteria.max_strain
        number = self.model.enter(body)
        try:
            self._cost[number] = evaluation_cost(body)
        except StructureError as error:
            body.error = error
            self._cost[number] = 0
        self._tags[number] = tag
        self._steps[number] = steps
        self._waiting.append(number)

    def __iter__(self) -> Iterator[Optimized]:
        while self._waiting or self._state is not None:
            start, before = perf_counter(), self.model.evaluation_time
            self._admit()
            done = self._collect()
            self._charge(perf_counter() - start - (self.model.evaluation_time - before))
            yield from done
            if self._state is None:
                continue
            start, before = perf_counter(), self.model.evaluation_time
            self._optimizer.step(self._state, self.model)
            for number in numbers_of(self._state):
                self._steps[number] += 1
            self._charge(perf_counter() - start - (self.model.evaluation_time - before))

    def _admit(self) -> None:
        """Let waiting structures in while there is room."""
        inside = [] if self._state is None else numbers_of(self._state)
        used = sum(self._cost[n] for n in inside)
        entering: list[int] = []
        while self._waiting:
            cost = self._cost[self._waiting[0]]
            if (inside or entering) and used + cost > self.room:
                break
            entering.append(self._waiting.pop(0))
            used += cost
        if not entering:
            return
        fresh = self._optimizer.start(self.model, self.model.state(entering), self.freedom)
        if self._state is None:
            self._state = fresh
        else:
            self._state = self._optimizer.join(self._state, fresh)

    def _collect(self) -> list[Optimized]:
        """Take out what is converged, out of steps or broken."""
        if self._state is None:
            return []
        leaving: list[int] = []
        done: list[Optimized] = []
        for place, number in enumerate(numbers_of(self._state)):
            body = self.model.bodies[number]
            force, cell_force = self._residual(body)
            converged = (
                body.error is None
                and force <= self.criteria.fmax
                and cell_force <= self.criteria.smax
            )
            steps = self._steps[number]
            if converged or body.error is not None or steps >= self.criteria.steps:
                leaving.append(place)
                self.model.leave(number)
                done.append(
                    Optimized(
                        self._tags.pop(number), body, converged, steps, force, cell_force,
                        body.error,
                    )
                )  # fmt: skip
        if len(leaving) == self._state.n_systems:
            self._state = None
        elif leaving:
            self._state.pop(leaving)
        return done

    def _residual(self, body: Body) -> tuple[float, float]:
        """Largest force (eV/Å) and largest eigenvalue of V σ / N (eV)."""
        if body.latest is None:
            return np.inf, np.inf
        _, cell, result = body.latest
        force = float(np.sqrt((result.forces**2).sum(1).max()))
        if self.freedom == "ions" or result.stress is None:
            return force, 0.0
        stress = result.stress * abs(np.linalg.det(cell)) / len(body)
        if self.freedom == "shape":
            stress = stress - np.trace(stress) / 3 * np.eye(3)
        return force, float(np.abs(np.linalg.eigvalsh(stress)).max())

    def _charge(self, seconds: float) -> None:
        """Share time spent beside the model among the structures inside."""
        if self._state is not None:
            inside = numbers_of(self._state)
            for number in inside:
                self.model.bodies[number].wall_time += max(0.0, seconds) / len(inside)


def _filter(state: ts.SimState, freedom: Freedom) -> dict[str, Any]:
    """torch-sim's keywords for what moves.

    The cell's coordinate is √N log F: its curvature, of the order of B V / N, is then that of an
    atom's position whatever N. With ASE's N log F it falls as 1/N, and the limit on a step, then
    0.2/N in log F, keeps a cell of 64 atoms crawling: 24 steps instead of 3, or 26 instead of 13
    with positions free as well.
    """
    if freedom == "ions":
        return {"cell_filter": None}
    return {
        "cell_filter": ts.CellFilter.frechet,
        "cell_factor": state.n_atoms_per_system.to(torch.float64).sqrt(),
        "constant_volume": freedom == "shape",
    }


class _LBFGS:
    """torch-sim's L-BFGS with steps that stay descents.

    Without a usable newest pair torch-sim's scaling of the inverse Hessian is 1 Å²/eV, many times
    too long a step; there (at the start, and where the curvature along the last step was not
    positive) ASE's 1/70 is used instead.
    """

    stiffness = 70.0
    """eV/Å²"""

    def start(self, model: BatchedModel, state: ts.SimState, freedom: Freedom) -> ts.SimState:
        fresh = ts.lbfgs_init(state, model, alpha=self.stiffness, **_filter(state, freedom))
        fresh.alpha = fresh.alpha.clone()
        return fresh

    def join(self, state: ts.SimState, fresh: ts.SimState) -> ts.SimState:
        extra = 3 if hasattr(state, "cell_positions") else 0
        width = max(state.s_history.shape[2], fresh.s_history.shape[2])
        for name in ("s_history", "y_history"):
            setattr(state, name, _widen(getattr(state, name), width, extra))
            history = getattr(state, name)
            setattr(fresh, name, history.new_zeros((fresh.n_systems, *history.shape[1:])))
        return ts.concatenate_states([state, fresh])

    def step(self, state: Any, model: BatchedModel) -> None:
        ts.lbfgs_step(state, model)
        s, y = state.s_history[:, -1], state.y_history[:, -1]
        curvature = (s * y).sum((1, 2))
        usable = curvature > 1e-3 * (s * s).sum((1, 2))  # eV/Å²
        state.s_history[:, -1] = torch.where(usable[:, None, None], s, 0.0)
        state.y_history[:, -1] = torch.where(usable[:, None, None], y, 0.0)
        state.alpha = torch.where(usable, 0.0, self.stiffness).to(state.alpha.dtype)


class _FIRE:
    """torch-sim's FIRE, every structure starting at rest whoever else is in the batch."""

    def start(self, model: BatchedModel, state: ts.SimState, freedom: Freedom) -> ts.SimState:
        fresh = ts.fire_init(state, model, **_filter(state, freedom))
        fresh.velocities.zero_()
        if hasattr(fresh, "cell_velocities"):
            fresh.cell_velocities.zero_()
        return fresh

    def join(self, state: ts.SimState, fresh: ts.SimState) -> ts.SimState:
        return ts.concatenate_states([state, fresh])

    def step(self, state: Any, model: BatchedModel) -> None:
        ts.fire_step(state, model)


_OPTIMIZERS: dict[str, type[_LBFGS | _FIRE]] = {"lbfgs": _LBFGS, "fire": _FIRE}


def _widen(history: torch.Tensor, width: int, extra: int) -> torch.Tensor:
    """History (S, H, M, 3) with room for larger structures; the last ``extra`` rows stay last."""
    missing = width - history.shape[2]
    if missing <= 0:
        return history
    atoms = history.shape[2] - extra
    gap = history.new_zeros((*history.shape[:2], missing, 3))
    return torch.cat([history[:, :, :atoms], gap, history[:, :, atoms:]], dim=2)


def run(
    evaluate: EvaluateEach, criteria: Criteria, freedom: Freedom, bodies: Sequence[Body], room: int
) -> Iterator[Optimized]:
    """Optimize a fixed list; the tag of each is its place in it."""
    optimization = Optimization(evaluate, criteria, freedom, room)
    for place, body in enumerate(bodies):
        optimization.add(place, body)
    yield from optimization
