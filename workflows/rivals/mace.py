"""MACE, by its own package: products of messages up to many-body order 4 (Batatia et al. 2022)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms

from pet_flows.engines.edges import Edges
from pet_flows.engines.foreign import process_as_it_is
from pet_flows.engines.raw import default_dtype
from rivals import CUTOFF, Trained
from rivals.edges import Energies, Facts, facts_of, optimize

NEEDS = "mace"
ABOUT = "2 layers, 32x0e + 32x1o, l ≤ 2, correlation 3, Adam 0.01"
RATE = 1e-2


def build(facts: Facts, seed: int, fixed: bool = False) -> Any:
    """The model, in the default dtype; with baseline and scale only if ``fixed``."""
    dtype = torch.get_default_dtype()
    with process_as_it_is(dtype):
        # first, since its import lets e3nn 0.4.4 read its own constants
        from mace.modules import ScaleShiftMACE, gate_dict, interaction_classes  # isort: skip
        from e3nn import o3

        torch.set_default_dtype(dtype)
        torch.manual_seed(seed)
        baseline = np.array(list(facts.baseline.values()))
        residual = interaction_classes["RealAgnosticResidualInteractionBlock"]
        return ScaleShiftMACE(
            r_max=CUTOFF,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls=residual,
            interaction_cls_first=residual,
            num_interactions=2,
            num_elements=len(baseline),
            hidden_irreps=o3.Irreps("32x0e + 32x1o"),
            MLP_irreps=o3.Irreps("16x0e"),
            atomic_energies=baseline if fixed else 0 * baseline,
            avg_num_neighbors=facts.neighbours,
            atomic_numbers=facts.elements,
            correlation=3,
            gate=gate_dict["silu"],
            radial_MLP=[32, 32],
            atomic_inter_scale=facts.scale if fixed else 1.0,
            atomic_inter_shift=0.0,
        )


def energies(facts: Facts) -> Energies:
    """Its atomic energies; all atoms at one place, it is the shifts that are the edges."""

    def per_atom(model: Any, edges: Edges) -> torch.Tensor:
        n, dtype = len(edges.numbers), edges.vectors.dtype
        kinds = facts.places(edges.numbers)
        found = model(
            {
                "positions": edges.vectors.new_zeros(n, 3),
                "node_attrs": torch.nn.functional.one_hot(kinds, len(facts.elements)).to(dtype),
                "edge_index": torch.stack([edges.second, edges.first]),
                "shifts": -edges.vectors,
                "unit_shifts": torch.zeros_like(edges.vectors),
                "cell": torch.zeros(3, 3, dtype=dtype),
                "batch": torch.zeros(n, dtype=torch.long),
                "ptr": torch.tensor([0, n]),
            },
            compute_force=False,
        )
        return found["node_energy"].to(dtype)

    return per_atom


def train(
    training: list[Atoms], validation: list[Atoms], seconds: float, out: Path, seed: int
) -> Trained:
    """Train by Adam; what is left is a model file like those of MACE itself."""
    facts = facts_of(training)
    model = build(facts, seed)
    steps, used, errors, n = optimize(
        model, energies(facts), facts, training, validation, seconds, seed, RATE
    )  # fmt: skip
    with default_dtype(torch.float64):
        whole = build(facts, seed, fixed=True)
    own = ("atomic_energies_fn.", "scale_shift.")
    state = {k: v for k, v in model.state_dict().items() if not k.startswith(own)}
    whole.load_state_dict({**whole.state_dict(), **state})
    file = (out / "mace.model").resolve()
    torch.save(whole, file)
    return Trained(f"mace:{file}", n, steps, used, errors)
