"""PaiNN, of schnetpack: messages of vectors (Schütt, Unke and Gastegger 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from pet_flows.engines.edges import Edges
from rivals import CUTOFF, Trained
from rivals.edges import Energies, Facts, train_and_save

NEEDS = "schnetpack"
ABOUT = "3 interactions, 48 features, 20 radial functions, Adam 0.003"
RATE = 3e-3


def build(facts: Facts, seed: int) -> Any:
    """Representation and output layers, in the default dtype."""
    from pet_flows.engines.foreign import process_as_it_is

    dtype = torch.get_default_dtype()
    with process_as_it_is(dtype):
        from schnetpack.atomistic import Atomwise
        from schnetpack.nn import CosineCutoff, GaussianRBF
        from schnetpack.representation import PaiNN

        torch.set_default_dtype(torch.float32)  # GaussianRBF knows no other
        torch.manual_seed(seed)
        radial = GaussianRBF(n_rbf=20, cutoff=CUTOFF)
        representation = PaiNN(48, 3, radial, CosineCutoff(CUTOFF))
        per_atom = Atomwise(48, aggregation_mode=None, per_atom_output_key="energies")
        return torch.nn.Sequential(representation, per_atom).to(dtype)


def energies(facts: Facts) -> Energies:
    """Its atomic energies."""

    def per_atom(model: Any, edges: Edges) -> torch.Tensor:
        given = {
            "_atomic_numbers": edges.numbers, "_Rij": edges.vectors,
            "_idx_i": edges.first, "_idx_j": edges.second,
        }  # fmt: skip
        return model(given)["energies"].reshape(-1)

    return per_atom


def train(
    training: list[Atoms], validation: list[Atoms], seconds: float, out: Path, seed: int
) -> Trained:
    """Train by Adam."""
    return train_and_save("painn", training, validation, seconds, out, seed)
