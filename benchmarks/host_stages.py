"""A model that costs nothing, and a clock that says where the rest of the time goes."""

from __future__ import annotations

import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.raw import Copies, RawResult

#: stage → functions whose own time it is, without that of the stages inside
STAGES: dict[str, tuple[str, ...]] = {
    "read": ("pet_flows.records.kept:Kept.of", "pet_flows.records.kept:Kept.atoms",
             "pet_flows.jobs.batch:load_entries"),
    "prepare": ("pet_flows.properties.specimen:check", "pet_flows.properties.specimen:snapped"),
    "bind": ("pet_flows.engines.evaluator:Evaluator.bind",),
    "admit": ("pet_flows.properties.relax.optimize:Optimization._admit",),
    "plan": (
        "pet_flows.symmetrization.crystal_batch:CrystalBatch.plan",
        "pet_flows.symmetrization.fixed:FixedBatch.plan",
        "pet_flows.symmetrization.batch:Separate.plan",
    ),
    "neighbours": ("pet_flows.engines.surroundings:NeighbourLists.graphs",),
    "layout": ("pet_flows.engines.evaluator:Evaluator._run",
               "pet_flows.engines.evaluator:Evaluator.evaluate"),
    "model": ("host_stages:Nothing.evaluate",),
    "finish": ("pet_flows.engines.evaluator:evaluations",),
    "optimizer": ("pet_flows.properties.relax.optimizers:LBFGS.step",),
    "project": ("pet_flows.engines.moving_batch:MovingBatch.place",
                "pet_flows.engines.moving_batch:MovingBatch.new",
                "pet_flows.engines.moving_batch:MovingBatch.symmetrized"),
    "record": ("pet_flows.records.build:Recording.record",),
    "store": ("pet_flows.store.results:ResultStore.put_all",
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
    lists = ((4.5, True),)
    atomic_types = frozenset(range(1, 95))

    def __init__(self) -> None:
        self.evaluated = 0

    @property
    def general(self) -> Any:
        """There is none."""
        return None

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """Energies of -1 eV, no forces, a pressure that depends on nothing."""
        self.evaluated += len(copies.owners)
        n = len(copies.weights)
        share = torch.zeros(len(copies.owners), dtype=torch.float64)
        share.index_add_(0, copies.of_row, copies.weights)
        return RawResult(
            torch.full((n,), -1.0, dtype=torch.float64),
            torch.zeros(n, 3, dtype=torch.float64),
            share[:, None, None] * 1e-2 * torch.eye(3, dtype=torch.float64),
        )

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Nothing."""
        return None


class Clock:
    """CPU seconds of each stage, without those of the stages it calls, in whatever thread."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._own = threading.local()

    def _pass(self, stage: str | None) -> None:
        now, own = time.thread_time(), self._own
        stack: list[str] = own.__dict__.setdefault("stack", [])
        if stack:
            self.seconds[stack[-1]] += now - own.since
        own.since = now
        if stage is None:
            stack.pop()
        else:
            stack.append(stage)

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
