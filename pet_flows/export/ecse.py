"""Ecse frames in TorchScript: :mod:`pet_flows.symmetrization.ecse_frames` for exported files.

The same frames, weights and constants, with the engine's neighbour list in place of an own one
and without the shortcuts that only save time there; a test holds the two equal to round-off.
"""

import torch

from pet_flows.export.ecse_axial import axial_frames
from pet_flows.export.ragged import (
    Constants,
    Edges,
    group_max,
    log_fade,
    log_norm,
    quintic,
    ragged,
    relative_weights,
    safe_log,
)

# No `from __future__ import annotations` here: TorchScript reads the annotations.


class EcseFrames(torch.nn.Module):
    """``Q = Rᵀ M k`` of all frames in use, with their weights for every atom.

    Parameters
    ----------
    partners
        ``(p, 3, 3)`` matrices M k, mirror partners included.
    scope
        ``local``, ``atom`` or ``structure``.
    which
        Number of the full neighbour list up to the model's cutoff.
    to_angstrom
        Å in the model's length unit.
    cutoff
        Å.
    n_layers
        Message passings of the model.
    constants
        Of the scope.
    """

    partners: torch.Tensor
    constants: Constants

    def __init__(
        self,
        partners: torch.Tensor,
        scope: str,
        which: int,
        to_angstrom: float,
        cutoff: float,
        n_layers: int,
        constants: Constants,
    ):
        super().__init__()
        self.register_buffer("partners", partners.to(torch.float64))
        self.scope = scope
        self.which = which
        self.to_angstrom = to_angstrom
        self.cutoff = cutoff
        self.n_layers = n_layers
        self.constants = constants
        self.log_bent = float(torch.tensor(constants.bent, dtype=torch.float64).log())
        #: pairs of neighbours looked at together, for memory
        self.block = 2_000_000

    def forward(
        self, pbc: torch.Tensor, tensors: list[torch.Tensor], pairs: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations ``(K, 3, 3)`` and weights ``(K, n)``, functions of the edge vectors."""
        n = tensors[0].size(0)
        device = tensors[0].device
        samples = pairs[self.which].cpu().long()
        vectors = tensors[2 + self.which].cpu() * self.to_angstrom
        edges = Edges(n, samples[:, 0], samples[:, 1], vectors, self.cutoff)
        log_fc = log_fade(edges.lengths, self.cutoff - self.constants.fade, self.cutoff)
        frames, weights, linear = self.bent_frames(edges, log_fc)
        axial, shares = axial_frames(edges, log_fc, linear, self.n_layers, self.constants)
        frames = torch.cat([frames, axial])
        weights = torch.cat([weights, shares])
        # weights below what matters were left out: what remains is one in sum again
        weights = weights / weights.sum(0)
        partners = self.partners.cpu()
        k = partners.size(0)
        rotations = (frames.transpose(1, 2)[:, None] @ partners[None]).reshape(-1, 3, 3)
        weights = weights.repeat_interleave(k, 0) / k
        return rotations.to(device), weights.to(device)

    def bent_frames(
        self, edges: Edges, log_fc: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Frames ``(F, 3, 3)``, weights ``(F, n)`` with sum 1 − λ, and λ ``(n,)``."""
        n = edges.n_atoms
        log_u = log_fade(edges.lengths, self.constants.near, self.cutoff)
        voices = log_u.detach()
        one, two, log = self.candidates(edges, log_fc.detach(), self.constants.beta)
        linear = self.linearity(edges, log_fc, log_u)
        everyone = torch.ones(n, dtype=torch.bool)
        atom, which, link = self.entries(edges, voices, one, log, everyone)
        x = log_area(edges, log_fc, one[which], two[which]) + linked(log_u, link)
        x = x - self.constants.beta * (edges.lengths[one[which]] + edges.lengths[two[which]])
        w = (
            relative_weights(x, atom, n, self.constants.kappa, self.constants.ramp)
            * (1.0 - linear)[atom]
        )
        kept = torch.nonzero(w.detach() > self.constants.least)[:, 0]
        final, row = torch.unique(which[kept], return_inverse=True)
        if self.scope == "structure":
            pooled = torch.zeros(final.size(0), dtype=torch.float64).index_add(0, row, w[kept])
            weights = pooled[:, None].repeat(1, n)
        else:
            flat = torch.zeros(final.size(0) * n, dtype=torch.float64)
            weights = flat.index_add(0, row * n + atom[kept], w[kept]).reshape(-1, n)
        one, two = one[final], two[final]
        e1 = edges.vectors[one] / edges.lengths[one][:, None]
        normal = torch.linalg.cross(e1, edges.vectors[two])
        e3 = normal / torch.linalg.vector_norm(normal, dim=1, keepdim=True)
        return torch.stack([e1, torch.linalg.cross(e3, e1), e3], 1), weights, linear

    def candidates(
        self, edges: Edges, log_fc: torch.Tensor, beta: float
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Ordered edge pairs with a common centre that can matter, and log a, without a graph."""
        vectors, lengths = edges.vectors.detach(), edges.lengths.detach()
        unit = vectors / lengths[:, None]
        many = edges.count * (edges.count - 1).clamp_min(0)
        blocks = torch.div(torch.cumsum(many, 0), self.block, rounding_mode="floor")
        ones: list[torch.Tensor] = [torch.zeros(0, dtype=torch.long)]
        twos: list[torch.Tensor] = [torch.zeros(0, dtype=torch.long)]
        logs: list[torch.Tensor] = [torch.zeros(0, dtype=torch.float64)]
        for block in torch.unique(blocks):
            centres = torch.nonzero((blocks == block) & (many > 0))[:, 0]
            owner, place = ragged(many[centres])
            centre = centres[owner]
            others = (edges.count[centre] - 1).clamp_min(1)
            one = torch.div(place, others, rounding_mode="floor")
            two = place - one * others
            two = two + (two >= one).long()
            one, two = one + edges.start[centre], two + edges.start[centre]
            sine2 = (torch.linalg.cross(unit[one], unit[two]) ** 2).sum(1)
            log = log_fc[one] + log_fc[two] + 2.0 * safe_log(sine2)
            log = log - beta * (lengths[one] + lengths[two])
            top = group_max(log, centre, edges.n_atoms)
            kept = torch.nonzero((log > top[centre] - self.constants.window) & (log > -600.0))[:, 0]
            ones.append(one[kept])
            twos.append(two[kept])
            logs.append(log[kept])
        return torch.cat(ones), torch.cat(twos), torch.cat(logs)

    def entries(
        self,
        edges: Edges,
        log_u: torch.Tensor,
        one: torch.Tensor,
        log: torch.Tensor,
        wanted: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Which pair makes a frame for which atom: atom, pair, and edge in between (−1 if none)."""
        n = edges.n_atoms
        every = torch.arange(log.size(0))
        none = torch.full_like(every, -1)
        if self.scope == "structure":
            # atom 0 stands for every one
            top = group_max(log, torch.zeros_like(every), 1)
            kept = torch.nonzero(log > top[0] - self.constants.window)[:, 0]
            return torch.zeros_like(kept), every[kept], none[kept]
        owner_of_pair = edges.first[one]
        if self.scope == "atom":
            kept = torch.nonzero(wanted[owner_of_pair])[:, 0]
            return owner_of_pair[kept], every[kept], none[kept]
        top = group_max(log, owner_of_pair, n)
        # an atom listens to itself and, through an edge, to centres around it
        self_ = torch.arange(n)
        atom = torch.cat([self_, edges.first])
        centre = torch.cat([self_, edges.second])
        link = torch.cat([torch.full_like(self_, -1), torch.arange(edges.first.size(0))])
        voice = torch.cat([torch.zeros(n, dtype=torch.float64), log_u])
        loud = torch.where(
            top[centre] > -600.0, top[centre] + voice, torch.full_like(voice, -1e300)
        )
        needed = group_max(loud, atom, n)[atom] - self.constants.window - voice
        heard = (top[centre] > needed) & (voice > -600.0) & (top[centre] > -600.0) & wanted[atom]
        atom, centre, link, needed = atom[heard], centre[heard], link[heard], needed[heard]
        size = torch.bincount(owner_of_pair, minlength=n)
        begin = torch.cumsum(size, 0) - size
        # pairs are sorted by centre, since edges are by their first atom
        owner, place = ragged(size[centre])
        which = begin[centre[owner]] + place
        kept = torch.nonzero(log[which] > needed[owner])[:, 0]
        owner = owner[kept]
        return atom[owner], which[kept], link[owner]

    def linearity(self, edges: Edges, log_fc: torch.Tensor, log_u: torch.Tensor) -> torch.Tensor:
        """λ ``(n,)``: one minus a step of the p-norm A of fc fc' sin⁴θ u."""
        n = edges.n_atoms
        voices = log_u.detach()
        one, two, log = self.candidates(edges, log_fc.detach(), 0.0)
        if self.scope == "structure":
            top = group_max(log, torch.zeros_like(one), 1).repeat(n)
        else:
            top = group_max(log, edges.first[one], n)
            if self.scope == "local":
                near = group_max(top[edges.second] + voices, edges.first, n)
                top = torch.maximum(top, near)
        bent = top >= self.log_bent
        if bool(bent.all()):
            return torch.zeros(n, dtype=torch.float64)
        atom, which, link = self.entries(edges, voices, one, log, ~bent)
        x = log_area(edges, log_fc, one[which], two[which]) + linked(log_u, link)
        norms = log_norm(x, atom, n, self.constants.kappa)
        # 1 − S(A) = S(1 − A)
        linear = quintic(1.0 - torch.exp(norms.clamp_min(-700.0)) / self.constants.bent)
        if self.scope == "structure":
            return linear[:1].repeat(n)
        return torch.where(bent, torch.zeros_like(linear), linear)


def log_area(
    edges: Edges, log_fc: torch.Tensor, one: torch.Tensor, two: torch.Tensor
) -> torch.Tensor:
    """Log fc fc' sin⁴θ of edge pairs."""
    unit = edges.vectors / edges.lengths[:, None]
    sine2 = (torch.linalg.cross(unit[one], unit[two]) ** 2).sum(1)
    return log_fc[one] + log_fc[two] + 2.0 * safe_log(sine2)


def linked(log_u: torch.Tensor, link: torch.Tensor) -> torch.Tensor:
    """Log u of the edges in between, 0 where there is none."""
    padded = torch.cat([log_u, torch.zeros(1, dtype=log_u.dtype)])
    return padded[torch.where(link < 0, torch.full_like(link, log_u.size(0)), link)]
