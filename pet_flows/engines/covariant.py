"""Outputs that turn with the structure: vectors and tensors, symmetrized like the energy.

A Cartesian output v of a model, per atom or per structure, is turned back from every copy and
averaged with the weights of the energy: ``v_i(X) = Σ_k W_ik Q_k · v_i(X Q_k)``, every index of v
turned by Q. That is exactly covariant wherever the energy is exactly invariant, improper
operations included, whatever the model says.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.raw import Copies, MetatomicRaw
from pet_flows.symmetry.strategy import Plan


def covariant(
    evaluator: Evaluator, systems: Sequence[System], output: str, per_atom: bool = True
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
    by_atom = raw.by_atom(output, per_atom)
    return [_one(raw, system, output, per_atom, by_atom, evaluator.chunk_atoms)
            for system in systems]  # fmt: skip


def _one(
    raw: MetatomicRaw, system: System, output: str, per_atom: bool, by_atom: bool, room: int
) -> np.ndarray:
    with torch.no_grad():
        plan = system.bound.plan(torch.tensor(system.positions), torch.tensor(system.cell))
    graph = raw.graph(system.numbers, system.positions, system.cell, system.pbc)
    weights = plan.weights if plan.image is None else plan.weights[:, plan.image]
    step = max(1, room // len(graph))
    total: torch.Tensor | None = None
    for begin in range(0, len(weights), step):
        chosen = slice(begin, begin + step)
        copies = Copies(graph, plan.rotations[chosen], weights[chosen])
        values = _turn(raw.tensors([copies], output, by_atom)[0], copies.rotations, by_atom)
        # of a structure as a whole there is one value: its atoms agree on the mean weight
        share = copies.weights if by_atom else copies.weights.mean(1)
        share = share.reshape(share.shape + (1,) * (values.dim() - share.dim()))
        part = (share * values).sum(0)
        total = part if total is None else total + part
    assert total is not None
    if plan.operations is not None:
        total = _average(total, plan, by_atom)
    if by_atom and not per_atom:
        total = total.sum(0)
    found = total.numpy()
    return found[..., 0].copy() if found.shape[-1] == 1 else found


def _turn(values: torch.Tensor, matrices: torch.Tensor, by_atom: bool) -> torch.Tensor:
    """Turn every Cartesian index of ``(k, [n,] 3, ..., p)`` by its ``Q (k, 3, 3)``: Q · v."""
    first = 2 if by_atom else 1
    for axis in range(first, values.dim() - 1):
        moved = values.movedim(axis, -1)
        flat = moved.reshape(len(values), -1, 3) @ matrices.transpose(1, 2)
        values = flat.reshape(moved.shape).movedim(-1, axis)
    return values


def _average(values: torch.Tensor, plan: Plan, by_atom: bool) -> torch.Tensor:
    """Average over the operations ``x_i Q = x_perm[i]`` of which one each was evaluated."""
    assert plan.operations is not None
    turns, perms = plan.operations
    own = values if not by_atom or plan.atoms is None else values[plan.atoms]
    # v' = v Q for each operation: the transpose of turning back
    turned = _turn(own.expand(len(turns), *own.shape), turns.transpose(1, 2), by_atom)
    if not by_atom:
        return turned.mean(0)
    summed = torch.zeros_like(own).index_add_(0, perms.reshape(-1), turned.flatten(0, 1))
    mean = summed / len(turns)
    return mean if plan.image is None else mean[plan.image]
