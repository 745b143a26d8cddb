"""NequIP, by its own package: messages of tensors up to l = 1 or 2 (Batzner et al. 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import chemical_symbols

from pet_flows.engines.edges import Edges
from rivals import CUTOFF, Trained
from rivals.edges import Energies, Facts, train_and_save

NEEDS = "nequip"
ABOUT = "2 layers, l ≤ 2, 32 features each, Adam 0.01"
RATE = 1e-2
SIZE = {
    "num_layers": 2, "l_max": 2, "parity": False, "num_features": 32, "radial_mlp_width": 32,
    "type_embed_num_features": 16, "num_bessels": 8,
}  # fmt: skip


def build(facts: Facts, seed: int) -> Any:
    """The model, in the default dtype, without derivatives of its own."""
    from pet_flows.engines.foreign import process_as_it_is

    dtype = torch.get_default_dtype()
    with process_as_it_is(dtype):
        from nequip.model import NequIPGNNModel
        from nequip.utils.global_state import set_global_state

        set_global_state()
        torch.set_default_dtype(dtype)  # which that changed
        return NequIPGNNModel(
            seed=seed,
            model_dtype=str(dtype).removeprefix("torch."),
            type_names=[chemical_symbols[z] for z in facts.elements],
            r_max=CUTOFF,
            avg_num_neighbors=facts.neighbours,
            per_type_energy_scales=1.0,
            per_type_energy_shifts=0.0,
            do_derivatives=False,
            **SIZE,
        )


def energies(facts: Facts) -> Energies:
    """Its atomic energies."""

    def per_atom(model: Any, edges: Edges) -> torch.Tensor:
        found = model(
            {
                "pos": edges.vectors.new_zeros(len(edges.numbers), 3),
                "edge_index": torch.stack([edges.first, edges.second]),
                "edge_vectors": edges.vectors,
                "atom_types": facts.places(edges.numbers),
            }
        )
        return found["atomic_energy"][:, 0].to(edges.vectors.dtype)

    return per_atom


def train(
    training: list[Atoms], validation: list[Atoms], seconds: float, out: Path, seed: int
) -> Trained:
    """Train by Adam."""
    return train_and_save("nequip", training, validation, seconds, out, seed)
