"""Batched optimization: each structure leaves the moment it is done, and others enter.

torch-sim's own runner stops silently at its last step and leaves the cell out of its criterion;
the loop here keeps what of its optimizers is good, and replaces what is around them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from pet_flows.engines.evaluation import Batch, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.moving_batch import weigh
from pet_flows.engines.torchsim import BatchedModel
from pet_flows.geometry.ragged import largest_by
from pet_flows.properties.batch import capacity_of, evaluate_each
from pet_flows.properties.relax.descent import UNKNOWN, Descent, Residual
from pet_flows.properties.relax.optimizers import OPTIMIZERS, Freedom

if TYPE_CHECKING:
    from pet_flows.crystallography.group import SpaceGroup

#: bytes that an optimizer may remember of all structures inside
OPTIMIZER_MEMORY = 256 * 2**20
#: structures that are taken from a source at a time
TOGETHER = 16


class Criteria(Protocol):
    """What the loop needs of a property's settings."""

    fmax: float
    smax: float
    steps: int
    optimizer: Literal["lbfgs", "bfgs", "fire"]
    max_strain: float


class Optimization[T]:
    """A stream of structures through one optimizer.

    Iterating runs it; structures may be added while it runs, and enter when there is space.

    Parameters
    ----------
    evaluator
        Model and strategy.
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
        Called with the owner of each structure and its steps so far, after each step.
    source
        Of further structures, as the arguments of :meth:`add`, taken from when there is space.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        criteria: Criteria,
        freedom: Freedom,
        *,
        capacity: int | None = None,
        pressure: float = 0.0,
        notice_stalls: bool = False,
        on_step: Callable[[T, int], None] | None = None,
        source: Iterable[tuple[T, System, SpaceGroup | None]] = (),
    ):
        self.on_step = on_step
        self.model = BatchedModel[Descent[T]](partial(evaluate_each, evaluator))
        self.criteria = criteria
        self.freedom = freedom
        self.capacity = capacity_of(evaluator) if capacity is None else capacity
        self.pressure = pressure
        self.notice_stalls = notice_stalls
        self._optimizer = OPTIMIZERS[criteria.optimizer]()
        self._waiting: deque[Descent[T]] = deque()
        self._unweighed: list[Descent[T]] = []
        self._state: Any = None
        self._source = iter(source)

    def add(
        self,
        owner: T,
        start: System,
        group: SpaceGroup | None = None,
        *,
        after: Descent[T] | None = None,
    ) -> None:
        """Queue a structure.

        Parameters
        ----------
        owner
            Comes back with the result.
        start
            Where it begins.
        group
            Symmetry that is kept.
        after
            The same structure so far: its steps and what it has cost count on.
        """
        descent = Descent(
            owner=owner, start=start, group=group, max_strain=self.criteria.max_strain
        )
        if after is not None:
            descent.n_steps, descent.first_energy = after.n_steps, after.first_energy
            descent.n_evaluations, descent.wall_time = after.n_evaluations, after.wall_time
            descent.path = after.path[:-1]  # it begins where that one ended
        self._waiting.append(descent)
        self._unweighed.append(descent)

    def __iter__(self) -> Iterator[Descent[T]]:
        while self._pull() or self._state is not None:
            start, before = perf_counter(), self.model.evaluation_time
            self._admit()
            done = self._collect()
            self._charge(perf_counter() - start - (self.model.evaluation_time - before))
            yield from done
            if self._state is None:
                continue
            start, before = perf_counter(), self.model.evaluation_time
            self._optimizer.step(self._state, self.model)
            inside = self.model.inside(self._state)
            for descent, residual in zip(inside, self._residuals(inside), strict=True):
                descent.stepped(residual)
            self._charge(perf_counter() - start - (self.model.evaluation_time - before))
            if self.on_step is not None:
                for descent in inside:
                    self.on_step(descent.owner, descent.n_steps)

    def _pull(self) -> bool:
        """Whether any waits, now that some were taken from the source if none did."""
        if not self._waiting:
            for owner, start, group in islice(self._source, TOGETHER):
                self.add(owner, start, group)
        return bool(self._waiting)

    def _admit(self) -> None:
        """Let waiting structures in while there is space."""
        inside = self.model.inside(self._state)
        used = sum(d.cost for d in inside)
        largest = max((len(d) for d in inside), default=0)
        entering: list[Descent[T]] = []
        while self._pull():
            weigh(self._unweighed)
            self._unweighed = []
            first = self._waiting[0]
            largest = max(largest, len(first))
            remembered = self._optimizer.memory(len(inside) + len(entering) + 1, largest)
            full = used + first.cost > self.capacity or remembered > OPTIMIZER_MEMORY
            if (inside or entering) and full:
                break
            entering.append(self._waiting.popleft())
            used += first.cost
        if not entering:
            return
        fresh = self._optimizer.start(self.model, entering, self.freedom, self.pressure)
        self._state = fresh if self._state is None else self._optimizer.join(self._state, fresh)
        for descent, residual in zip(entering, self._residuals(entering), strict=True):
            descent.arrived(residual)

    def _collect(self) -> list[Descent[T]]:
        """Take out what is converged, out of steps, broken or stuck."""
        if self._state is None:
            return []
        leaving: list[int] = []
        done: list[Descent[T]] = []
        for place, descent in enumerate(self.model.inside(self._state)):
            converged = descent.error is None and descent.residual.relative <= 1.0
            spent = descent.n_steps >= self.criteria.steps
            patience = self._optimizer.patience
            stalled = self.notice_stalls and not spent and descent.since >= patience
            if converged or descent.error is not None or spent or stalled:
                descent.converged, descent.stalled = converged, stalled and not converged
                leaving.append(place)
                done.append(descent)
        self._state = self.model.leave(self._state, leaving)
        return done

    def _residuals(self, descents: Sequence[Descent[T]]) -> list[Residual]:
        """How far each is from its minimum."""
        found = [UNKNOWN] * len(descents)
        results = {n: d.evaluation for n, d in enumerate(descents) if d.evaluation is not None}
        if not results:
            return found
        batch = Batch([result.system for result in results.values()])
        norms = (np.concatenate([result.forces for result in results.values()]) ** 2).sum(1)
        forces = np.sqrt(largest_by(batch.sizes, norms))
        fixed = np.array([result.stress is None for result in results.values()])
        none = np.zeros((3, 3))
        excess = np.stack([none if r.stress is None else r.stress for r in results.values()])
        excess = excess + self.pressure * np.eye(3)
        hydrostatic = excess.trace(axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
        if self.freedom == "shape":
            excess = excess - hydrostatic
        elif self.freedom == "volume":
            excess = hydrostatic
        principal = np.abs(np.linalg.eigvalsh(excess)).max(1)
        volumes = np.abs(np.linalg.det(batch.cells)) / batch.sizes
        cells = np.where(fixed | (self.freedom == "ions"), 0.0, principal * volumes)
        relative = np.maximum(forces / self.criteria.fmax, cells / self.criteria.smax)
        volume = [v if p else None for v, p in zip(volumes.tolist(), batch.pbc.all(1), strict=True)]
        rows = zip(forces.tolist(), cells.tolist(), relative.tolist(), volume, strict=True)
        for n, row in zip(results, rows, strict=True):
            found[n] = Residual(*row)
        return found

    def _charge(self, seconds: float) -> None:
        """Share time spent beside the model among the structures inside."""
        inside = self.model.inside(self._state)
        for descent in inside:
            descent.wall_time += max(0.0, seconds) / len(inside)


def unconverged(points: Collection[Descent[Any]], what: str, steps: int) -> dict[str, Any]:
    """Of an outcome: state, reason and message, if not all of its points are converged.

    Parameters
    ----------
    points
        Cells that were optimized.
    what
        What they are, in the plural.
    steps
        That each of them was allowed.
    """
    loose = [point for point in points if not point.converged]
    if not loose:
        return {}
    message = (
        f"{len(loose)} of {len(points)} {what} were not converged after {steps} steps; raise steps."
    )
    return {"state": "unconverged", "reason": "steps_exhausted", "message": message}
