"""Outputs that rotate with the structure: vectors and tensors, symmetrized like the energy.

A Cartesian output v of a model, per atom or per structure, is rotated back from every copy and
averaged with the weights of the energy: ``v_i(X) = Σ_k W_ik Q_k · v_i(X Q_k)``, every index of v
rotated by Q. That is exactly covariant wherever the energy is exactly invariant, improper
operations included, whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pet_flows.engines.average import over_sites, over_structures, rotated
from pet_flows.engines.evaluation import Batch, System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.raw import Copies
from pet_flows.engines.surroundings import graph_of
from pet_flows.errors import PetFlowsError
from pet_flows.symmetrization.batch import join


def covariant(
    evaluator: Evaluator,
    systems: Sequence[System],
    output: str,
    per_atom: bool = True,
    summed: bool = True,
) -> list[np.ndarray]:
    """Symmetrize a Cartesian output of a model, such as ``non_conservative_forces``.

    The whole structure is evaluated in each orientation, since a model may refer to its cell;
    nothing is differentiated.

    Parameters
    ----------
    evaluator
        Model and strategy: ``potential.evaluator``.
    systems
        Structures with their bound strategies.
    output
        Name of an output of the model whose components are Cartesian (or that has none).
    per_atom
        Whether values of the atoms are wanted, or one of the structure: their sum if the model
        gives the output by atom, otherwise what it gives, with the mean weights of the atoms.

    summed
        Whether a value of the structure is the sum over its atoms where the model can give it by
        atom; otherwise the model is asked for the structure, as for a standard deviation.

    Returns
    -------
    list of numpy.ndarray
        For each system ``(N, 3, ..., p)`` or ``(3, ..., p)``, p the number of properties, left
        out where it is one; in the unit that the model declares.

    Raises
    ------
    PetFlowsError
        The model has no such output, or not by atom, or its components are not Cartesian.
    """
    raw = evaluator.raw.general
    if raw is None:
        raise PetFlowsError(
            f"This model gives energies alone, and no {output!r}: use a metatomic model."
        )
    by_atom = _by_atom(raw, output, per_atom) and (per_atom or summed)
    return [
        _one(raw, system, output, per_atom, by_atom, evaluator.chunk_atoms) for system in systems
    ]


def _one(
    raw: MetatomicRaw, system: System, output: str, per_atom: bool, by_atom: bool, capacity: int
) -> np.ndarray:
    batch = Batch([system])
    plan = join([system.bound]).plan(batch.positions, batch.cells, gradients=False)
    graph = graph_of(raw.lists, system.numbers, system.positions, system.cell, system.pbc)
    weights = plan.weights.reshape(int(plan.copies[0]), -1)
    if plan.image is not None:
        weights = weights[:, plan.image]
    step = max(1, capacity // len(system))
    parts, indices = [], 0
    for begin in range(0, len(weights), step):
        share, rotations = weights[begin : begin + step], plan.rotations[begin : begin + step]
        copies = Copies(graph, rotations, np.zeros(len(share), dtype=int), share.reshape(-1))
        values = _values(raw, copies, output, by_atom)
        indices = values.dim() - (3 if by_atom else 2)
        # back again: v = v' Qᵀ
        values = rotated(values, rotations.transpose(1, 2), indices)
        # of a structure as a whole there is one value: its atoms agree on the mean weight
        share = share if by_atom else share.mean(1)
        share = share.reshape(share.shape + (1,) * (values.dim() - share.dim()))
        parts.append((share * values).sum(0))
    total = torch.stack(parts).sum(0)
    if plan.operations is not None:
        if by_atom:
            own = total if plan.atoms is None else total[plan.atoms]
            mean = over_sites(own, plan.operations, indices)
            total = mean if plan.image is None else mean[plan.image]
        else:
            total = over_structures(total[None], plan.operations, indices)[0]
    if by_atom and not per_atom:
        total = total.sum(0)
    found = total.movedim(1 if per_atom else 0, -1).numpy()
    return found[..., 0].copy() if found.shape[-1] == 1 else found.copy()


def _by_atom(raw: MetatomicRaw, output: str, wanted: bool) -> bool:
    """Whether the model gives an output by atom."""
    if output not in raw.outputs:
        names = ", ".join(sorted(name for name in raw.outputs if "aux::" not in name))
        raise PetFlowsError(f"The model has no output {output!r}; choose one of {names}.")
    given = bool(raw.outputs[output].sample_kind == "atom")
    if wanted and not given:
        raise PetFlowsError(
            f"The model gives {output} for a whole structure, not by atom; ask for it with "
            "per_atom=False."
        )
    return given


def _values(raw: MetatomicRaw, copies: Copies, output: str, by_atom: bool) -> torch.Tensor:
    """What the model gives for rotated copies, ``(k, n, p, 3, ...)`` or ``(k, p, 3, ...)``."""
    from metatomic.torch import ModelOutput

    request = ModelOutput(
        unit=raw.outputs[output].unit, sample_kind="atom" if by_atom else "system"
    )
    found = raw.run(copies, {output: request})[output]
    block = found.block(0)
    names = [name for part in block.components for name in part.names]
    if len(found) > 1 or not all(name.startswith("xyz") for name in names):
        raise PetFlowsError(
            f"The components of {output} are {names}, and not Cartesian; choose another output."
        )
    k, n = len(copies.owners), len(copies.graphs.numbers)
    samples = block.samples.values.long().cpu()
    row = samples[:, 0] * n + samples[:, 1] if by_atom else samples[:, 0]
    values = block.values.double().cpu()
    values = torch.zeros_like(values).index_copy_(0, row, values).movedim(-1, 1)
    return values.reshape(k, n, *values.shape[1:]) if by_atom else values
