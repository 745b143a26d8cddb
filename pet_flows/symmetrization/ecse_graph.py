"""Neighbour edges of a structure and the smooth functions of them that ecse is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pet_flows.geometry.neighbours import find_neighbours

#: stands for log 0; far below every logarithm that matters, and finite
NOTHING = -1e300
#: logarithm of what double precision cannot add to one, with a margin for many terms
NEGLIGIBLE = 40.0


@dataclass(frozen=True)
class Edges:
    """Directed edges ``i → j`` sorted by ``i``.

    Attributes
    ----------
    first, second
        ``(E,)`` int, the atoms i and j.
    start, count
        ``(N,)`` int: the edges of atom i are ``start[i]`` to ``start[i] + count[i]``.
    vectors
        ``(E, 3)`` Å, a function of positions and cell that autograd follows.
    lengths
        ``(E,)`` Å, likewise.
    """

    first: np.ndarray
    second: np.ndarray
    start: np.ndarray
    count: np.ndarray
    vectors: torch.Tensor
    lengths: torch.Tensor

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.count)


def find_edges(
    positions: torch.Tensor, cell: torch.Tensor, pbc: np.ndarray, cutoff: float
) -> Edges:
    """All edges shorter than ``cutoff`` (Å), periodic along ``pbc (3,)`` only."""
    first, second, shift, _ = find_neighbours(
        positions.detach().numpy(), cell.detach().numpy(), pbc, cutoff
    )
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    shifts = torch.from_numpy(shift[order].astype(float))
    # open directions have no shifts; their cell rows, whatever they are, must not enter
    vectors = positions[second] - positions[first] + shifts @ cell
    count = np.bincount(first, minlength=len(positions))
    return Edges(first, second, np.cumsum(count) - count, count, vectors, vectors.norm(dim=1))


def quintic(x: torch.Tensor) -> torch.Tensor:
    """Step from 0 at x = 0 to 1 at x = 1 with two continuous derivatives at both ends."""
    t = x.clamp(0.0, 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t * t)


def log_fade(lengths: torch.Tensor, begin: float, end: float) -> torch.Tensor:
    """Logarithm of a step from 1 at ``begin`` to 0 at ``end`` (Å)."""
    # (1 − S)(x) = S(1 − x), which keeps its relative precision where it vanishes
    return safe_log(quintic((end - lengths) / (end - begin)))


def safe_log(x: torch.Tensor) -> torch.Tensor:
    """Logarithm with a finite value at zero."""
    return torch.log(x.clamp_min(1e-300))


def log_norm(x: torch.Tensor, group: torch.Tensor, n: int, kappa: float) -> torch.Tensor:
    """``log (Σ exp(κ x))^(1/κ)`` over the members of each of ``n`` groups, ``(n,)``.

    A smooth maximum that needs no scale; ``NOTHING`` for empty groups.
    """
    top = torch.full((n,), NOTHING, dtype=x.dtype).scatter_reduce(0, group, x.detach(), "amax")
    total = torch.zeros(n, dtype=x.dtype).index_add(0, group, torch.exp(kappa * (x - top[group])))
    empty = total.detach() <= 0
    return torch.where(empty, top, top + torch.log(torch.where(empty, 1.0, total)) / kappa)


def relative_weights(
    x: torch.Tensor, group: torch.Tensor, n: int, kappa: float, ramp: tuple[float, float]
) -> torch.Tensor:
    """Weights from logarithms, compared with their p-norm, one in sum for each group.

    ``w = S5((e^x / m − τ0) / (τ1 − τ0))`` with m the p-norm: members come and go smoothly, and
    at least one remains as long as ``τ0 < n^(−1/κ)``.
    """
    share = torch.exp(x - log_norm(x, group, n, kappa)[group])
    w = quintic((share - ramp[0]) / (ramp[1] - ramp[0]))
    total = torch.zeros(n, dtype=x.dtype).index_add(0, group, w)
    return w / total[group].clamp_min(1e-300)


def group_max(x: np.ndarray, group: np.ndarray, n: int) -> np.ndarray:
    """Largest value of each of ``n`` groups, ``NOTHING`` for empty ones."""
    top = np.full(n, NOTHING)
    np.maximum.at(top, group, x)
    return top


def ragged(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Owner and position of every member of consecutive groups of the given sizes."""
    owner = np.repeat(np.arange(len(counts)), counts)
    return owner, np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
