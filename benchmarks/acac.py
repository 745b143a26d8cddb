"""The seed paper's claim on acetylacetone: exact symmetrization at no loss of accuracy.

    python workflows/train_acac.py acac_300K.extxyz.gz --out runs/acac
    python benchmarks/acac.py runs/acac/acac.ckpt acac_300K.extxyz.gz --json acac.json

On the 50 molecules that ``workflows/train_acac.py`` keeps aside: errors against DFT of a PET
trained with rotational augmentation, plain and symmetrized, every molecule in random
orientations, and the spread of the results between the orientations (zero for ecse).
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

import numpy as np
import torch
from ase import Atoms
from symmetry_cases import evaluator, trained, turned, turns

from pet_flows.engines.evaluation import System
from pet_flows.engines.raw import RawModel

#: groups after each frame (``ecse:tetrahedral``) cost twelve or sixty times as much: ask for them
STRATEGIES = ("none", "grid:icosahedral", "ecse", "ecse:structure", "ecse:atom")


@dataclass(frozen=True)
class Row:
    """Errors of one strategy over all molecules and orientations."""

    strategy: str
    evaluations: float
    """mean number per molecule"""
    milliseconds: float
    """CPU time per molecule"""
    force_mae: float
    """meV/Å"""
    force_rmse: float
    """meV/Å"""
    energy_mae: float
    """meV per molecule, after the mean difference is taken off"""
    energy_rmse: float
    """meV per molecule, likewise"""
    energy_spread: float
    """meV per molecule, rms deviation from the mean over orientations"""
    force_spread: float
    """meV/Å, likewise"""


def measure(raw: RawModel, strategy: str, molecules: list[Atoms], n_turns: int) -> Row:
    """One strategy on all molecules, in ``n_turns`` orientations each."""
    engine = evaluator(raw, strategy)
    energies = np.zeros((len(molecules), n_turns))
    forces = np.zeros((len(molecules), n_turns, len(molecules[0]), 3))
    evaluations, start = [], time.process_time()
    for m, molecule in enumerate(molecules):
        matrices = turns(n_turns, seed=m)
        systems = [System.of(a, engine.bind(a)) for a in (turned(molecule, q) for q in matrices)]
        for t, found in enumerate(engine.evaluate(systems)):
            energies[m, t] = found.energy
            forces[m, t] = found.forces @ matrices[t].T
            evaluations.append(found.n_evaluations)
    elapsed = time.process_time() - start
    true_energies = np.array([a.info["ref_energy"] for a in molecules])
    true_forces = np.array([a.arrays["ref_forces"] for a in molecules])
    # one composition: the atomic baseline is a constant, and only differences mean something
    off = energies - true_energies[:, None]
    off = off - off.mean()
    wrong = forces - true_forces[:, None]
    return Row(
        strategy=strategy,
        evaluations=float(np.mean(evaluations)),
        milliseconds=1e3 * elapsed / energies.size,
        force_mae=1e3 * float(np.abs(wrong).mean()),
        force_rmse=1e3 * _rms(wrong),
        energy_mae=1e3 * float(np.abs(off).mean()),
        energy_rmse=1e3 * _rms(off),
        energy_spread=1e3 * _rms(energies - energies.mean(1, keepdims=True)),
        force_spread=1e3 * _rms(forces - forces.mean(1, keepdims=True)),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [
        "| strategy | evals | ms | F MAE | F RMSE | E MAE | E RMSE | E spread | F spread |",
        "|---|" + "---:|" * 8,
    ]
    for r in rows:
        lines.append(
            f"| {r.strategy} | {r.evaluations:.0f} | {r.milliseconds:.0f} | {r.force_mae:.2f} "
            f"| {r.force_rmse:.2f} | {r.energy_mae:.2f} | {r.energy_rmse:.2f} "
            f"| {r.energy_spread:.1e} | {r.force_spread:.1e} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="checkpoint of workflows/train_acac.py")
    parser.add_argument("data", type=Path, help="acac_300K.extxyz.gz")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--molecules", type=int, default=50, help="the first of the 50")
    parser.add_argument("--turns", type=int, default=2, help="orientations of each")
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflows"))
    from train_acac import load, split

    test = split(load(args.data))[2][: args.molecules]
    raw, spec = trained(args.model, args.dtype, trust=True)
    rows = []
    for strategy in args.strategies:
        rows.append(measure(raw, strategy, test, args.turns))
        print(f"{strategy} done", file=sys.stderr, flush=True)
    print(
        f"{len(test)} molecules in {args.turns} orientations, {args.dtype}; "
        "meV/Å, meV per molecule, CPU ms per molecule\n"
    )
    print(table(rows))
    if args.json is not None:
        report = {"sha256": spec.sha256, "dtype": args.dtype, "molecules": len(test),
                  "turns": args.turns, "rows": [asdict(row) for row in rows]}  # fmt: skip
        args.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
