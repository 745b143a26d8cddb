"""Potentials of other families beside their own calculators: time of an evaluation, and rotations.

    OMP_NUM_THREADS=1 python benchmarks/families.py [--model sevenn:7net-0]

Rattled supercells of silicon (64 atoms) are evaluated one by one, three times in alternation:
medians of the CPU time. A rattled crystal of eight atoms is rotated 24 times: how much its energy
and its rotated forces change at most.
"""

from __future__ import annotations

import argparse
from statistics import median
from time import process_time

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from scipy.spatial.transform import Rotation

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.models.spec import PotentialSpec


def own_calculator(model: str) -> Calculator:
    """As the potential's own package makes it."""
    family, name = model.split(":")
    if family == "sevenn":
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(name, device="cpu")
    from chgnet.model import CHGNet, CHGNetCalculator

    return CHGNetCalculator(CHGNet.load(model_name=name, verbose=False), use_device="cpu")


def supercells() -> list[Atoms]:
    """Four of 64 atoms."""
    found = []
    for seed in range(4):
        atoms = bulk("Si", cubic=True) * (2, 2, 2)
        atoms.rattle(0.02, seed=seed)
        found.append(atoms)
    return found


def seconds(calculator: Calculator) -> float:
    """CPU time for an atom."""
    total, n = 0.0, 0
    for atoms in supercells():
        atoms.calc = calculator
        start = process_time()
        atoms.get_forces()
        total += process_time() - start
        n += len(atoms)
    return total / n


def changes(calculator: Calculator) -> tuple[float, float]:
    """Of energy, eV/atom, and forces, eV/Å, under rotations."""
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.1, seed=1)
    atoms.calc = calculator
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    worst = np.zeros(2)
    for rotation in Rotation.random(24, random_state=0).as_matrix():
        turned = atoms.copy()
        turned.set_cell(atoms.cell.array @ rotation)
        turned.positions = atoms.positions @ rotation
        turned.calc = calculator
        change = abs(turned.get_potential_energy() - energy) / len(atoms)
        worst = np.maximum(worst, [change, abs(turned.get_forces() - forces @ rotation).max()])
    return float(worst[0]), float(worst[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", action="append")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| | ms for an atom | energy, eV/atom | forces, eV/Å |\n|---|---:|---|---|")
    for model in args.model or ["sevenn:7net-0", "chgnet:0.3.0"]:
        plain = PotentialSpec(model=model, symmetrization="none")
        single = plain.model_copy(update={"dtype": "float32"})
        calculators: dict[str, Calculator] = {
            f"`{model}`, float64": SymmetrizedCalculator(plain),
            "float32": SymmetrizedCalculator(single),
            "its own calculator": own_calculator(model),
        }
        times: dict[str, list[float]] = {kind: [] for kind in calculators}
        found = {kind: changes(calculator) for kind, calculator in calculators.items()}
        for _ in range(3):
            for kind, calculator in calculators.items():
                times[kind].append(seconds(calculator))
        for kind, own in times.items():
            energy, forces = found[kind]
            print(f"| {kind} | {1e3 * median(own):.2f} | {energy:.0e} | {forces:.0e} |")


if __name__ == "__main__":
    main()
