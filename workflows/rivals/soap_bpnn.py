"""soap-bpnn, of metatrain: power spectra of neighbour densities into a small network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase import Atoms

from pet_flows.engines.edges import Edges
from rivals import CUTOFF, Trained
from rivals.edges import Energies, Facts, facts_of, optimize
from rivals.fixed import new_model, save

NEEDS = "sphericart.torch"
ABOUT = "l ≤ 4, 6 radial functions, 2 layers of 64, Adam 0.003"
RATE = 3e-3
HYPERS: dict[str, Any] = {
    "legacy": False,
    "soap": {"max_angular": 4, "max_radial": 6, "cutoff": {"radius": CUTOFF, "width": 0.5}},
    "bpnn": {"num_hidden_layers": 2, "num_neurons_per_layer": 64, "layernorm": True},
}


def build(facts: Facts) -> Any:
    """The model, with the baseline fixed."""
    from metatrain.soap_bpnn import SoapBpnn

    return new_model(SoapBpnn, "soap_bpnn", HYPERS, facts.baseline)


def last_layer(model: Any) -> torch.nn.Linear:
    """What makes an energy of an atom's features."""
    (layer,) = model.last_layers["energy"].values()
    return layer.module_map.module_list[0]


def energies(facts: Facts) -> Energies:
    """Its atomic energies: what the model's own ``forward`` does, of edges."""

    def per_atom(model: Any, edges: Edges) -> torch.Tensor:
        kinds = model.species_to_species_index[edges.numbers]
        atoms = torch.arange(len(kinds))
        soap = model.soap_calculator(
            edges.vectors, edges.first, edges.second, kinds, torch.zeros_like(atoms), atoms
        )
        features = soap.block(0).values * model.center_encoding(kinds)
        features = model.bpnn_for_tensors(model.layernorm_for_tensors(features))
        return last_layer(model)(features)[:, 0]

    return per_atom


def train(
    training: list[Atoms], validation: list[Atoms], seconds: float, out: Path, seed: int
) -> Trained:
    """Train by Adam; what is left is a checkpoint of metatrain."""
    facts = facts_of(training)
    torch.manual_seed(seed)
    model = build(facts)
    steps, used, errors, n = optimize(
        model, energies(facts), facts, training, validation, seconds, seed, RATE
    )  # fmt: skip
    with torch.no_grad():
        for parameter in last_layer(model).parameters():
            parameter.mul_(facts.scale)
    file = (out / "soap_bpnn.ckpt").resolve()
    save(model, steps, file)
    return Trained(str(file), n, steps, used, errors)
