"""Train a PET on the orientations that one symmetrization shows it, and on no others.

    python workflows/train_canonical.py DATA --element Si --frames crystal:orientation --out runs/si
    python workflows/train_canonical.py DATA --element Si --frames any --out runs/si-any

An experiment beside `train_pet_compiled.py`, on one element of its data: ``crystal`` and
``crystal:orientation`` show a model one frame or a few of each crystal, so that one meant for them
need not learn the others. Frames are those that the strategy itself finds for each training
structure. The file says for what it was trained, and is refused elsewhere.
`benchmarks/canonical.py` measures what came of it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import write
from metatomic.torch import ModelMetadata
from metatrain.utils.metadata import merge_metadata
from mvl_data import load, split
from pet_batches import Batches
from pet_step import Energies
from train_pet_compiled import HYPERS, Run, any_rotation, new_model, repeats, train

from pet_flows.engines.pet import PETRaw
from pet_flows.symmetrization.strategies import parse_strategy


class Frames:
    """Orientations in which a strategy shows structures to a model.

    Parameters
    ----------
    structures
        Those that `which` counts.
    symmetrization
        Spec of a strategy whose frames serve all atoms of a structure.
    """

    def __init__(self, structures: list[Atoms], symmetrization: str):
        strategy = parse_strategy(symmetrization).configure(
            float(HYPERS["cutoff"]), int(HYPERS["num_gnn_layers"]) + 1
        )
        self.rotations: list[np.ndarray] = []
        for atoms in structures:
            plan = strategy.bind(atoms).plan(
                torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell.array)
            )
            if len(plan.rotations) > 1 and float(plan.weights.std(1).max()) > 1e-12:
                raise ValueError(f"{symmetrization} gives atoms frames of their own: no use here.")
            self.rotations.append(plan.rotations.detach().numpy())

    def __call__(self, which: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One of the orientations ``(S, 3, 3)`` of each of some structures ``(S,)``."""
        shown = [self.rotations[s] for s in which]
        return np.stack([each[rng.integers(len(each))] for each in shown])


def turned(atoms: Atoms, rotation: np.ndarray) -> Atoms:
    """A structure with its labels in another orientation."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ rotation, scale_atoms=False)
    copy.positions = atoms.positions @ rotation
    copy.arrays["ref_forces"] = atoms.arrays["ref_forces"] @ rotation
    stress = np.reshape(atoms.info["ref_stress"], (3, 3))
    copy.info["ref_stress"] = rotation.T @ stress @ rotation
    return copy


def trained_on(frames: str, metadata: ModelMetadata) -> ModelMetadata:
    """Metadata of a model that says so, by which it is refused under other symmetrizations."""
    return merge_metadata(metadata, ModelMetadata(extra={"frames": frames}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with mlearn_*.extxyz.gz")
    parser.add_argument("--element", required=True, help="whose structures are trained on")
    parser.add_argument("--frames", default="any", help="any, crystal or crystal:orientation")
    parser.add_argument("--minutes", type=float, default=3.0, help="of the CPU, to train for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    group = f"mlearn_{args.element}"
    structures = [a for a in load(args.data) if a.info["group"].startswith(group)]
    training, validation = split(structures)
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "validation.extxyz", validation)
    pet = new_model(training)
    raw = PETRaw(pet.export())
    pet.train()
    held, frames = validation, any_rotation
    if args.frames != "any":
        frames = Frames(training, args.frames)
        first = [rotations[0] for rotations in Frames(validation, args.frames).rotations]
        held = [turned(*pair) for pair in zip(validation, first, strict=True)]
        pet.metadata = trained_on(args.frames, pet.metadata)
    run = Run(Energies(pet))
    run.rng = np.random.default_rng(args.seed)
    train(run, Batches(training, raw), repeats(training), Batches(held, raw), 60 * args.minutes,
          args.out / "state.pt", time.process_time, frames)  # fmt: skip
    run.write(pet, args.out / "model.ckpt")


if __name__ == "__main__":
    main()
