"""Edges and ragged groups in TorchScript, for :mod:`pet_flows.export.ecse`.

The functions of :mod:`pet_flows.symmetrization.ecse_graph` on tensors alone.
"""

from typing import NamedTuple

import torch

# No `from __future__ import annotations` here: TorchScript reads the annotations.


class Constants(NamedTuple):
    """Those of :mod:`pet_flows.symmetrization.ecse_frames` and others, where they are explained.

    TorchScript does not read the names of other modules, so they are handed over.
    """

    beta: float
    kappa: float
    ramp: tuple[float, float]
    fade: float
    near: float
    bent: float
    least: float
    window: float
    """beyond which logarithms are negligible, over κ"""
    axial_beta: float
    angles: int
    on_axis: float


class Edges:
    """Directed edges ``i → j`` sorted by ``i``: a TorchScript class, hence no dataclass.

    Parameters
    ----------
    n_atoms
        Number of atoms.
    first, second
        ``(E,)`` int, the atoms i and j of a neighbour list in any order.
    vectors
        ``(E, 3)`` Å.
    cutoff
        Å; longer edges, which engines may give, are left out.
    """

    def __init__(
        self,
        n_atoms: int,
        first: torch.Tensor,
        second: torch.Tensor,
        vectors: torch.Tensor,
        cutoff: float,
    ):
        inside = (vectors.detach() ** 2).sum(1) < cutoff * cutoff
        order = torch.argsort(first, stable=True)
        order = order[inside[order]]
        self.n_atoms = n_atoms
        self.first = first[order]
        self.second = second[order]
        self.vectors = vectors[order]
        self.lengths = torch.sqrt((self.vectors**2).sum(1))
        self.count = torch.bincount(self.first, minlength=n_atoms)
        self.start = torch.cumsum(self.count, 0) - self.count
        if self.lengths.size(0) > 0 and float(self.lengths.detach().min()) < 1e-6:
            raise RuntimeError("Two atoms are at the same place.")


def quintic(x: torch.Tensor) -> torch.Tensor:
    """Step from 0 at x = 0 to 1 at x = 1 with two continuous derivatives at both ends."""
    t = x.clamp(0.0, 1.0)
    return t**3 * (10.0 - 15.0 * t + 6.0 * t * t)


def safe_log(x: torch.Tensor) -> torch.Tensor:
    """Logarithm with a finite value at zero."""
    return torch.log(x.clamp_min(1e-300))


def log_fade(lengths: torch.Tensor, begin: float, end: float) -> torch.Tensor:
    """Logarithm of a step from 1 at ``begin`` to 0 at ``end`` (Å)."""
    return safe_log(quintic((end - lengths) / (end - begin)))


def log_norm(x: torch.Tensor, group: torch.Tensor, n: int, kappa: float) -> torch.Tensor:
    """``log (Σ exp(κ x))^(1/κ)`` over the members of each of ``n`` groups, ``(n,)``."""
    top = group_max(x.detach(), group, n)
    total = torch.zeros(n, dtype=x.dtype).index_add(0, group, torch.exp(kappa * (x - top[group])))
    empty = total.detach() <= 0
    filled = torch.where(empty, torch.ones_like(total), total)
    return torch.where(empty, top, top + torch.log(filled) / kappa)


def relative_weights(
    x: torch.Tensor, group: torch.Tensor, n: int, kappa: float, ramp: tuple[float, float]
) -> torch.Tensor:
    """Weights from logarithms, compared with their p-norm, one in sum for each group."""
    share = torch.exp(x - log_norm(x, group, n, kappa)[group])
    w = quintic((share - ramp[0]) / (ramp[1] - ramp[0]))
    total = torch.zeros(n, dtype=x.dtype).index_add(0, group, w)
    return w / total[group].clamp_min(1e-300)


def group_max(x: torch.Tensor, group: torch.Tensor, n: int) -> torch.Tensor:
    """Largest value of each of ``n`` groups, −1e300 for empty ones."""
    top = torch.full([n], -1e300, dtype=torch.float64)
    return top.scatter_reduce(0, group, x, "amax")


def ragged(counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Owner and position of every member of consecutive groups of the given sizes."""
    owner = torch.repeat_interleave(torch.arange(counts.size(0)), counts)
    return owner, torch.arange(owner.size(0)) - (torch.cumsum(counts, 0) - counts)[owner]
