"""One step of training PET: energies, forces, virials, and the gradient of their errors.

Forces are a gradient, so that the gradient of their error goes through the model twice; traced to
plain tensor operations first, all of it is compiled as one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

Batch = dict[str, torch.Tensor]
"""what ``mvl_data.Batches.take`` gives"""


class Energies(torch.nn.Module):
    """Energy of each structure, without terms that are not trained, as a function of edges."""

    def __init__(self, pet: Any):
        super().__init__()
        self.backend = pet.backend

    def forward(self, batch: Batch) -> torch.Tensor:
        """``(S,)`` eV, for what :meth:`Batches.take` gives."""
        from metatrain.pet.modules.utilities import cutoff_func_bump

        backend, mask, edges = self.backend, batch["mask"], batch["edges"]
        distances = torch.sqrt((edges**2).sum(-1) + 1e-15)
        ends = torch.full_like(distances, backend.cutoff)
        factors = cutoff_func_bump(distances, ends, backend.cutoff_width)
        inputs = {
            "element_indices_nodes": batch["kinds"],
            "element_indices_neighbors": batch["neighbours"],
            "padding_mask": mask,
            "reverse_neighbor_index": batch["reverse"],
            "edge_vectors": edges,
            "edge_distances": distances,
            "cutoff_factors": torch.where(mask, factors, torch.zeros_like(factors)),
        }
        features = backend.calculate_features(inputs)
        cells = torch.zeros(1, 3, 3)
        found = backend.predict(*features, inputs, cells, batch["owners"], ["energy"])[0]
        per_atom = found["energy"][0].reshape(-1) * batch["real"]
        return torch.zeros_like(batch["atoms"]).index_add(0, batch["owners"], per_atom)


def predict(
    energies: Callable[[Batch], torch.Tensor],
    batch: Batch,
    differentiable: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Energies ``(S,)``, forces ``(n, 3)`` and virials ``(S, 3, 3)``, in eV and eV/Å."""
    edges = batch["edges"].detach().requires_grad_(True)
    energy = energies({**batch, "edges": edges})
    (slope,) = torch.autograd.grad(energy.sum(), edges, create_graph=differentiable)
    slope = slope * batch["mask"][..., None]
    # what pulls an atom's own edges, and what pulls the same edges seen from their other ends
    forces = (slope - slope.reshape(-1, 3)[batch["reverse"]].view_as(slope)).sum(1)
    virial = torch.zeros_like(batch["virial"])
    virial = virial.index_add(0, batch["owners"], edges.mT @ slope)
    return energy, forces, 0.5 * (virial + virial.mT)


def step(
    model: Energies, parameters: list[torch.Tensor], batch: Batch, weights: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """Mean errors, and the gradient of their weighted sum with respect to the parameters.

    Parameters
    ----------
    parameters
        In the order of the model's.
    weights
        ``(5,)``: of energies and virials beside forces; and the errors of forces (eV/Å), of
        energies and of virials (eV/atom) below which each is rounded off quadratically.

    Returns
    -------
    tuple
        ``(3,)``, of forces, energies and virials; then one gradient for each parameter.
    """
    named = zip((name for name, _ in model.named_parameters()), parameters, strict=True)
    given = {**dict(named), **dict(model.named_buffers())}
    energy, forces, virial = predict(
        lambda b: functional_call(model, given, (b,)), batch, differentiable=True
    )
    n = batch["atoms"].clamp(min=1)
    squared = [
        ((forces - batch["forces"]) ** 2).sum(-1),
        ((energy - batch["energy"]) / n) ** 2,
        (((virial - batch["virial"]) / n[:, None, None]) ** 2).sum((1, 2)),
    ]
    known = [batch["real"], batch["atoms"] > 0, batch["stressed"]]
    errors = [
        ((each + soft**2).sqrt() * where).sum() / where.sum().clamp(min=1)
        for each, soft, where in zip(squared, weights[2:], known, strict=True)
    ]
    loss = errors[0] + weights[0] * errors[1] + weights[1] * errors[2]
    gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return (torch.stack(errors).detach(), *gradients)


def compiled_step(model: Energies, batch: Batch) -> Any:
    """:func:`step` of parameters, batches of this shape and weights."""
    parameters = [p.detach().clone().requires_grad_(True) for p in model.parameters()]
    traced = make_fx(partial(step, model))(parameters, batch, torch.ones(5))
    return torch.compile(traced, dynamic=False)
