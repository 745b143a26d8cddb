"""Means over the operations of structures, of which one representative each was evaluated."""

from __future__ import annotations

import torch

from pet_flows.symmetrization.batch import Operations


def rotated(values: torch.Tensor, matrices: torch.Tensor, indices: int) -> torch.Tensor:
    """Rotate the last ``indices`` Cartesian indices of values, ``v' = v Q`` in each.

    Parameters
    ----------
    values
        ``(k, ..., 3, 3)``.
    matrices
        ``(k, 3, 3)``, one for each of the ``k``.
    """
    for axis in range(-indices, 0):
        moved = values.swapaxes(axis, -1)
        flat = moved.reshape(len(values), -1, 3) @ matrices
        values = flat.reshape(moved.shape).swapaxes(axis, -1)
    return values


def over_structures(values: torch.Tensor, operations: Operations, indices: int) -> torch.Tensor:
    """Means of tensors ``(S, ...)`` of structures over their operations."""
    of = torch.from_numpy(operations.means.of_operation)
    return _mean(rotated(values[of], operations.matrices, indices), of, len(values))


def over_sites(values: torch.Tensor, operations: Operations, indices: int) -> torch.Tensor:
    """Means of values ``(E, ...)`` by site over the operations ``x_site Q = x_target``.

    Parameters
    ----------
    values
        Scalars, vectors or tensors.
    operations
        Each structure's a group.
    indices
        How many Cartesian indices the values have, the last ones.
    """
    # the mean over a group is the mean over its inverses: values come from the targets
    means = operations.means
    rows = values[torch.from_numpy(means.target)]
    if indices:
        of = torch.from_numpy(means.operation)
        rows = rotated(rows, operations.matrices.mT[of], indices)
    return _mean(rows, torch.from_numpy(means.site), len(values))


def _mean(rows: torch.Tensor, index: torch.Tensor, n: int) -> torch.Tensor:
    """(n, ...), mean of the rows of each index."""
    counts = torch.bincount(index, minlength=n).reshape(-1, *(1,) * (rows.dim() - 1))
    return rows.new_zeros((n, *rows.shape[1:])).index_add_(0, index, rows) / counts
