"""What it costs that the C library gives freed memory back between evaluations on a CPU.

    OMP_NUM_THREADS=1 python benchmarks/heap.py [--model pet-mvl]

Supercells of silicon (216 atoms; 64 of other models) are evaluated one by one, in a process as ours
are and in one with glibc's own setting, three times in alternation: medians of the CPU time of user
and system, and page faults.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import numpy as np

CHILD = """
import resource, sys, torch
from ase.build import bulk
from pet_flows.engines import potential
from pet_flows.engines.evaluation import System
from pet_flows.models.spec import PotentialSpec

torch.set_num_threads(1)
model, kind = sys.argv[1:]
if kind != "ours":
    potential.keep_freed = lambda: False
spec = PotentialSpec(model=model, symmetrization="none", dtype="float64")
potential = potential.get_potential(spec)
systems = []
for seed in range(8):
    atoms = bulk("Si", cubic=True) * ((3,) * 3 if model == "pet-mvl" else (2,) * 3)
    atoms.rattle(0.01, seed=seed)
    systems.append(System.of(atoms, potential.bind(atoms)))
potential.evaluator.evaluate(systems[:1])
before = resource.getrusage(resource.RUSAGE_SELF)
for system in systems:
    potential.evaluator.evaluate([system])
after = resource.getrusage(resource.RUSAGE_SELF)
n = sum(map(len, systems))
print((after.ru_utime - before.ru_utime) / n, (after.ru_stime - before.ru_stime) / n,
      (after.ru_minflt - before.ru_minflt) / n)
"""


def measured(model: str, kind: str) -> list[float]:
    """CPU seconds of user and system and page faults for an atom."""
    command = [sys.executable, "-c", CHILD, model, kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()[-3:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pet-mvl")
    args = parser.parse_args()
    runs: dict[str, list[list[float]]] = {"ours": [], "glibc's own": []}
    for _ in range(3):
        for kind, own in runs.items():
            own.append(measured(args.model, kind))
    print("| | user, ms/atom | system, ms/atom | page faults per atom |")
    print("|---|---:|---:|---:|")
    for name, own in runs.items():
        user, system, faults = np.median(own, axis=0)
        print(f"| {name} | {1e3 * user:.3f} | {1e3 * system:.3f} | {faults:.0f} |")


if __name__ == "__main__":
    main()
