"""Errors of models trained on the frames of one symmetrization, under each symmetrization.

    python workflows/train_canonical.py DATA --element Mo --frames any --out runs/Mo-any
    python workflows/train_canonical.py DATA --element Mo --frames crystal --out runs/Mo-c
    python benchmarks/canonical.py runs/Mo-any runs/Mo-c

For each folder the model is measured on the validation structures beside it, in float32: under
`none` as the files have them and each turned at random, as other strategies would show them, under
`crystal:orientation`, and on a few, because they take many evaluations of a rattled cell, under
`crystal` and, where `--ecse` says on how many, `ecse`. Mean absolute errors of energies (meV/atom)
and forces (eV/Å). Strategies that a model is refused under are measured all the
same: that is what the table is for.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read
from scipy.spatial.transform import Rotation

from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.load import load_model
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec


def errors(potential: Potential, structures: list[Atoms]) -> tuple[float, float]:
    """Mean absolute errors, meV/atom and eV/Å."""
    energies, forces = [], []
    for atoms in structures:
        (found,) = potential.evaluator.evaluate([System.of(atoms, potential.bind(atoms))])
        energies.append(abs(found.energy - atoms.info["ref_energy"]) / len(atoms))
        forces.append(np.abs(found.forces - atoms.arrays["ref_forces"]).ravel())
    return 1e3 * float(np.mean(energies)), float(np.concatenate(forces).mean())


def turned(structures: list[Atoms]) -> list[Atoms]:
    """The same in random orientations, reflections among them."""
    rotations = Rotation.random(len(structures), random_state=0).as_matrix()
    rotations[::2] *= -1
    found = []
    for atoms, rotation in zip(structures, rotations, strict=True):
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ rotation)
        copy.positions = atoms.positions @ rotation
        copy.arrays["ref_forces"] = atoms.arrays["ref_forces"] @ rotation
        found.append(copy)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="what train_canonical.py wrote")
    parser.add_argument("--structures", type=int, default=100, help="at most so many")
    parser.add_argument("--few", type=int, default=2, help="at most so many under crystal")
    parser.add_argument("--ecse", type=int, default=0, help="at most so many under ecse")
    args = parser.parse_args()

    print("| model | frames | none | none, turned | crystal:orientation | crystal | ecse |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for folder in args.folders:
        path = str(folder / "model.ckpt")
        spec = PotentialSpec(model=path, symmetrization="none", dtype="float32", device="cpu")
        found = resolve(spec, trust=True)
        frames = load_model(found).metadata().extra.get("frames") or "any"
        usual = found if frames == "any" else found.with_(symmetrization=frames)
        raw = get_potential(usual).raw
        structures: list[Atoms] = list(read(folder / "validation.extxyz", ":"))
        structures = structures[: args.structures]
        cells = []
        for strategy, few in (
            ("none", structures),
            ("none", turned(structures)),
            ("crystal:orientation", structures),
            ("crystal", structures[: args.few]),
            ("ecse", structures[: args.ecse]),
        ):
            if not few:
                cells.append("")
                continue
            potential = Potential(found.with_(symmetrization=strategy), raw)
            energy, force = errors(potential, few)
            cells.append(f"{energy:.0f} · {force:.3f}")
        print(f"| {folder.name} | `{frames}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
