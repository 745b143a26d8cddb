"""Frames of neighbour pairs and which of them serve which atom, with smooth weights.

After Pozdnyakov and Ceriotti (NeurIPS 2023), with weights relative to a p-norm in place of an
adaptive inner cutoff: scale-free, never empty, with fewer frames and smaller slopes.

The frame of an ordered pair (j, j') of neighbours of centre k has rows ``e1 = r̂_j``,
``e3 = r̂_j × r̂_j'`` normalized, ``e2 = e3 × e1``; its weight is, before comparison,
``a = exp(−β (r_j + r_j')) fc(r_j) fc(r_j') sin⁴θ``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from pet_flows.symmetrization.ecse_graph import (
    NEGLIGIBLE,
    NOTHING,
    Edges,
    group_max,
    log_fade,
    log_norm,
    quintic,
    ragged,
    relative_weights,
    safe_log,
)

Scope = Literal["local", "structure", "atom"]

#: Å, width of fc before the cutoff
FADE = 1.5
#: Å, where the influence of a centre on another atom begins to vanish (local scope)
NEAR = 1.0
#: A at which the surroundings count as bent in full
BENT = 0.7
#: weights below this change neither energies nor forces
LEAST = 1e-20
#: pairs looked at together, for memory
_BLOCK = 2_000_000


@dataclass(frozen=True)
class Constants:
    """Scanned constants of one scope: β (1/Å), κ, and the ramp τ0 to τ1."""

    beta: float
    kappa: float
    ramp: tuple[float, float]


CONSTANTS: dict[str, Constants] = {
    "local": Constants(2.0, 8.0, (0.15, 0.5)),
    "atom": Constants(2.0, 16.0, (0.3, 1.0)),
    # the number of pooled frames has no bound: a larger κ keeps τ0 below n^(−1/κ)
    "structure": Constants(2.0, 16.0, (0.15, 0.5)),
}


@dataclass(frozen=True)
class FrameWeights:
    """Frames in use and their weights, both differentiable.

    Attributes
    ----------
    frames
        ``(F, 3, 3)``, rows e1, e2, e3.
    weights
        ``(F, N)``; the sum over frames is ``1 − linear``.
    linear
        ``(N,)``, λ: 1 where the surroundings of an atom are linear, 0 where they are bent.
    """

    frames: torch.Tensor
    weights: torch.Tensor
    linear: torch.Tensor


@dataclass(frozen=True)
class _Pairs:
    """Ordered edge pairs with a common centre, sorted by it, the heaviest first."""

    one: np.ndarray
    two: np.ndarray
    centre: np.ndarray
    log: np.ndarray

    def __len__(self) -> int:
        return len(self.one)


def frame_weights(edges: Edges, scope: Scope, cutoff: float) -> FrameWeights:
    """Frames of a structure and their weights for every atom.

    Parameters
    ----------
    edges
        Up to the model's cutoff.
    scope
        Which frames serve atom i: ``atom``, those centred at i; ``local``, those centred
        within the cutoff of i, fading with distance; ``structure``, all, pooled.
    cutoff
        Å.
    """
    constants = CONSTANTS[scope]
    n = edges.n_atoms
    log_fc = log_fade(edges.lengths, cutoff - FADE, cutoff)
    pairs, bent = _candidates(edges, log_fc, constants)
    log_u = log_fade(edges.lengths, NEAR, cutoff)
    linear = _linearity(edges, log_fc, log_u, bent, scope, constants.kappa)

    atom, which, link = _entries(edges, log_u.detach().numpy(), pairs, scope, constants.kappa)
    used, which = np.unique(which, return_inverse=True)
    one, two = torch.from_numpy(pairs.one[used]), torch.from_numpy(pairs.two[used])
    log_a = _log_area(edges, log_fc, one, two)
    log_a = log_a - constants.beta * (edges.lengths[one] + edges.lengths[two])
    x = log_a[torch.from_numpy(which)] + _linked(log_u, link)
    group = torch.from_numpy(atom)
    w = relative_weights(x, group, n, constants.kappa, constants.ramp)
    w = w * (1.0 - linear)[group]

    kept = np.nonzero(w.detach().numpy() > LEAST)[0]
    final, row = np.unique(which[kept], return_inverse=True)
    column = torch.from_numpy(atom[kept])
    weights = torch.zeros(len(final), n, dtype=torch.float64)
    if scope == "structure":
        weights = weights + torch.zeros_like(weights[:, 0]).index_put(
            (torch.from_numpy(row),), w[kept]
        )[:, None]  # fmt: skip
    else:
        weights = weights.index_put((torch.from_numpy(row), column), w[kept], accumulate=True)
    return FrameWeights(_frames(edges, one[final], two[final]), weights, linear)


def _candidates(edges: Edges, log_fc: torch.Tensor, constants: Constants) -> tuple[_Pairs, _Pairs]:
    """Pairs that can matter: by weight a, and by the area alone (for the linearity)."""
    lengths = edges.lengths.detach().numpy()
    unit = edges.vectors.detach().numpy() / lengths[:, None]
    fade = log_fc.detach().numpy()
    window = NEGLIGIBLE / constants.kappa
    count = edges.count * np.maximum(edges.count - 1, 0)
    blocks = np.cumsum(count) // _BLOCK
    frames, areas = [], []
    for block in np.unique(blocks):
        centres = np.nonzero((blocks == block) & (count > 0))[0]
        owner, place = ragged(count[centres])
        centre = centres[owner]
        others = edges.count[centre] - 1
        one, two = np.divmod(place, np.maximum(others, 1))
        two = two + (two >= one)
        one, two = one + edges.start[centre], two + edges.start[centre]
        sine2 = (np.cross(unit[one], unit[two]) ** 2).sum(1)
        area = fade[one] + fade[two] + 2 * np.log(np.maximum(sine2, 1e-300))
        weight = area - constants.beta * (lengths[one] + lengths[two])
        frames.append(_sorted(one, two, centre, weight, window, edges.n_atoms))
        areas.append(_sorted(one, two, centre, area, window, edges.n_atoms))
    return _joined(frames), _joined(areas)


def _sorted(
    one: np.ndarray, two: np.ndarray, centre: np.ndarray, log: np.ndarray, window: float, n: int
) -> _Pairs:
    top = group_max(log, centre, n)
    kept = np.nonzero((log > top[centre] - window) & (log > -600.0))[0]
    kept = kept[np.lexsort((-log[kept], centre[kept]))]
    return _Pairs(one[kept], two[kept], centre[kept], log[kept])


def _joined(parts: list[_Pairs]) -> _Pairs:
    if not parts:
        none = np.zeros(0, dtype=int)
        return _Pairs(none, none, none, np.zeros(0))
    fields = ("one", "two", "centre", "log")
    return _Pairs(*(np.concatenate([getattr(p, f) for p in parts]) for f in fields))


def _entries(
    edges: Edges,
    log_u: np.ndarray,
    pairs: _Pairs,
    scope: Scope,
    kappa: float,
    wanted: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which pair makes a frame for which atom: atom, pair and edge in between (−1 if none) of each.

    Pairs that cannot change the p-norm of an atom are left out. ``wanted (N,)`` bool restricts
    the atoms. All pairs speak to atom 0 in the structure scope, which stands for every one.
    """
    every = np.arange(len(pairs))
    none = np.full(len(pairs), -1)
    if scope == "structure":
        kept = pairs.log > pairs.log.max(initial=NOTHING) - NEGLIGIBLE / kappa
        return np.zeros(kept.sum(), dtype=int), every[kept], none[kept]
    n = edges.n_atoms
    if scope == "atom":
        kept = slice(None) if wanted is None else wanted[pairs.centre]
        return pairs.centre[kept], every[kept], none[kept]
    top = group_max(pairs.log, pairs.centre, n)
    # an atom listens to itself and, through an edge, to centres around it
    atom = np.concatenate([np.arange(n), edges.first])
    centre = np.concatenate([np.arange(n), edges.second])
    link = np.concatenate([np.full(n, -1), np.arange(len(edges.first))])
    voice = np.concatenate([np.zeros(n), log_u])
    loudest = group_max(np.where(top[centre] > -600, top[centre] + voice, NOTHING), atom, n)
    needed = loudest[atom] - NEGLIGIBLE / kappa - voice
    heard = (top[centre] > needed) & (voice > -600.0) & (top[centre] > -600.0)
    if wanted is not None:
        heard &= wanted[atom]
    atom, centre, link, needed = atom[heard], centre[heard], link[heard], needed[heard]
    size = np.bincount(pairs.centre, minlength=n)
    begin = np.cumsum(size) - size
    counts = np.zeros(len(atom), dtype=int)
    for k in np.unique(centre):
        of_k = np.nonzero(centre == k)[0]
        rising = -pairs.log[begin[k] : begin[k] + size[k]]
        counts[of_k] = np.searchsorted(rising, -needed[of_k])
    owner, place = ragged(counts)
    return atom[owner], begin[centre[owner]] + place, link[owner]


def _linearity(
    edges: Edges,
    log_fc: torch.Tensor,
    log_u: torch.Tensor,
    pairs: _Pairs,
    scope: Scope,
    kappa: float,
) -> torch.Tensor:
    """λ ``(N,)``: one minus a step of the p-norm A of fc fc' sin⁴θ u, up to A = 0.7."""
    n = edges.n_atoms
    voices = log_u.detach().numpy()
    bent = _bent(edges, voices, pairs, scope)
    if bent.all():
        return torch.zeros(n, dtype=torch.float64)
    atom, which, link = _entries(edges, voices, pairs, scope, kappa, ~bent)
    one, two = torch.from_numpy(pairs.one[which]), torch.from_numpy(pairs.two[which])
    x = _log_area(edges, log_fc, one, two) + _linked(log_u, link)
    log_norms = log_norm(x, torch.from_numpy(atom), n, kappa)
    # 1 − S(A) = S(1 − A)
    linear = quintic(1.0 - torch.exp(log_norms.clamp_min(-700.0)) / BENT)
    if scope == "structure":
        return linear[:1].expand(n)
    return torch.where(torch.from_numpy(bent), 0.0, linear)


def _bent(edges: Edges, log_u: np.ndarray, pairs: _Pairs, scope: Scope) -> np.ndarray:
    """(N,) bool: one pair alone makes A larger than the step, so that λ is zero."""
    n = edges.n_atoms
    if scope == "structure":
        return np.full(n, pairs.log.max(initial=NOTHING) >= np.log(BENT))
    top = group_max(pairs.log, pairs.centre, n)
    if scope == "local":
        np.maximum.at(top, edges.first, top[edges.second] + log_u)
    return top >= np.log(BENT)


def _log_area(
    edges: Edges, log_fc: torch.Tensor, one: torch.Tensor, two: torch.Tensor
) -> torch.Tensor:
    """Log fc fc' sin⁴θ of edge pairs, differentiable."""
    unit = edges.vectors / edges.lengths[:, None]
    sine2 = torch.linalg.cross(unit[one], unit[two]).pow(2).sum(1)
    return log_fc[one] + log_fc[two] + 2.0 * safe_log(sine2)


def _linked(log_u: torch.Tensor, link: np.ndarray) -> torch.Tensor:
    """Log u of the edges in between, 0 where there is none."""
    index = torch.from_numpy(link)
    padded = torch.cat([log_u, torch.zeros(1, dtype=log_u.dtype)])
    return padded[torch.where(index < 0, len(log_u), index)]


def _frames(edges: Edges, one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    """(F, 3, 3) rows e1, e2, e3 of edge pairs."""
    e1 = edges.vectors[one] / edges.lengths[one, None]
    normal = torch.linalg.cross(e1, edges.vectors[two])
    e3 = normal / normal.norm(dim=1, keepdim=True)
    return torch.stack([e1, torch.linalg.cross(e3, e1), e3], 1)
