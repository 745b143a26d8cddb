"""PET, of metatrain: not constrained to rotate as it should, and augmented by random rotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from pet_batches import Batches, random_orientations
from pet_step import Energies, predict, step

from pet_flows.engines.pet import PETRaw
from rivals import CUTOFF, Trained
from rivals.data import baseline
from rivals.fixed import new_model, save
from rivals.loop import fit

NEEDS = "metatrain.pet"
ABOUT = "2 layers, d_pet 32, Muon 0.006 and Adam 0.0015"
HYPERS = {
    "cutoff": CUTOFF, "cutoff_width": 0.5, "d_pet": 32, "d_node": 64, "d_head": 32,
    "d_feedforward": 64, "num_heads": 2, "num_attention_layers": 1, "num_gnn_layers": 2,
}  # fmt: skip
#: factor on the slope of the first layer: with the usual one, directions are told apart late
GAIN = 3.0
#: learning rates
MUON, ADAM = 6e-3, 1.5e-3


def build(fixed: dict[int, float]) -> Any:
    """The model, with the baseline fixed."""
    from metatrain.pet import PET

    pet = new_model(PET, "pet", HYPERS, fixed)
    with torch.no_grad():
        for layer in pet.backend.gnn_layers:
            layer.edge_embedder.weight *= GAIN
    return pet


def optimizers(model: Energies) -> list[tuple[torch.optim.Optimizer, float]]:
    """Muon for hidden matrices, Adam for the others, with their highest rates."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, p in model.named_parameters():
        hidden = p.ndim == 2 and min(p.shape) > 4 and "embed" not in name
        (matrices if hidden else others).append(p)
    return [
        (torch.optim.Muon(matrices, lr=MUON, weight_decay=0.0), MUON),
        (torch.optim.Adam(others, lr=ADAM, betas=(0.9, 0.98)), ADAM),
    ]


def validation_errors(model: Energies, held: Batches) -> tuple[float, float]:
    """Mean absolute errors, eV/atom and eV/Å."""
    energies, forces = [], []
    for k, (n, width) in enumerate(zip(held.sizes, held.widths, strict=True)):
        batch = held.take(np.array([k]), int(n), int(width), 1, np.eye(3)[None])
        energy, force, _ = predict(model, batch, differentiable=False)
        energies.append((energy - batch["energy"]).detach().abs() / int(n))
        forces.append((force - batch["forces"]).abs().ravel())
    return float(torch.cat(energies).mean()), float(torch.cat(forces).mean())


def train(
    training: list[Atoms], validation: list[Atoms], seconds: float, out: Path, seed: int
) -> Trained:
    """Train with every structure in a random orientation; what is left is a checkpoint."""
    torch.manual_seed(seed)
    pet = build(baseline(training))
    raw = PETRaw(pet.export())
    pet.train()
    model = Energies(pet)
    known = Batches(training, raw)
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)  # which the export took away
    rng = np.random.default_rng(seed)

    def gradients(which: np.ndarray, weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        turns = random_orientations(len(which), rng)
        rows, width = int(known.sizes[which].sum()), int(known.widths[which].max())
        batch = known.take(which, rows, width, len(which), turns)
        return step(model, [*parameters], batch, weights)[1:]

    steps, used = fit(parameters, optimizers(model), gradients, known.sizes, seconds, rng)
    errors = validation_errors(model, Batches(validation, raw))
    file = (out / "pet.ckpt").resolve()
    save(pet, steps, file)
    return Trained(str(file), sum(p.numel() for p in parameters), steps, used, errors)
