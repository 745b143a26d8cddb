"""What `gpu.py` measures, part by part; each gives rows of one table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from properties_crystals import crystals
from torch.profiler import ProfilerActivity, profile

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import bytes_per_edge
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.engines.surroundings import graph_of
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax

Row = dict[str, Any]
STRATEGIES = ("none", "grid:octahedral", "crystal", "crystal:orientation", "ecse")
#: structures of a batch
MOST = 10_000


def potential_on(device: str, symmetrization: str, dtype: str) -> Potential:
    """The bundled model."""
    return get_potential("pet-mvl").with_(symmetrization=symmetrization, dtype=dtype, device=device)


def synchronize(device: str) -> None:
    """Wait until a device has done what it was asked for."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def evaluated(potential: Potential, given: list[Atoms]) -> list[Evaluation]:
    """All of them, as they are."""
    systems = [System.of(atoms, potential.bind(atoms)) for atoms in given]
    return potential.evaluator.evaluate(systems)


def correctness(device: str, quick: bool) -> Iterator[Row]:
    """Largest differences from float64 on the CPU, of every strategy and precision."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    given = crystals(6 if quick else 64)
    for symmetrization in STRATEGIES:
        some = [a for a in given if len(a) <= 4][:3] if symmetrization == "ecse" else given
        right = evaluated(potential_on("cpu", symmetrization, "float64"), some)
        for dtype in ("float64", "float32"):
            found = evaluated(potential_on(device, symmetrization, dtype), some)
            apart = {
                "energy_eV_per_atom": max(
                    abs(a.energy_per_atom - b.energy_per_atom)
                    for a, b in zip(found, right, strict=True)
                ),
                "force_eV_per_A": max(
                    float(np.abs(a.forces - b.forces).max())
                    for a, b in zip(found, right, strict=True)
                ),
                "stress_eV_per_A3": max(
                    float(np.abs(a.stress - b.stress).max())
                    for a, b in zip(found, right, strict=True)
                    if a.stress is not None and b.stress is not None
                ),
            }
            limits = (1e-8, 1e-7, 1e-8) if dtype == "float64" else (1e-3, 1e-2, 1e-3)
            good = all(x <= limit for x, limit in zip(apart.values(), limits, strict=True))
            yield {"strategy": symmetrization, "dtype": dtype, **apart, "good": good}


def memory(device: str, quick: bool) -> Iterator[Row]:
    """Bytes that a model call was expected to need, and that it needed."""
    for repeats in (2,) if quick else (2, 3, 4, 6, 8, 10):
        for dtype in ("float64", "float32"):
            potential = potential_on(device, "none", dtype)
            atoms = bulk("Si", a=5.43, cubic=True) * repeats
            atoms.rattle(0.02, seed=1)
            raw = potential.raw
            graph = graph_of(raw.lists, atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
            expected = bytes_per_edge(raw) * float(graph.sizes[0] * graph.widths[0])
            evaluated(potential, [atoms])
            with peak_memory(device) as peak:
                evaluated(potential, [atoms])
            most = peak()
            yield {
                "atoms": len(atoms), "dtype": dtype, "expected_MB": expected / 1e6,
                "peak_MB": most / 1e6, "expected_over_peak": expected / max(1.0, most),
                "good": 0.5 * most < expected,
            }  # fmt: skip


@contextmanager
def peak_memory(device: str) -> Iterator[Callable[[], float]]:
    """Gives the bytes that were used at most, beyond those at the beginning."""
    if torch.device(device).type == "cuda":
        synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield lambda: float(torch.cuda.max_memory_allocated(device) - before)
        return
    # the process keeps what it frees: PyTorch itself is asked what it took and gave back
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        yield lambda: _peak(watched)


def _peak(watched: Any) -> float:
    results = watched.profiler.kineto_results
    changes = [e for e in results.events() if e.name() == "[memory]"]
    changes.sort(key=lambda e: e.start_ns())
    return float(np.cumsum([e.nbytes() for e in changes]).max(initial=0))


def out_of_memory(device: str, quick: bool) -> Iterator[Row]:
    """Results where a batch does not fit: on a CUDA device by its own refusal, which is provoked.

    A CPU does not refuse; there the evaluator is told of little memory and makes smaller calls.
    """
    potential = potential_on(device, "none", "float32")
    given = [bulk("Si", a=5.43, cubic=True) * 2 for _ in range(16 if quick else 400)]
    for n, atoms in enumerate(given):
        atoms.rattle(0.02, seed=n)
    systems = [System.of(atoms, potential.bind(atoms)) for atoms in given]
    right = potential.evaluator.evaluate(systems)
    whole = sum(len(atoms) for atoms in given)
    raw, strategy, first = potential.raw, potential.evaluator.strategy, given[0]
    graph = graph_of(raw.lists, first.numbers, first.positions, first.cell.array, first.pbc)
    needed = bytes_per_edge(raw) * float(graph.sizes[0] * graph.widths[0])
    cuda = torch.device(device).type == "cuda"
    evaluator = Evaluator(raw, strategy, 10 * whole, memory=1e15 if cuda else 4 * needed)
    with short_of_memory(device, needed * len(given) / 8):
        found = evaluator.evaluate(systems)
    apart = max(float(np.abs(a.forces - b.forces).max()) for a, b in zip(found, right, strict=True))
    cut = evaluator.chunk_atoms < whole
    yield {
        "atoms": whole, "chunk_atoms_after": evaluator.chunk_atoms, "force_eV_per_A": apart,
        "good": (cut or not cuda) and apart < 1e-3,
    }  # fmt: skip


@contextmanager
def short_of_memory(device: str, room: float) -> Iterator[None]:
    """A CUDA device on which this process may use so many bytes more than it does."""
    if torch.device(device).type != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    share = (torch.cuda.memory_allocated(device) + room) / total
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def throughput(device: str, quick: bool, seconds: float) -> Iterator[Row]:
    """Structures a second in batches that grow, and the model's share of the time."""
    dynamics = MDSettings(ensemble="nvt_langevin", steps=10 if quick else 50, min_length=0.0)
    kinds: tuple[tuple[str, str, str, Callable[..., Iterator[Outcome]], Any, int], ...] = (
        ("relax", "crystal", "float32", relax, RelaxSettings(steps=30), 16),
        ("relax", "crystal:orientation", "float32", relax, RelaxSettings(steps=30), 16),
        ("phonon", "crystal", "float64", phonon, PhononSettings(min_length=8.0), 4),
        ("md", "crystal:orientation", "float32", md, dynamics, 16),
    )
    for name, symmetrization, dtype, compute, settings, at_most in kinds:
        potential = potential_on(device, symmetrization, dtype)
        until, n = time.perf_counter() + seconds / len(kinds), 2 if quick else 100
        list(compute(crystals(2, at_most=at_most), potential, settings))
        while True:
            given = crystals(n, seed=n, at_most=at_most)
            call = partial(compute, given, potential, settings)
            row = timed(device, potential, call)
            yield {"property": name, "strategy": symmetrization, "dtype": dtype, "structures": n,
                   **row, "structures_per_s": n / row["s"]}  # fmt: skip
            left = until - time.perf_counter()
            if quick or n >= MOST or left < 1.5 * row["s"]:
                break
            n = min(MOST, int(n * min(10.0, left / row["s"] / 1.2)))


def sizes(device: str, quick: bool) -> Iterator[Row]:
    """Single points of one size each, so many that a batch is worth it."""
    for repeats in (1, 2) if quick else (1, 2, 3, 4, 6):
        for dtype in ("float32", "float64"):
            potential = potential_on(device, "none", dtype)
            n = max(2, (200 if quick else 20_000) // (8 * repeats**3))
            given = [bulk("Si", a=5.43, cubic=True) * repeats for _ in range(n)]
            for k, atoms in enumerate(given):
                atoms.rattle(0.02, seed=k)
            systems = [System.of(atoms, potential.bind(atoms)) for atoms in given]
            potential.evaluator.evaluate(systems[:2])
            row = timed(device, potential, partial(potential.evaluator.evaluate, systems))
            atoms_in_all = n * len(given[0])
            yield {"atoms": len(given[0]), "dtype": dtype, "structures": n, **row,
                   "atoms_per_s": atoms_in_all / row["s"]}  # fmt: skip


def timed(device: str, potential: Potential, call: Callable[[], Any]) -> Row:
    """Wall seconds, those inside of the model, and what failed."""
    raw = potential.raw
    evaluate, inside = raw.evaluate, 0.0

    def watched(*given: Any, **options: Any) -> Any:
        nonlocal inside
        start = time.perf_counter()
        try:  # results come to the CPU: the device has done its work then
            return evaluate(*given, **options)
        finally:
            synchronize(device)
            inside += time.perf_counter() - start

    raw.evaluate = watched  # type: ignore[method-assign]
    synchronize(device)
    start = time.perf_counter()
    try:
        found = list(call())
    finally:
        del raw.evaluate
    seconds = time.perf_counter() - start
    failed = sum(isinstance(each, Outcome) and each.state == "failed" for each in found)
    return {"s": seconds, "share_in_model": inside / seconds, "failed": failed}
