"""Relaxation of 32 symmetric and 32 rattled cells of the silicon family, against its peers.

    OMP_NUM_THREADS=1 python benchmarks/relax.py [--json relax.json] [--profile]
    OMP_NUM_THREADS=2 python benchmarks/relax.py --threads 2

Ours: a RelaxMaker's batch into an embedded store, records included; ``crystal`` with the symmetry
kept for the strained cells with displaced free parameters, ``crystal:orientation`` for the rattled
ones, each in float64 and in float32. Peers, on the same weights in the same dtype and process:

- torch-sim's own L-BFGS through metatomic's torch-sim model, the plain model, all 32 in one batch;
- ASE's BFGS with FrechetCellFilter, one structure after the other (every fourth of them), with
  metatomic's calculator of the plain model and with ours.

Times on one thread are CPU seconds of this process, which do not count what else the machine does;
on more they are wall seconds, of us and of all peers alike. We and ASE take turns, three each, and
the run of median time counts. *Times raw* is ours over torch-sim's times the evaluations that one
of our steps takes; *evaluation for evaluation* compares seconds per model evaluation, *structure
for structure* seconds per relaxation, which also counts how many evaluations each needs.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_sim as ts
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.spacegroup import crystal
from metatomic_ase import MetatomicCalculator
from metatomic_torchsim import MetatomicModel
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.jobs import RelaxMaker
from pet_flows.jobs.batch import run_batch
from pet_flows.models.load import load_model
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.results import ResultStore

FMAX = 1e-3
STEPS = 200
#: we and ASE take turns; of each the run of median time counts
TURNS = 3


def prototypes(rng: np.random.Generator) -> list[Atoms]:
    """Six phases of silicon and germanium; free parameters off their places by up to 0.02 Å."""

    def off() -> float:
        return float(rng.uniform(-0.003, 0.003))

    found = []
    for element, a in (("Si", 5.43), ("Ge", 5.66)):
        s = a / 5.43

        def make(
            basis: list[tuple[float, ...]], group: int, cell: list[float], primitive: bool = False,
            element: str = element,
        ) -> Atoms:  # fmt: skip
            kinds = [element] * len(basis)
            atoms = crystal(kinds, basis, spacegroup=group, cellpar=cell, primitive_cell=primitive)
            return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True)

        hexagonal = [3.84 * s, 3.84 * s]
        found += [
            bulk(element, a=a),
            bulk(element, a=a, cubic=True),
            make([(1 / 3, 2 / 3, 0.0625 + off())], 194, [*hexagonal, 6.3 * s, 90, 90, 120]),
            make(
                [(0, 0, 0.0938 + off()), (1 / 3, 2 / 3, 0.1562 + off())], 194,
                [*hexagonal, 12.6 * s, 90, 90, 120],
            ),
            make([(0.1003 + off(),) * 3], 206, [6.64 * s] * 3 + [90.0] * 3, primitive=True),
            make(
                [(x := 0.091 + off(), x, 0.0), (0.173 + off(), 0.378 + off(), 0.25 + off())], 96,
                [5.69 * s, 5.69 * s, 6.7 * s, 90, 90, 90],
            ),
        ]  # fmt: skip
    return found


def cells(count: int, rattled: bool, seed: int) -> list[Atoms]:
    """Cells strained by up to 2 % within their symmetry, or out of it and rattled by 0.05 Å."""
    rng = np.random.default_rng(seed)
    found: list[Atoms] = []
    while len(found) < count:
        for atoms in prototypes(rng):
            strain = rng.uniform(-0.02, 0.02) * np.eye(3)
            if rattled:
                shear = rng.normal(0, 0.01, (3, 3))
                strain += (shear + shear.T) / 2
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            if rattled:
                atoms.rattle(0.05, rng=rng)
            found.append(atoms)
    return found[:count]


def clocked[T](call: Callable[[], T]) -> tuple[float, float, T]:
    """CPU seconds, wall seconds, result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.process_time() - cpu, time.perf_counter() - wall, result


def ours(spec: PotentialSpec, given: list[Atoms], symmetry: bool, folder: str) -> dict[str, Any]:
    """A batch of records in a fresh embedded store."""
    structures = [AseAtomsAdaptor.get_structure(a) for a in given]
    maker = RelaxMaker(potential=spec, fix_symmetry=symmetry, fmax=FMAX, steps=STEPS)
    os.environ["PET_FLOWS_STORE"] = str(Path(folder) / f"{len(os.listdir(folder))}.db")
    from pet_flows.settings import get_settings

    get_settings.cache_clear()
    with ResultStore.open() as store:
        cpu, wall, slim = clocked(lambda: run_batch(maker, structures, resolve(spec), store))
        records: list[Any] = [store.get(s["key"]) for s in slim]
    results = [r["result"] for r in records]
    kept = [r["spacegroup"]["final"]["tight"] == r["spacegroup"]["input"]["loose"] for r in records]
    return {
        "cpu_s": cpu,
        "wall_s": wall,
        "states": Counter(r["state"] for r in records),
        "evaluations": sum(r["n_evaluations"] for r in records),
        "steps": sum(r["n_steps"] + 1 for r in results if r),
        "finished_in_float64": sum(r["n_steps_float64"] > 0 for r in results if r),
        "space_groups_kept": sum(kept),
    }


def raw_torch_sim(model: MetatomicModel, given: list[Atoms]) -> dict[str, Any]:
    """torch-sim's own L-BFGS over the whole batch, with the cell in its criterion."""
    calls = 0
    forward = model.forward

    def counted(state: ts.SimState, **kwargs: Any) -> dict[str, torch.Tensor]:
        nonlocal calls
        calls += state.n_systems
        return forward(state, **kwargs)

    model.forward = counted
    criterion = ts.generate_force_convergence_fn(force_tol=FMAX, include_cell_forces=True)

    def run() -> Any:
        return ts.optimize(
            [a.copy() for a in given], model, optimizer=ts.Optimizer.lbfgs,
            convergence_fn=criterion, max_steps=STEPS, steps_between_swaps=1,
            init_kwargs={"cell_filter": ts.CellFilter.frechet},
        )  # fmt: skip

    cpu, wall, state = clocked(run)
    model.forward = forward
    converged = criterion(state, torch.zeros(state.n_systems))
    return {"cpu_s": cpu, "wall_s": wall, "evaluations": calls, "converged": int(converged.sum())}


def one_by_one(calculator: Any, given: list[Atoms]) -> dict[str, Any]:
    """ASE's BFGS, one structure after the other."""
    evaluations = steps = converged = 0

    def run() -> None:
        nonlocal evaluations, steps, converged
        for atoms in given:
            atoms = atoms.copy()
            calculator.reset()
            atoms.calc = calculator
            moving: Any = FrechetCellFilter(atoms)
            optimizer = BFGS(moving, logfile=None)
            converged += optimizer.run(fmax=FMAX, steps=STEPS)
            steps += optimizer.nsteps + 1
            each = calculator.results.get("n_evaluations", 1)
            evaluations += each * (optimizer.nsteps + 1)

    cpu, wall, _ = clocked(run)
    return {
        "cpu_s": cpu, "wall_s": wall, "evaluations": evaluations, "steps": steps,
        "converged": int(converged), "structures": len(given),
    }  # fmt: skip


def case(name: str, symmetrization: str, rattled: bool, dtype: Any, folder: str) -> dict[str, Any]:
    """All runs of one set of cells, and the ratios."""
    spec = get_potential(
        PotentialSpec(model="pet-mvl", symmetrization=symmetrization, dtype=dtype)
    ).spec
    given = cells(32, rattled, seed=3)
    plain = load_model(spec)
    model = MetatomicModel(plain, device="cpu")
    metatomic = MetatomicCalculator(plain, device="cpu")
    own = SymmetrizedCalculator(get_potential(spec))
    ours(spec, given[:2], not rattled, folder)
    raw_torch_sim(model, given[:2])
    one_by_one(metatomic, given[:1])
    clock = "cpu_s" if torch.get_num_threads() == 1 else "wall_s"
    runs: dict[str, Callable[[], dict[str, Any]]] = {
        "ours": lambda: ours(spec, given, not rattled, folder),
        "ASE, metatomic": lambda: one_by_one(metatomic, given[::4]),
        "ASE, ours": lambda: one_by_one(own, given[::4]),
    }
    turns = [{name: run() for name, run in runs.items()} for _ in range(TURNS)]
    row: dict[str, Any] = {
        name: sorted((turn[name] for turn in turns), key=lambda found: found[clock])[TURNS // 2]
        for name in runs
    }
    row["torch-sim"] = raw_torch_sim(model, given)
    mine, raw = row["ours"], row["torch-sim"]
    per_step = mine["evaluations"] / mine["steps"]
    each = {k: v[clock] / v["evaluations"] for k, v in row.items()}
    row["s per evaluation"] = each.copy()
    row["evaluations per step"] = per_step
    row["times raw"] = mine[clock] / (raw[clock] * per_step)
    row["times raw, evaluation for evaluation"] = each["ours"] / each["torch-sim"]
    peers = ("ASE, metatomic", "ASE, ours")
    alone = {k: row[k][clock] / row[k]["structures"] for k in peers}
    row["ASE over ours, evaluation for evaluation"] = {k: each[k] / each["ours"] for k in peers}
    row["ASE over ours, structure for structure"] = {
        k: alone[k] / (mine[clock] / len(given)) for k in peers
    }
    print(f"\n{name}: {symmetrization}, {dtype}")
    for key, value in row.items():
        print(f"  {key:42} {_short(value)}")
    return row


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_short(v)}" for k, v in value.items())
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch, for all")
    parser.add_argument("--profile", action="store_true", help="where our own time goes")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(args.threads)
    names = {"symmetric": ("crystal", False), "rattled": ("crystal:orientation", True)}
    with tempfile.TemporaryDirectory() as folder:
        if args.profile:
            for symmetrization, rattled in names.values():
                spec = PotentialSpec(model="pet-mvl", symmetrization=symmetrization)
                given = cells(32, rattled, seed=3)
                ours(spec, given[:2], not rattled, folder)
                with cProfile.Profile() as profile:
                    ours(spec, given, not rattled, folder)
                pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
            return
        rows = {
            f"{name}, {dtype}": case(name, *how, dtype, folder)
            for dtype in ("float64", "float32")
            for name, how in names.items()
        }
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
