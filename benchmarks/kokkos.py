"""Our evaluation of PET beside pet-kokkos, a C++ implementation without PyTorch, on one CPU thread.

    pip install --target OTHER --no-deps pet-kokkos safetensors
    pip download --no-deps --no-binary :all: pet-kokkos        # its tools/convert_pet.py, unpacked
    OMP_NUM_THREADS=1 python benchmarks/kokkos.py --site OTHER --converter convert_pet.py

Random weights, of the bundled model's size and of metatrain's default width; energies, forces and
stresses of the same structures without symmetrization, neighbours included, in alternation; the
medians of five. Its published wheels compute in float32, with sums in float64. It is given each
cell anew, as its Python interface takes them; it has no gradients of energies weighted by atom,
which `ecse` needs.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.models.spec import PotentialSpec
from tests.rough import build_pet, save_checkpoint

WIDE = {"d_pet": 128, "d_node": 256, "d_head": 128, "d_feedforward": 256, "num_heads": 8,
        "num_attention_layers": 2}  # fmt: skip
SIZES: dict[str, dict[str, int]] = {"d_pet 32, 1 attention layer": {}, "d_pet 128, 2": WIDE}


def cases() -> dict[str, list[Atoms]]:
    """Rattled crystals, one or a batch."""
    rng = np.random.default_rng(0)
    cube = bulk("Si", cubic=True)
    found = {
        "1 × 2 atoms": [bulk("Si")],
        "1 × 64 atoms": [cube * (2, 2, 2)],
        "1 × 512 atoms": [cube * (4, 4, 4)],
        "63 × 2 to 4 atoms": [
            atoms
            for _ in range(21)
            for atoms in (bulk("Si"), bulk("Cu", cubic=True), bulk("Mo", cubic=True) * (1, 1, 2))
        ],
    }
    for structures in found.values():
        for atoms in structures:
            atoms.rattle(0.05, rng=rng)
    return found


def seconds(*calls: Callable[[], Any]) -> list[float]:
    """CPU seconds of each, medians of five in alternation."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(5):
        for call, own in zip(calls, taken, strict=True):
            start = time.process_time()
            call()
            own.append(time.process_time() - start)
    return [float(np.median(own)) for own in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, required=True, help="where it was installed")
    parser.add_argument("--converter", type=Path, required=True, help="its tools/convert_pet.py")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sys.path.append(str(args.site))
    import pet_kokkos

    print("| PET | structures | ours, float32, ms | ours, float64 | pet-kokkos | ours / pet-kokkos "
          "| energies and forces differ by (eV/atom, eV/Å) |")  # fmt: skip
    print("|---|---|---:|---:|---:|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for number, (size, hypers) in enumerate(SIZES.items()):
            prefix = Path(folder) / str(number)
            path = save_checkpoint(
                prefix.with_suffix(".ckpt"), module=build_pet(types=(14, 29, 42), **hypers)
            )
            command = [sys.executable, args.converter, "--ckpt", path, "--out", prefix]
            environment = {**os.environ, "PYTHONPATH": str(args.site)}
            subprocess.run(command, env=environment, check=True, capture_output=True)
            other = pet_kokkos.Calculator(str(prefix))
            for name, structures in cases().items():
                print(f"| {size} | {name} | {row(str(path), other, structures)} |", flush=True)


def row(model: str, other: Any, structures: list[Atoms]) -> str:
    """Milliseconds of ours in either precision and of the other, ratios, differences."""
    specs = [PotentialSpec(model=model, symmetrization="none", dtype=dtype)
             for dtype in ("float32", "float64")]  # fmt: skip
    single, double = (get_potential(spec, trust=True) for spec in specs)
    systems = [System.of(atoms, single.bind(atoms)) for atoms in structures]
    given = [(a.numbers, a.positions, a.cell.array, True) for a in structures]
    found = zip(double.evaluator.evaluate(systems), other.compute_batch(given), strict=True)
    energy, forces = np.max(
        [
            (abs(a.energy - b["energy"]) / len(b["forces"]), np.abs(a.forces - b["forces"]).max())
            for a, b in found
        ],
        axis=0,
    )
    a, b, c = seconds(
        partial(single.evaluator.evaluate, systems),
        partial(double.evaluator.evaluate, systems),
        partial(other.compute_batch, given),
    )
    times = " | ".join(f"{1e3 * each:.1f}" for each in (a, b, c))
    return f"{times} | {a / c:.2f}, {b / c:.2f} | {energy:.0e}, {forces:.0e}"


if __name__ == "__main__":
    main()
