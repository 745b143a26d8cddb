"""Frames for linear surroundings, where no pair of neighbours spans a plane.

The first direction is that of a neighbour; the second comes from anything off that axis which the
model can see, hop by hop over as many bonds as it passes messages, and fades into an arbitrary
one where the whole receptive field is linear. Averaging over four rotations about the axis makes
that fading smooth: what is left depends on the fourth power of the distance from the axis.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from pet_flows.symmetrization.ecse_frames import CONSTANTS, FADE, LEAST, Scope
from pet_flows.symmetrization.ecse_graph import (
    NEGLIGIBLE,
    Edges,
    log_fade,
    relative_weights,
)

#: rotations about the axis; with one the energy jumps at collinearity
ANGLES = 4
#: Å; closer to the axis than this is on it
ON_AXIS = 1e-6
#: 1/Å, how fast the influence of neighbours on the axis vanishes
BETA = 1.0


def axial_frames(
    edges: Edges, linear: torch.Tensor, scope: Scope, cutoff: float, n_layers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames and weights for the atoms whose λ is not zero.

    Parameters
    ----------
    edges
        Up to the model's cutoff.
    linear
        ``(N,)`` λ.
    scope
        Whose p-norm and ramp are used.
    cutoff
        Å.
    n_layers
        Message passings of the model.

    Returns
    -------
    tuple
        Frames ``(F, 3, 3)``, rows, and weights ``(F, N)`` whose sum over frames is λ.
    """
    n = edges.n_atoms
    frames, shares, owners = [], [], []
    alone = np.nonzero((edges.count == 0) & (linear.detach().numpy() > LEAST))[0]
    if len(alone):
        # no direction at all: the energy of an atom by itself, as it is
        frames.append(torch.eye(3, dtype=torch.float64).repeat(len(alone), 1, 1))
        shares.append(linear[torch.from_numpy(alone)])
        owners.append(alone)
    log_fc = log_fade(edges.lengths, cutoff - FADE, cutoff)
    along = np.nonzero((edges.count > 0) & (linear.detach().numpy() > LEAST))[0]
    bonds = _bonds(edges) if len(along) else torch.zeros(0)
    for atom in along:
        rotated, share = _of_atom(edges, bonds, log_fc, int(atom), scope, n_layers)
        frames.append(rotated)
        shares.append(linear[int(atom)] * share)
        owners.append(np.full(len(share), atom))
    if not frames:
        zero = torch.zeros(0, dtype=torch.float64)
        return zero.reshape(0, 3, 3), zero.reshape(0, n)
    share, owner = torch.cat(shares), torch.from_numpy(np.concatenate(owners))
    weights = torch.zeros(len(share), n, dtype=torch.float64)
    return torch.cat(frames), weights.index_put((torch.arange(len(share)), owner), share)


def _of_atom(
    edges: Edges, bonds: torch.Tensor, log_fc: torch.Tensor, atom: int, scope: Scope, n_layers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames (F, 3, 3) and weights (F,), one in sum, of one atom that has neighbours."""
    constants = CONSTANTS[scope]
    own = torch.arange(edges.start[atom], edges.start[atom] + edges.count[atom])
    x = log_fc[own] - BETA * edges.lengths[own]
    one_group = torch.zeros(len(own), dtype=torch.long)
    by_axis = relative_weights(x, one_group, 1, constants.kappa, constants.ramp)
    kept = torch.nonzero(by_axis.detach() > LEAST)[:, 0]
    seen, path = _seen(edges, log_fc, atom, n_layers)
    frames, weights = [], []
    for k in kept.tolist():
        axis = edges.vectors[own[k]] / edges.lengths[own[k]]
        second, share = _second_directions(axis, edges.vectors[seen], path, bonds[seen], scope)
        frames.append(_around(axis, second))
        weights.append((by_axis[k] * share / ANGLES).repeat(ANGLES))
    return torch.cat(frames), torch.cat(weights)


def _seen(
    edges: Edges, log_fc: torch.Tensor, atom: int, n_layers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges (C,) of all paths from an atom, up to ``n_layers`` long, and log fc along each."""
    ends = np.array([atom])
    log = torch.zeros(1, dtype=torch.float64)
    all_edges, all_logs = [], []
    for _ in range(max(1, n_layers)):
        counts = edges.count[ends]
        owner = np.repeat(np.arange(len(ends)), counts)
        place = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]
        index = edges.start[ends[owner]] + place
        log = log[torch.from_numpy(owner)] + log_fc[torch.from_numpy(index)]
        alive = np.nonzero(log.detach().numpy() > -600.0)[0]
        index, log = index[alive], log[torch.from_numpy(alive)]
        all_edges.append(torch.from_numpy(index))
        all_logs.append(log)
        ends = edges.second[index]
    return torch.cat(all_edges), torch.cat(all_logs)


def _bonds(edges: Edges) -> torch.Tensor:
    """(E,) int, the same for an edge and its reverse."""
    vectors = edges.vectors.detach().numpy() + 0.0
    ends = np.stack([edges.first, edges.second], 1)
    flip = edges.first > edges.second
    same = edges.first == edges.second
    leading = vectors[np.arange(len(vectors)), (vectors != 0).argmax(1)]
    flip |= same & (leading < 0)
    ends[flip] = ends[flip, ::-1]
    keys = np.concatenate([ends, np.where(flip[:, None], 0.0 - vectors, vectors)], 1)
    return torch.from_numpy(np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1))


def _second_directions(
    axis: torch.Tensor,
    vectors: torch.Tensor,
    path: torch.Tensor,
    bonds: torch.Tensor,
    scope: Scope,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors (c, 3) normal to the axis, and weights (c,) from perp² fc².

    Many paths end with the same bond, in one direction or the other; the frames are the same
    (rotations about the axis include the half one), so their weights are summed.
    """
    constants = CONSTANTS[scope]
    normal = vectors - (vectors @ axis)[:, None] * axis
    squares = (normal**2).sum(1)
    strength = squares.detach() * torch.exp(2.0 * path.detach())
    if not len(strength) or float(strength.max()) < ON_AXIS**2:
        basis = torch.eye(3, dtype=torch.float64)[int(axis.detach().abs().argmin())]
        any_normal = basis - (basis @ axis) * axis
        return (any_normal / any_normal.norm())[None], torch.ones(1, dtype=torch.float64)
    least = strength.max() * math.exp(-NEGLIGIBLE / constants.kappa)
    kept = torch.nonzero(strength > least)[:, 0]
    x = torch.log(squares[kept]) + 2.0 * path[kept]
    one_group = torch.zeros(len(kept), dtype=torch.long)
    share = relative_weights(x, one_group, 1, constants.kappa, constants.ramp)
    final = torch.nonzero(share.detach() > LEAST)[:, 0]
    chosen = kept[final]
    one, of_path = np.unique(bonds[chosen].numpy(), return_inverse=True)
    first = np.zeros(len(one), dtype=int)
    first[of_path[::-1]] = np.arange(len(of_path))[::-1]
    summed = torch.zeros(len(one), dtype=torch.float64).index_add(
        0, torch.from_numpy(of_path.reshape(-1)), share[final]
    )
    chosen = chosen[torch.from_numpy(first)]
    return normal[chosen] / torch.sqrt(squares[chosen])[:, None], summed


def _around(axis: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(ANGLES·c, 3, 3) frames about the axis, angle by angle."""
    e1 = axis.expand_as(second)
    frames = torch.stack([e1, second, torch.linalg.cross(e1, second)], 1)
    rotated = []
    for m in range(ANGLES):
        c, s = math.cos(2 * math.pi * m / ANGLES), math.sin(2 * math.pi * m / ANGLES)
        rotation = torch.tensor([[1.0, 0, 0], [0, c, s], [0, -s, c]], dtype=torch.float64)
        rotated.append(rotation @ frames)
    return torch.cat(rotated)
