"""From sums over copies to energies, forces and stresses of structures."""

from __future__ import annotations

import numpy as np
import torch

from pet_flows.engines.evaluation import Batch, Evaluation
from pet_flows.engines.raw import RawResult
from pet_flows.engines.spread import energy_spread
from pet_flows.engines.sums import Sums
from pet_flows.errors import StructureError
from pet_flows.geometry.ragged import owners_of, starts_of, sum_by


def evaluations(
    batch: Batch, sums: Sums, invariant: RawResult | None, forces: bool
) -> list[Evaluation]:
    """What is found of each structure of a batch.

    Raises
    ------
    StructureError
        ``not_finite``: something of one of them is not.
    """
    plan = sums.plan
    energies, gradient, virials = sums.energies, sums.gradient, sums.virials
    mean = gradient
    if forces and plan.pull is not None:
        of_positions, of_strains = plan.pull(sums.rotations, sums.weights)
        if of_positions is not None:
            more = of_positions if plan.atoms is None else of_positions[plan.atoms]
            gradient = gradient + more
        if of_strains is not None:
            virials = virials + of_strains
    if plan.operations is not None:
        energies = plan.operations.scalars(energies)
        if forces:
            if sums.spread is not None:
                mean = plan.operations.vectors(mean)
            gradient = plan.operations.vectors(gradient)
            virials = plan.operations.tensors(virials)
    means = energies
    if invariant is not None:
        energies = energies + invariant.energies
        if invariant.gradients is not None and invariant.virials is not None:
            gradient = gradient + invariant.gradients
            virials = virials + invariant.virials
    if plan.image is not None:
        energies, gradient = energies[plan.image], gradient[plan.image]
    total = sum_by(owners_of(batch.sizes), energies.numpy(), len(batch.sizes))
    stresses = np.zeros((len(batch.sizes), 3, 3))
    periodic = batch.pbc.all(1)
    if forces and periodic.any():
        volumes = np.abs(np.linalg.det(batch.cells[periodic]))
        scale = (batch.sizes / plan.sites)[periodic] / volumes
        own = virials.numpy()[periodic]
        stresses[periodic] = 0.5 * scale[:, None, None] * (own + own.swapaxes(1, 2))
    if not all(np.isfinite(each).all() for each in (total, gradient.numpy(), stresses)):
        raise StructureError(
            "not_finite",
            "The model's energy, forces or stress are not finite for this geometry; check it "
            "for atoms that are too close, or use a model trained on such structures.",
        )
    spread = energy_spread(sums.rows, plan.weights, sums.weights, means)
    differ = plan.copies > 1
    force_spread, defined = np.zeros(len(differ)), np.zeros(len(differ), dtype=bool)
    if forces and sums.spread is not None:
        force_spread, defined = sums.spread.value(mean), sums.spread.defined
    return _apart(
        batch, total, energies, gradient, stresses, periodic & forces, plan.copies,
        [float(each) if some else None for each, some in zip(spread, differ, strict=True)],
        [float(each) if some else None for each, some in zip(force_spread, defined, strict=True)],
    )  # fmt: skip


def _apart(
    batch: Batch,
    total: np.ndarray,
    energies: torch.Tensor,
    gradient: torch.Tensor,
    stresses: np.ndarray,
    stressed: np.ndarray,
    copies: np.ndarray,
    energy_spreads: list[float | None],
    force_spreads: list[float | None],
) -> list[Evaluation]:
    """Structure by structure, each with arrays of its own."""
    begins = starts_of(batch.sizes).tolist()
    by_atom, forces = energies.numpy(), -gradient.numpy()
    rows = zip(
        batch.systems, begins, batch.sizes.tolist(), total.tolist(), stresses, stressed.tolist(),
        copies.tolist(), energy_spreads, force_spreads, strict=True,
    )  # fmt: skip
    return [
        Evaluation(
            system=system,
            energy=energy,
            energies=by_atom[begin : begin + n].copy(),
            forces=forces[begin : begin + n].copy(),
            stress=stress.copy() if is_stressed else None,
            n_evaluations=k,
            energy_spread=energy_spread,
            force_spread=force_spread,
        )
        for system, begin, n, energy, stress, is_stressed, k, energy_spread, force_spread in rows
    ]
