"""A model that costs nothing, and a clock that says where the rest of the time goes."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pet_flows.engines.raw import Copies, Graph, RawResult, build_graph

#: stage → functions whose own time it is, without that of the stages inside
STAGES: dict[str, tuple[str, ...]] = {
    "read": ("pet_flows.jobs.compute:_atoms", "pet_flows.jobs.batch:load_entries"),
    "prepare": ("pet_flows.properties.specimen:check", "pet_flows.properties.specimen:snapped"),
    "bind": ("pet_flows.engines.evaluator:Evaluator.bind",),
    "admit": ("pet_flows.properties.relax.optimize:Optimization._admit",),
    "plan": (
        "pet_flows.symmetrization.crystal_bound:CrystalBound.plan",
        "pet_flows.symmetrization.strategy:Fixed.plan",
        "pet_flows.symmetrization.ecse:EcseBound.plan",
    ),
    "neighbours": ("host_stages:Nothing.graph",),
    "layout": ("pet_flows.engines.evaluator:Evaluator._start",
               "pet_flows.engines.evaluator:Evaluator._run",
               "pet_flows.engines.evaluator:Evaluator.evaluate"),
    "model": ("host_stages:Nothing.evaluate",),
    "finish": ("pet_flows.engines.evaluator:Evaluator._finish",),
    "optimizer": ("pet_flows.properties.relax.optimizers:LBFGS.step",),
    "project": ("pet_flows.engines.moving:MovingSystem.place",
                "pet_flows.engines.moving:MovingSystem.take"),
    "record": ("pet_flows.records.build:build_record",),
    "store": ("pet_flows.store.results:ResultStore.put",
              "pet_flows.store.results:ResultStore.needs"),
}  # fmt: skip


class Nothing:
    """A raw model of constant energies whose virial pushes every cell a little, for ever.

    It makes real graphs and answers in the form of a real model, by a handful of tensor operations;
    an optimizer never arrives, so that the number of steps is the one it is allowed.
    """

    dtype = torch.float64
    device = torch.device("cpu")
    cutoff = 4.5
    n_layers = 3
    hops: int | None = 3
    atomic_types = frozenset(range(1, 95))

    def __init__(self) -> None:
        self.evaluated = 0

    @property
    def general(self) -> Any:
        """There is none."""
        raise NotImplementedError

    def graph(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> Graph:
        """Neighbour list of one structure."""
        return build_graph([(self.cutoff, True)], numbers, positions, cell, pbc)

    def evaluate(self, copies: Sequence[Copies], gradients: bool = True) -> list[RawResult]:
        """Energies of -1 eV, no forces, a pressure that depends on nothing."""
        self.evaluated += sum(len(c.rotations) for c in copies)
        push = 1e-2 * torch.eye(3, dtype=torch.float64)
        return [
            RawResult(
                torch.full(c.weights.shape, -1.0, dtype=torch.float64),
                torch.zeros(*c.weights.shape, 3, dtype=torch.float64),
                (c.weights.sum(1)[:, None, None] * push),
            )
            for c in copies
        ]

    def invariant(self, graphs: Sequence[Graph]) -> list[RawResult] | None:
        """Nothing."""
        return None


class Clock:
    """CPU seconds of each stage, without those of the stages it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._stack: list[str] = []
        self._since = 0.0

    def _pass(self, stage: str | None) -> None:
        now = time.process_time()
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now
        if stage is None:
            self._stack.pop()
        else:
            self._stack.append(stage)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What runs inside belongs to a stage."""
        self._pass(name)
        try:
            yield
        finally:
            self._pass(None)

    def of(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The same function, its time that of a stage."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.stage(name):
                return function(*args, **kwargs)

        return timed


@contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Let a clock watch all stages."""
    from importlib import import_module

    before = []
    for stage, names in STAGES.items():
        for name in names:
            module, _, path = name.partition(":")
            owner: Any = import_module(module)
            *parents, last = path.split(".")
            for parent in parents:
                owner = getattr(owner, parent)
            before.append((owner, last, getattr(owner, last)))
            setattr(owner, last, clock.of(getattr(owner, last), stage))
    try:
        with clock.stage("rest"):
            yield
    finally:
        for owner, last, function in before:
            setattr(owner, last, function)
