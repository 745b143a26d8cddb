"""Covariance of every strategy on every kind of system, under many random rotations, half improper.

    python benchmarks/covariance.py --json covariance.json

On the deliberately rough random PET of the tests (2 layers, float64): the largest change of energy
per atom, force component and stress component between a structure and its turned and reflected
copies (turned back), each bound anew. Crystals are under 5 % shear and a rattle, with the crystal
reference of the perfect one, which is inherited; some are perfect besides, with everything derived
anew, so that operations of their own are found in every orientation. The grids, approximate, are
there for scale. What would take more than the limits (evaluations × pairs of neighbours of one
call) is left out.

The file is written after every pair of strategy and system; what it holds is not measured again
unless more turns are asked for. Ends with code 1 if an exact strategy was not exact.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from ase import Atoms

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.raw import RawModel
from pet_flows.symmetrization.ecse_graph import find_edges
from tests.rough import rough_model
from tests.symmetrization.systems import crystals, molecules, orthogonal, raw, sheared, turned

GRIDS = ("none", "grid:tetrahedral", "grid:octahedral", "grid:icosahedral",
         "grid:icosahedral:inversion", "grid:lebedev:4")  # fmt: skip
GROUPS = ("", ":tetrahedral", ":icosahedral")
EXACT = ("crystal:orientation", *(f"crystal{group}" for group in GROUPS),
         *(f"ecse{scope}{group}" for scope in ("", ":atom", ":structure") for group in GROUPS)
         )  # fmt: skip
#: crystals that are measured as they are, too
PERFECT = ("fcc", "hcp", "diamond", "zincblende", "quartz", "P4mm")
#: what exact means: eV/atom, eV/Å, eV/Å³
BOUNDS = (1e-12, 1e-10, 1e-11)


@dataclass
class Row:
    """Largest changes of one strategy on one system."""

    strategy: str
    system: str
    atoms: int
    evaluations: int
    turns: int
    energy: float
    """eV/atom"""
    forces: float
    """eV/Å"""
    stress: float | None
    """eV/Å³"""
    seconds: float
    """CPU time of all turns"""


def systems() -> dict[str, tuple[Atoms, Atoms | None]]:
    """Name → structure, and the perfect crystal that it derives from, if it does."""
    found: dict[str, tuple[Atoms, Atoms | None]] = {
        name: (sheared(atoms), atoms) for name, (atoms, _) in crystals().items()
    }
    found |= {f"perfect {name}": (crystals()[name][0], None) for name in PERFECT}
    return found | {name: (atoms, None) for name, atoms in molecules().items()}


def size(atoms: Atoms, cutoff: float) -> int:
    """What an evaluation takes, in pairs of neighbours; an atom by itself counts for two."""
    edges = find_edges(
        torch.tensor(atoms.positions), torch.tensor(atoms.cell.array), atoms.pbc, cutoff
    )
    return len(edges.first) + 2 * len(atoms)


def measure(strategy: str, name: str, n_turns: int, limit: int) -> Row | None:
    """Row of one pair; None if the strategy is not for that system, or above the limit."""
    from pet_flows.errors import StructureError
    from pet_flows.symmetrization.strategies import parse_strategy

    atoms, parent = systems()[name]
    # a free atom has no edges: the backend by itself does not take it
    model: RawModel = MetatomicRaw(rough_model()) if name == "atom" else raw()
    configured = parse_strategy(strategy).configure(model.cutoff, model.n_layers)
    engine = Evaluator(model, configured)
    try:
        inherited = None if parent is None else engine.bind(parent).as_dict()
        bound = engine.bind(atoms, inherited)
    except StructureError:
        return None
    plan = bound.plan(torch.tensor(atoms.positions), torch.tensor(atoms.cell.array))
    if len(plan.rotations) * size(atoms, model.cutoff) > limit:
        return None
    start = time.process_time()

    def evaluate(copy: Atoms) -> Evaluation:
        return engine.evaluate([System.of(copy, engine.bind(copy, inherited))])[0]

    base = evaluate(atoms)
    errors = np.zeros(3)
    for seed in range(n_turns):  # odd ones are improper
        q = orthogonal(seed)
        found = evaluate(turned(atoms, q))
        energy = abs(found.energy - base.energy) / len(atoms)
        forces = np.abs(found.forces @ q.T - base.forces).max()
        stress = 0.0
        if found.stress is not None and base.stress is not None:
            stress = np.abs(q @ found.stress @ q.T - base.stress).max()
        errors = np.maximum(errors, [energy, forces, stress])
    return Row(
        strategy, name, len(atoms), base.n_evaluations, n_turns, float(errors[0]),
        float(errors[1]), None if base.stress is None else float(errors[2]),
        round(time.process_time() - start, 1),
    )  # fmt: skip


def show(rows: list[Row]) -> bool:
    """Print the tables; whether every exact strategy is exact."""
    units = "energy eV/atom | forces eV/Å | stress eV/Å³"
    print(f"| strategy | systems | rotations | {units} | worst on |")
    print("|---|---:|---:|---:|---:|---:|---|")
    exact = True
    for strategy in (*GRIDS, *EXACT):
        own = [row for row in rows if row.strategy == strategy]
        if not own:
            continue
        worst = [max(row.energy for row in own), max(row.forces for row in own),
                 max((row.stress or 0.0) for row in own)]  # fmt: skip
        where = max(own, key=lambda row: row.forces).system
        turns = min(row.turns for row in own)
        numbers = " | ".join(f"{error:.0e}" for error in worst)
        print(f"| {strategy} | {len(own)} | {turns} | {numbers} | {where} |")
        if strategy in EXACT:
            exact &= all(error < bound for error, bound in zip(worst, BOUNDS, strict=True))
    print("\n| system | atoms | strategy | evaluations | energy | forces | stress |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for row in sorted(rows, key=lambda row: (row.system, row.strategy)):
        stress = "" if row.stress is None else f"{row.stress:.0e}"
        print(f"| {row.system} | {row.atoms} | {row.strategy} | {row.evaluations} "
              f"| {row.energy:.0e} | {row.forces:.0e} | {stress} |")  # fmt: skip
    return exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--limit", type=int, default=10_000, help="of exact strategies")
    parser.add_argument("--grid-limit", type=int, default=4_000, help="of approximate ones")
    parser.add_argument("--strategies", nargs="+", default=[*GRIDS, *EXACT])
    parser.add_argument("--systems", nargs="+", default=list(systems()))
    parser.add_argument("--json", type=Path, default=Path("covariance.json"))
    args = parser.parse_args()
    rows: list[Row] = []
    if args.json.is_file():
        rows = [Row(**row) for row in json.loads(args.json.read_text())]
    done = {(row.strategy, row.system) for row in rows if row.turns >= args.turns}
    for strategy in args.strategies:
        for name in args.systems:
            if (strategy, name) in done:
                continue
            limit = args.limit if strategy in EXACT else args.grid_limit
            row = measure(strategy, name, args.turns, limit)
            if row is None:
                continue
            print(f"{strategy:26} {name:18} {row.forces:.0e} {row.seconds} s", file=sys.stderr)
            rows = [r for r in rows if (r.strategy, r.system) != (strategy, name)] + [row]
            args.json.write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    sys.exit(0 if show(rows) else 1)


if __name__ == "__main__":
    main()
