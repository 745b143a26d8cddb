"""What it costs that the C library gives freed memory back between evaluations on a CPU.

    OMP_NUM_THREADS=1 python benchmarks/heap.py [--model pet-mvl]

Supercells of silicon (216 atoms; 64 of other models) are evaluated one by one, in a process as ours
are and in one with glibc's own setting, three times in alternation: medians of the CPU time of user
and system, and page faults.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import numpy as np

CHILD = """
import resource, sys, torch
from ase.build import bulk
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.models.spec import PotentialSpec

torch.set_num_threads(1)
model = sys.argv[1]
potential = get_potential(PotentialSpec(model=model, symmetrization="none", dtype="float64"))
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


def measured(model: str, environment: dict[str, str]) -> list[float]:
    """CPU seconds of user and system and page faults for an atom."""
    command = [sys.executable, "-c", CHILD, model]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return [float(word) for word in done.stdout.split()[-3:]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pet-mvl")
    args = parser.parse_args()
    kinds: dict[str, dict[str, str]] = {
        "ours": {},
        # any setting of the user's leaves glibc as it is; this one is its own default
        "glibc's own": {"MALLOC_ARENA_TEST_": "8"},
    }
    runs: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for _ in range(3):
        for name, environment in kinds.items():
            runs[name].append(measured(args.model, environment))
    print("| | user, ms/atom | system, ms/atom | page faults per atom |")
    print("|---|---:|---:|---:|")
    for name, own in runs.items():
        user, system, faults = np.median(own, axis=0)
        print(f"| {name} | {1e3 * user:.3f} | {1e3 * system:.3f} | {faults:.0f} |")


if __name__ == "__main__":
    main()
