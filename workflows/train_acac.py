"""Train a small PET on acetylacetone at 300 K, for ``benchmarks/acac.py``.

The data are 500 molecules (Batatia et al., BOTNet-datasets, 2022; PBE-D3/def2-SVP). 50 of them,
drawn with a fixed seed, are kept for the benchmark and never seen here; of the other 450, 20 only
tell which epoch was the best. Energies are total: metatrain fits the atomic baseline itself.

    python workflows/train_acac.py acac_300K.extxyz.gz --out runs/acac
    python benchmarks/acac.py runs/acac/acac.ckpt acac_300K.extxyz.gz

leaves ``<out>/acac.ckpt`` behind (and the exported ``.pt``).
"""

from __future__ import annotations

import argparse
import gzip
import io
import random
import sys
from pathlib import Path

from ase import Atoms
from ase.io import read
from metatrain_run import train

OPTIONS = Path(__file__).resolve().parents[1] / "configs" / "train_acac.yaml"
N_TEST = 50
N_VALIDATION = 20


def load(file: Path) -> list[Atoms]:
    """Molecules with ``ref_energy`` (eV) and ``ref_forces`` (eV/Å), in the order of the file."""
    with gzip.open(file, "rt") if file.suffix == ".gz" else open(file) as stream:
        frames = read(io.StringIO(stream.read()), ":", format="extxyz")
    molecules = []
    for frame in frames:
        atoms = Atoms(frame.numbers, positions=frame.positions)
        atoms.info["ref_energy"] = float(frame.calc.results["energy"])
        atoms.arrays["ref_forces"] = frame.calc.results["forces"]
        molecules.append(atoms)
    return molecules


def split(
    molecules: list[Atoms], seed: int = 0
) -> tuple[list[Atoms], list[Atoms], list[Atoms]]:  # fmt: skip
    """(training, validation, test); the test set depends on the seed alone."""
    order = list(range(len(molecules)))
    random.Random(seed).shuffle(order)
    shuffled = [molecules[i] for i in order]
    seen = shuffled[N_TEST:]
    return seen[N_VALIDATION:], seen[:N_VALIDATION], shuffled[:N_TEST]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="acac_300K.extxyz.gz")
    parser.add_argument("--out", type=Path, default=Path("runs/acac"))
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--restart", type=Path, help="checkpoint to continue from")
    args = parser.parse_args()

    training, validation, test = split(load(args.data))
    print(f"{len(training)} training, {len(validation)} validation, {len(test)} kept for the test")
    overrides = {"device": args.device, "architecture.training.num_epochs": args.epochs}
    sys.exit(train(args.out, training, validation, OPTIONS, "acac", overrides, args.restart))


if __name__ == "__main__":
    main()
