"""Means over the operations of a structure, of which one representative each was evaluated."""

from __future__ import annotations

import torch


def turned(values: torch.Tensor, matrices: torch.Tensor, indices: int) -> torch.Tensor:
    """Turn the last ``indices`` Cartesian indices of values, ``v' = v Q`` in each.

    Parameters
    ----------
    values
        ``(k, ..., 3, 3)``.
    matrices
        ``(k, 3, 3)``, one for each of the ``k``.
    """
    for axis in range(values.dim() - indices, values.dim()):
        moved = values.movedim(axis, -1)
        flat = moved.reshape(len(values), -1, 3) @ matrices
        values = flat.reshape(moved.shape).movedim(-1, axis)
    return values


def over_structure(value: torch.Tensor, turns: torch.Tensor, indices: int) -> torch.Tensor:
    """Mean of a tensor of the structure over operations ``(m, 3, 3)``."""
    return turned(value.expand(len(turns), *value.shape), turns, indices).mean(0)


def over_atoms(
    values: torch.Tensor, turns: torch.Tensor, perms: torch.Tensor, indices: int
) -> torch.Tensor:
    """Mean of values ``(n, ...)`` by atom over operations ``x_i Q = x_perm[i]``.

    Parameters
    ----------
    values
        Scalars, vectors or tensors of ``n`` atoms.
    turns, perms
        ``(m, 3, 3)`` and ``(m, n)``.
    indices
        How many Cartesian indices the values have, the last ones.
    """
    images = turned(values.expand(len(turns), *values.shape), turns, indices)
    summed = torch.zeros_like(values).index_add_(0, perms.reshape(-1), images.flatten(0, 1))
    return summed / len(turns)
