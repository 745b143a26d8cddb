"""Batched optimization with torch-sim: each structure leaves the moment it is done.

torch-sim's own runner stops silently at its last step and leaves the cell out of its criterion;
the loop here keeps its optimizers and replaces what is around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

import numpy as np

from pet_flows.engines.quiet import torch_sim as ts
from pet_flows.engines.torchsim import (
    BatchedModel,
    Body,
    EvaluateEach,
    evaluation_cost,
    numbers_of,
)
from pet_flows.errors import StructureError
from pet_flows.properties.relax.optimizers import OPTIMIZERS, Freedom

__all__ = ["Criteria", "Freedom", "Optimization", "Optimized"]

#: bytes that an optimizer may remember of all structures inside
OPTIMIZER_MEMORY = 256 * 2**20
#: a residual must fall to this part of its least value to count as progress
PROGRESS = 0.9


class Criteria(Protocol):
    """What the loop needs of a property's settings."""

    fmax: float
    smax: float
    steps: int
    optimizer: Literal["lbfgs", "bfgs", "fire"]
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
    """eV; largest eigenvalue of V (σ + p) / N, of the part that may move"""
    error: StructureError | None = None
    stalled: bool = False
    """it left because it got no further, not for want of steps"""


@dataclass
class _Course:
    """How a structure inside is getting on."""

    steps: int
    least: float = np.inf
    """least residual so far, in units of the criteria"""
    since: int = 0
    """steps since that last fell"""

    def stepped(self, residual: float) -> None:
        self.steps += 1
        if residual < PROGRESS * self.least:
            self.least, self.since = residual, 0
        else:
            self.since += 1


class Optimization:
    """A stream of structures through one of torch-sim's optimizers.

    Iterating runs it; structures may be added while it runs, and enter when there is space.

    Parameters
    ----------
    evaluate
        Batch evaluation with failures kept apart.
    criteria
        Convergence and step limits.
    freedom
        What moves, the same for all structures.
    capacity
        Atoms × evaluations that one step of the batch may hold; a single structure may exceed it.
    pressure
        eV/Å³; outside, so that the cell's equilibrium is at a stress of -pressure.
    notice_stalls
        Let a structure leave, as ``stalled``, when round-off keeps it from getting further.
    on_step
        Called with the tag of each structure and its steps so far, after each step.
    """

    def __init__(
        self,
        evaluate: EvaluateEach,
        criteria: Criteria,
        freedom: Freedom,
        capacity: int = 2000,
        *,
        pressure: float = 0.0,
        notice_stalls: bool = False,
        on_step: Callable[[Any, int], None] | None = None,
    ):
        self.on_step = on_step
        self.model = BatchedModel(evaluate)
        self.criteria = criteria
        self.freedom = freedom
        self.capacity = capacity
        self.pressure = pressure
        self.notice_stalls = notice_stalls
        self._optimizer = OPTIMIZERS[criteria.optimizer]()
        self._waiting: list[int] = []
        self._tags: dict[int, Any] = {}
        self._cost: dict[int, int] = {}
        self._courses: dict[int, _Course] = {}
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
        self._courses[number] = _Course(steps)
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
                self._courses[number].stepped(self._residual(self.model.bodies[number])[2])
            self._charge(perf_counter() - start - (self.model.evaluation_time - before))
            if self.on_step is not None:
                for number in numbers_of(self._state):
                    self.on_step(self._tags[number], self._courses[number].steps)

    def _admit(self) -> None:
        """Let waiting structures in while there is space."""
        inside = [] if self._state is None else numbers_of(self._state)
        used = sum(self._cost[n] for n in inside)
        largest = max((len(self.model.bodies[n]) for n in inside), default=0)
        entering: list[int] = []
        while self._waiting:
            first = self._waiting[0]
            largest = max(largest, len(self.model.bodies[first]))
            remembered = self._optimizer.memory(len(inside) + len(entering) + 1, largest)
            full = used + self._cost[first] > self.capacity or remembered > OPTIMIZER_MEMORY
            if (inside or entering) and full:
                break
            entering.append(self._waiting.pop(0))
            used += self._cost[first]
        if not entering:
            return
        fresh = self._optimizer.start(
            self.model, self.model.state(entering), self.freedom, self.pressure
        )
        if self._state is None:
            self._state = fresh
        else:
            self._state = self._optimizer.join(self._state, fresh)

    def _collect(self) -> list[Optimized]:
        """Take out what is converged, out of steps, broken or stuck."""
        if self._state is None:
            return []
        leaving: list[int] = []
        done: list[Optimized] = []
        for place, number in enumerate(numbers_of(self._state)):
            body, course = self.model.bodies[number], self._courses[number]
            force, cell_force, residual = self._residual(body)
            converged = body.error is None and residual <= 1.0
            spent = course.steps >= self.criteria.steps
            stalled = self.notice_stalls and not spent and course.since >= self._optimizer.patience
            if converged or body.error is not None or spent or stalled:
                leaving.append(place)
                self.model.leave(number)
                del self._courses[number], self._cost[number]
                done.append(
                    Optimized(
                        self._tags.pop(number), body, converged, course.steps, force, cell_force,
                        body.error, stalled and not converged,
                    )
                )  # fmt: skip
        if len(leaving) == self._state.n_systems:
            self._state = None
        elif leaving:
            self._state.pop(leaving)
        return done

    def _residual(self, body: Body) -> tuple[float, float, float]:
        """Force (eV/Å), cell force (eV), the worse of both in units of its criterion."""
        if body.latest is None:
            return np.inf, np.inf, np.inf
        _, cell, result = body.latest
        force = float(np.sqrt((result.forces**2).sum(1).max()))
        if self.freedom == "ions" or result.stress is None:
            return force, 0.0, force / self.criteria.fmax
        excess = result.stress + self.pressure * np.eye(3)
        hydrostatic = np.trace(excess) / 3 * np.eye(3)
        if self.freedom == "shape":
            excess = excess - hydrostatic
        elif self.freedom == "volume":
            excess = hydrostatic
        volume = abs(np.linalg.det(cell))
        cell_force = float(np.abs(np.linalg.eigvalsh(excess)).max()) * volume / len(body)
        return force, cell_force, max(force / self.criteria.fmax, cell_force / self.criteria.smax)

    def _charge(self, seconds: float) -> None:
        """Share time spent beside the model among the structures inside."""
        if self._state is not None:
            inside = numbers_of(self._state)
            for number in inside:
                self.model.bodies[number].wall_time += max(0.0, seconds) / len(inside)
