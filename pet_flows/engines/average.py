"""Means over the operations of a structure, of which one representative each was evaluated."""

from __future__ import annotations

import torch


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


def over_structure(value: torch.Tensor, rotations: torch.Tensor, indices: int) -> torch.Tensor:
    """Mean of a tensor of the structure over operations ``(m, 3, 3)``."""
    return rotated(value.expand(len(rotations), *value.shape), rotations, indices).mean(0)


def over_atoms(
    values: torch.Tensor, rotations: torch.Tensor, perms: torch.Tensor, indices: int
) -> torch.Tensor:
    """Mean of values ``(n, ...)`` by atom over a group of operations ``x_i Q = x_perm[i]``.

    Parameters
    ----------
    values
        Scalars, vectors or tensors of ``n`` atoms.
    rotations, perms
        ``(m, 3, 3)`` and ``(m, n)``.
    indices
        How many Cartesian indices the values have, the last ones.
    """
    # the mean over a group is the mean over its inverses, which need no scattering
    return rotated(values[perms], rotations.mT, indices).mean(0)
