"""Single figures about the symmetrization: what ``benchmarks/symmetry.py`` prints as claims."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.units import _amu, _e
from symmetry_cases import LATTICE_CONSTANT, evaluator, structures, turned, turns

from pet_flows.engines.clusters import parts
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.potential import get_potential
from pet_flows.engines.raw import RawModel
from pet_flows.engines.rows import Rows
from pet_flows.engines.surroundings import graph_of
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.ecse import Ecse, EcseBound
from pet_flows.symmetrization.fixed import Fixed
from pet_flows.symmetrization.grid import off_axis_group
from pet_flows.symmetrization.strategies import parse_strategy
from pet_flows.symmetrization.strategy import Strategy

#: √(eV/Å²/amu) in THz
TERAHERTZ = float(np.sqrt(_e / _amu) * 1e10 / (2 * np.pi) * 1e-12)


def claims(raw: RawModel, spec: PotentialSpec, mean_degree: int) -> dict[str, Any]:
    """All of them; every value is plain JSON."""
    return {
        "grid: distance from the O(3) mean, meV/Å": distances(raw, mean_degree),
        "batched against one by one, ms": batching(raw, spec),
        "fast path against general path, ms": fast_path(raw, spec),
        "ecse against plain batches, ms per 1000 atoms": ecse_overhead(raw),
        "ecse, atoms evaluated in all orientations": ecse_savings(raw),
        "peak memory, MB": memory(raw),
        "Si Γ": gamma(spec),
    }


def cpu_time(call: Callable[[], Any], repeats: int = 5) -> float:
    """Smallest CPU time of some calls, in ms."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(1e3 * (time.process_time() - start))
    return min(times)


def systems_of(engine: Evaluator, atoms: Sequence[Atoms]) -> list[System]:
    """Systems bound to the strategy of an evaluator."""
    return [System.of(a, engine.bind(a)) for a in atoms]


def distances(raw: RawModel, degree: int) -> dict[str, dict[str, float]]:
    """Rms and largest force error of grids, over structures in six orientations each."""
    cases = {"rattled": structures()["rattled"], "strongly rattled": _strongly_rattled()}
    out: dict[str, dict[str, float]] = {}
    reference = evaluator(raw, f"grid:lebedev:{degree}")
    for name, atoms in cases.items():
        mean = reference.evaluate(systems_of(reference, [atoms]))[0].forces
        for grid in (
            "none",
            "grid:icosahedral",
            "grid:icosahedral:inversion",
            "grid:lebedev:3",
            "grid:lebedev:4",
            "grid:lebedev:5",
        ):
            engine = evaluator(raw, grid)
            errors = []
            for q in [np.eye(3), *turns(6)]:
                found = engine.evaluate(systems_of(engine, [turned(atoms, q)]))[0]
                errors.append(1e3 * (found.forces @ q.T - mean))
            out[f"{name}, {grid} ({found.n_evaluations})"] = {
                "rms": float(np.sqrt(np.mean(np.square(errors)))),
                "largest": float(np.abs(errors).max()),
            }
    return out


def _strongly_rattled() -> Atoms:
    atoms = bulk("Si", "diamond", a=LATTICE_CONSTANT) * (2, 1, 1)
    atoms.rattle(0.15, seed=5)
    return atoms


def batching(raw: RawModel, spec: PotentialSpec) -> dict[str, float]:
    """60 rotations in one call, one by one through our evaluator and through metatomic's."""
    from metatomic_ase import MetatomicCalculator

    calculator = MetatomicCalculator(load_model(spec), device="cpu")
    out: dict[str, float] = {}
    for name, atoms in (
        ("2 atoms", bulk("Si", a=LATTICE_CONSTANT)),
        ("8 atoms", bulk("Si", a=LATTICE_CONSTANT, cubic=True)),
    ):
        atoms.rattle(0.05, seed=0)
        grid, plain = evaluator(raw, "grid:icosahedral"), evaluator(raw, "none")
        together = systems_of(grid, [atoms])
        copies = [turned(atoms, q) for q in off_axis_group("icosahedral")]
        single = systems_of(plain, copies)

        def one_by_one(single: list[System] = single, plain: Evaluator = plain) -> None:
            for system in single:
                plain.evaluate([system])

        def metatomic(copies: list[Atoms] = copies) -> None:
            for copy in copies:
                calculator.calculate(copy, ["energy", "forces", "stress"], ["positions", "cell"])

        out[f"{name}: batched"] = cpu_time(partial(grid.evaluate, together))
        out[f"{name}: one by one"] = cpu_time(one_by_one, 2)
        out[f"{name}: one by one, metatomic"] = cpu_time(metatomic, 2)
        out[f"{name}: ratio"] = out[f"{name}: one by one"] / out[f"{name}: batched"]
    return out


def fast_path(raw: RawModel, spec: PotentialSpec) -> dict[str, float]:
    """60 rotations on the PET fast path and through the exported model."""
    general = MetatomicRaw(load_model(spec))
    out: dict[str, float] = {}
    for name, atoms in (
        ("2 atoms", bulk("Si", a=LATTICE_CONSTANT)),
        ("8 atoms", bulk("Si", a=LATTICE_CONSTANT, cubic=True)),
    ):
        atoms.rattle(0.05, seed=0)
        found: list[Evaluation] = []
        for path, model in (("fast", raw), ("general", general)):
            engine = evaluator(model, "grid:icosahedral")
            systems = systems_of(engine, [atoms])
            out[f"{name}: {path}"] = cpu_time(partial(engine.evaluate, systems), 3)
            found += engine.evaluate(systems)
        out[f"{name}: ratio"] = out[f"{name}: general"] / out[f"{name}: fast"]
        out[f"{name}: largest force difference, eV/Å"] = float(
            np.abs(found[0].forces - found[1].forces).max()
        )
    return out


def ecse_overhead(raw: RawModel) -> dict[str, float]:
    """Ecse against a plain batch of as many structures of the same size."""
    atoms = structures()["melt"]
    ecse = evaluator(raw, "ecse")
    system = systems_of(ecse, [atoms])
    k = ecse.evaluate(system)[0].n_evaluations
    plain = evaluator(raw, "none")
    copies = systems_of(plain, [turned(atoms, q) for q in turns(k)])
    matrices = torch.tensor(np.array(turns(k)))
    fixed = [System.of(atoms, Fixed(matrices, len(atoms)))]
    unit = k * len(atoms) / 1000
    ours = cpu_time(lambda: ecse.evaluate(system)) / unit
    batch = cpu_time(lambda: plain.evaluate(copies)) / unit
    turned_only = cpu_time(lambda: plain.evaluate(fixed)) / unit
    return {
        "frames": k,
        "ecse": ours,
        "plain batch": batch,
        "fixed rotations": turned_only,
        "ecse / plain batch": ours / batch,
        "ecse / fixed rotations": ours / turned_only,
    }


def ecse_savings(raw: RawModel) -> dict[str, dict[str, int]]:
    """Atoms evaluated for one result of ecse: of all orientations, and of those that are needed.

    In perfect crystals one orientation of each orbit of the space group, in large cells what the
    served atoms see.
    """
    cases = {
        "Cu fcc": bulk("Cu"),
        "W bcc": bulk("W"),
        "Si diamond": bulk("Si", a=LATTICE_CONSTANT),
        "Si bar, 192 atoms": _bar(6),
        "Si bar, 384 atoms": _bar(12),
    }
    strategy = parse_strategy("ecse").configure(raw.cutoff, raw.n_layers)
    out: dict[str, dict[str, int]] = {}
    for name, atoms in cases.items():
        positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
        with torch.no_grad():
            plan = strategy.bind(atoms).plan(positions, cell)
            whole = _unreduced(strategy, atoms).plan(positions, cell).weights.numel()
        chosen = slice(None) if plan.atoms is None else plan.atoms.numpy()
        lattice = cell.numpy() if plan.basis is None else plan.basis.numpy() @ cell.numpy()
        numbers, places = atoms.numbers[chosen], atoms.positions[chosen]
        graph = graph_of(raw.lists, numbers, places, lattice, atoms.pbc)
        rows = Rows(*(np.array([length]) for length in plan.weights.shape))
        found = parts(graph, plan.weights.reshape(-1), rows, raw.hops)
        out[name] = {
            "all orientations of all atoms": whole,
            "evaluated": int(found.graphs.sizes[found.owners].sum()),
        }
    return out


def _unreduced(strategy: Strategy, atoms: Atoms) -> EcseBound:
    """Ecse that does not look for the structure's own symmetry."""

    class Unreduced(EcseBound):
        _reducible = False

    assert isinstance(strategy, Ecse)
    return Unreduced(strategy, atoms)


def _bar(n: int) -> Atoms:
    """Rattled silicon, periodic, 2×2×n conventional cells."""
    atoms = bulk("Si", a=LATTICE_CONSTANT, cubic=True) * (2, 2, n)
    atoms.rattle(0.05, seed=1)
    return atoms


def memory(raw: RawModel) -> dict[str, float]:
    """Growth of the peak of the process's memory with the number of evaluations (Linux)."""
    atoms = structures()["melt"]
    out: dict[str, float] = {}
    none = evaluator(raw, "grid:icosahedral")
    none.evaluate(systems_of(none, [atoms]))  # whatever is allocated once
    for strategy in ("ecse", "ecse:tetrahedral", "ecse:icosahedral"):
        engine = evaluator(raw, strategy)
        peak, found = _peak(engine, atoms)
        out[f"{strategy} ({found.n_evaluations})"] = peak
    whole = evaluator(raw, "ecse:tetrahedral", chunk_atoms=10**9)
    out["ecse:tetrahedral in one graph"] = _peak(whole, atoms)[0]
    return out


def _peak(engine: Evaluator, atoms: Atoms) -> tuple[float, Evaluation]:
    system = systems_of(engine, [atoms])
    gc.collect()
    before = _status("VmRSS")
    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")  # the kernel forgets the peak so far
    found = engine.evaluate(system)[0]
    return _status("VmHWM") - before, found


def _status(field: str) -> float:
    with open("/proc/self/status") as stream:
        line = next(line for line in stream if line.startswith(field))
    return int(line.split()[1]) / 1024


def gamma(spec: PotentialSpec) -> dict[str, Any]:
    """Optical Γ modes of Si, turned at random, from displaced atoms alone: nothing projected.

    ``evaluations`` are those of one displacement of one atom of the conventional cell along a
    cubic axis, which fixes all three modes; the splitting is that of the three modes when the
    atom is moved along each cubic axis in turn, so that symmetry enters through the potential
    only.
    """
    raw = get_potential(spec.with_(dtype="float64")).raw
    out: dict[str, Any] = {}
    supercell = bulk("Si", a=LATTICE_CONSTANT, cubic=True)
    crystal = evaluator(raw, "crystal")
    for case, matrix in (("along the axes", np.eye(3)), ("turned", turns(2)[1])):
        for strategy in ("none", "grid:icosahedral", "crystal"):
            engine = evaluator(raw, strategy)
            primitive = turned(bulk("Si", a=LATTICE_CONSTANT), matrix)
            modes = _optical(engine, primitive, matrix)
            out[f"{case}, {strategy}"] = {
                "modes THz": [round(float(f), 6) for f in modes],
                "splitting THz": float(modes.max() - modes.min()),
            }
        cell = turned(supercell, matrix)
        bound = crystal.bind(cell)
        cell.positions[0] += 0.01 * matrix[0]
        moved = System.of(cell, bound)
        out[f"{case}, evaluations"] = crystal.evaluate([moved])[0].n_evaluations
    return out


def _optical(
    engine: Evaluator, primitive: Atoms, axes: np.ndarray, step: float = 0.01
) -> np.ndarray:
    """Frequencies (3,) THz of atom 0 against atom 1, by central differences along ``axes``."""
    bound = engine.bind(primitive)
    constants = np.zeros((3, 3))
    for axis in range(3):
        forces = []
        for sign in (1, -1):
            copy = primitive.copy()
            copy.positions[0] += sign * step * axes[axis]
            found = engine.evaluate([System.of(copy, bound)])[0]
            forces.append(found.forces[0] @ axes.T)
        constants[axis] = -(forces[0] - forces[1]) / (2 * step)
    constants = 0.5 * (constants + constants.T)
    # two equal masses: ω² = 2 Φ / m
    squares = np.linalg.eigvalsh(2 * constants / primitive.get_masses()[0])
    return TERAHERTZ * np.sign(squares) * np.sqrt(np.abs(squares))
