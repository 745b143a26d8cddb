"""Frames for linear surroundings in TorchScript: :mod:`pet_flows.symmetrization.ecse_axial`."""

import math

import torch

from pet_flows.export.ragged import Constants, Edges, ragged, relative_weights

# No `from __future__ import annotations` here: TorchScript reads the annotations.


def axial_frames(
    edges: Edges,
    log_fc: torch.Tensor,
    linear: torch.Tensor,
    n_layers: int,
    constants: Constants,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames ``(F, 3, 3)`` and weights ``(F, n)`` whose sum over frames is λ."""
    n = edges.n_atoms
    frames: list[torch.Tensor] = [torch.zeros(0, 3, 3, dtype=torch.float64)]
    rows: list[torch.Tensor] = [torch.zeros(0, n, dtype=torch.float64)]
    for index in torch.nonzero(linear.detach() > constants.least)[:, 0]:
        atom = int(index)
        column = torch.zeros(n, dtype=torch.float64)
        column[atom] = 1.0
        if int(edges.count[atom]) == 0:
            # no direction at all: the energy of an atom by itself, as it is
            own = torch.eye(3, dtype=torch.float64)[None]
            share = torch.ones(1, dtype=torch.float64)
        else:
            own, share = _of_atom(edges, log_fc, atom, n_layers, constants)
        frames.append(own)
        rows.append((linear[atom] * share)[:, None] * column[None])
    return torch.cat(frames), torch.cat(rows)


def _of_atom(
    edges: Edges,
    log_fc: torch.Tensor,
    atom: int,
    n_layers: int,
    constants: Constants,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames (F, 3, 3) and weights (F,), one in sum, of one atom that has neighbours."""
    own = torch.arange(int(edges.count[atom])) + int(edges.start[atom])
    x = log_fc[own] - constants.axial_beta * edges.lengths[own]
    by_axis = relative_weights(x, torch.zeros_like(own), 1, constants.kappa, constants.ramp)
    seen, path = _seen(edges, log_fc, atom, n_layers)
    frames: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    for index in torch.nonzero(by_axis.detach() > constants.least)[:, 0]:
        k = int(index)
        axis = edges.vectors[own[k]] / edges.lengths[own[k]]
        second, share = _second(axis, edges.vectors[seen], path, seen, constants)
        e1 = axis[None].repeat(second.size(0), 1)
        frame = torch.stack([e1, second, torch.linalg.cross(e1, second)], 1)
        # angles about the axis; with one the energy jumps at collinearity
        for m in range(constants.angles):
            angle = 2.0 * math.pi * m / constants.angles
            c, s = math.cos(angle), math.sin(angle)
            rotation = [[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]]
            frames.append(torch.tensor(rotation, dtype=torch.float64) @ frame)
            weights.append(by_axis[k] * share / constants.angles)
    return torch.cat(frames), torch.cat(weights)


def _seen(
    edges: Edges, log_fc: torch.Tensor, atom: int, n_layers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges (C,) of all paths from an atom, up to ``n_layers`` long, and log fc along each."""
    ends = torch.full([1], atom, dtype=torch.long)
    log = torch.zeros(1, dtype=torch.float64)
    all_edges: list[torch.Tensor] = []
    all_logs: list[torch.Tensor] = []
    for _ in range(max(1, n_layers)):
        owner, place = ragged(edges.count[ends])
        index = edges.start[ends[owner]] + place
        log = log[owner] + log_fc[index]
        alive = torch.nonzero(log.detach() > -600.0)[:, 0]
        index, log = index[alive], log[alive]
        all_edges.append(index)
        all_logs.append(log)
        ends = edges.second[index]
    return torch.cat(all_edges), torch.cat(all_logs)


def _second(
    axis: torch.Tensor,
    vectors: torch.Tensor,
    path: torch.Tensor,
    seen: torch.Tensor,
    constants: Constants,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit vectors (c, 3) normal to the axis, and weights (c,) from perp² fc²."""
    normal = vectors - (vectors @ axis)[:, None] * axis[None]
    squares = (normal**2).sum(1)
    strength = squares.detach() * torch.exp(2.0 * path.detach())
    if strength.size(0) == 0 or float(strength.max()) < constants.on_axis**2:
        basis = torch.eye(3, dtype=torch.float64)[int(axis.detach().abs().argmin())]
        other = basis - (basis * axis).sum() * axis
        other = other / torch.sqrt((other**2).sum())
        return other[None], torch.ones(1, dtype=torch.float64)
    kept = torch.nonzero(strength > strength.max() * math.exp(-constants.window))[:, 0]
    x = torch.log(squares[kept]) + 2.0 * path[kept]
    share = relative_weights(x, torch.zeros_like(kept), 1, constants.kappa, constants.ramp)
    final = torch.nonzero(share.detach() > constants.least)[:, 0]
    # many paths end with the same edge: their frames are the same, their weights are summed
    chosen = kept[final]
    one, of_path = torch.unique(seen[chosen], return_inverse=True)
    summed = torch.zeros(one.size(0), dtype=torch.float64).index_add(0, of_path, share[final])
    place = torch.zeros_like(one)
    place[of_path] = torch.arange(of_path.size(0))
    chosen = chosen[place]
    return normal[chosen] / torch.sqrt(squares[chosen])[:, None], summed
