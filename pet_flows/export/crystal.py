"""Crystal frames in TorchScript: the reference inside the file, N chosen from the cell's metric.

A file keeps nothing between calls, so N, with ``cell = N h0 F``, is found each time: among
integer multiples of stored cells, with the rows in any order and of any sign, then, for small
cells, among all integer matrices. Which of the N that are equal by symmetry is met does not
matter, because the average is over the whole holohedry.
"""

import torch

# No `from __future__ import annotations` here: TorchScript reads the annotations.


class CrystalFrames(torch.nn.Module):
    """``Q = Rᵀ g k`` for all g of the holohedry, with ``F = S R`` from the cell.

    Parameters
    ----------
    h0
        ``(3, 3)`` rows of the reference lattice, in the model's length unit.
    bases
        ``(b, 3, 3)`` int, cells ``basis @ h0`` whose integer multiples are looked for first.
    products
        ``(K, 3, 3)`` orthogonal matrices g k.
    n_primitive
        Atoms in the reference's primitive cell.
    strict
        Only multiples of the first basis, its rows in their order: for an orientation that is
        not averaged over the holohedry.
    limit
        Traceless logarithmic strain that is refused.
    """

    h0: torch.Tensor
    bases: torch.Tensor
    products: torch.Tensor
    orders: torch.Tensor

    def __init__(
        self,
        h0: torch.Tensor,
        bases: torch.Tensor,
        products: torch.Tensor,
        n_primitive: int,
        strict: bool,
        limit: float,
    ):
        super().__init__()
        self.register_buffer("h0", h0.to(torch.float64))
        self.register_buffer("bases", bases.to(torch.float64))
        self.register_buffer("products", products.to(torch.float64))
        self.register_buffer("orders", _row_orders()[:1] if strict else _row_orders())
        self.n_primitive = n_primitive
        self.strict = strict
        self.limit = limit
        known = "of the very cell it was exported for" if strict else "of that crystal's cell"
        self.refusal = (
            "The cell does not match the crystal reference in this file within a strain of "
            f"{limit}: it must be an integer multiple {known}; export the model again for "
            "this crystal (pet-flows export --reference)."
        )
        #: combinations of three lattice vectors that the search among all of them may look at
        self.most = 2_000_000

    def forward(
        self, pbc: torch.Tensor, tensors: list[torch.Tensor], pairs: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Rotations ``(K, 3, 3)``, a function of the cell, and equal weights ``(K, n)``."""
        n = tensors[0].size(0)
        device = tensors[0].device
        cell = tensors[1].cpu()
        if not bool(pbc.all()) or float(torch.linalg.det(cell.detach()).abs()) < 1e-9:
            raise RuntimeError(
                "The crystal symmetrization in this file needs three independent periodic "
                "lattice vectors; export the model with a grid for anything else."
            )
        setting = self.find_setting(cell.detach(), n)
        rotation = self.rotation(torch.linalg.inv(setting @ self.h0.cpu()) @ cell)
        rotations = rotation.transpose(0, 1) @ self.products.cpu()
        k = rotations.size(0)
        weights = torch.full([k, n], 1.0 / k, dtype=torch.float64, device=device)
        return rotations.to(device), weights

    def rotation(self, deformation: torch.Tensor) -> torch.Tensor:
        """Orthogonal factor R of ``F = S R``, differentiable once.

        With ``S = U diag(s) Uᵀ``, ``dR = U Ω' Uᵀ R`` where ``Ω'_ij = (M' − M'ᵀ)_ij /
        (s_i + s_j)`` and ``M' = Uᵀ dF Rᵀ U``; see :mod:`pet_flows.symmetrization.polar`. The
        differential is applied to ``F − detach F``, which is zero and has the derivative of F.
        """
        axes, stretches, right = torch.linalg.svd(deformation.detach())
        rotation = axes @ right
        change = deformation - deformation.detach()
        inner = axes.transpose(0, 1) @ change @ rotation.transpose(0, 1) @ axes
        inner = (inner - inner.transpose(0, 1)) / (stretches[:, None] + stretches[None, :])
        return rotation + axes @ inner @ axes.transpose(0, 1) @ rotation

    def find_setting(self, cell: torch.Tensor, n_atoms: int) -> torch.Tensor:
        """N ``(3, 3)`` of a cell of ``n_atoms`` atoms; RuntimeError if there is none."""
        ratio = float(torch.linalg.det(cell).abs() / torch.linalg.det(self.h0.cpu()).abs())
        # atoms are counted exactly, volumes are not; but a vacancy changes the number of atoms
        counts: list[int] = []
        if n_atoms % self.n_primitive == 0:
            counts.append(n_atoms // self.n_primitive)
        if max(1, int(ratio + 0.5)) not in counts:
            counts.append(max(1, int(ratio + 0.5)))
        found = torch.zeros([0, 3, 3], dtype=torch.float64)
        for copies in counts:
            if found.size(0) == 0:
                found = self.best(self.multiples(copies), cell)
        for copies in counts:
            if found.size(0) == 0 and not self.strict:
                found = self.best(self.combinations(cell, copies), cell)
        if found.size(0) == 0:
            raise RuntimeError(self.refusal)
        return found[0]

    def best(self, settings: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
        """The setting with the smallest strain, ``(1, 3, 3)``; ``(0, 3, 3)`` if all are refused."""
        if settings.size(0) == 0:
            return settings
        deformation = torch.linalg.inv(settings @ self.h0.cpu()) @ cell
        # tr FᵀF / det^(2/3) is 3 without strain; a cheap bound before singular values are taken
        volume = torch.linalg.det(deformation).abs() ** (2.0 / 3.0)
        kept = (deformation**2).sum(2).sum(1) / volume <= 3.0 * torch.exp(
            torch.tensor(2.0 * self.limit)
        )
        settings, deformation = settings[kept], deformation[kept]
        if settings.size(0) == 0:
            return settings
        logs = torch.log(torch.linalg.svdvals(deformation))
        strains = (logs - logs.mean(1, keepdim=True)).abs().amax(1)
        first = int(strains.argmin())
        if float(strains[first]) > self.limit:
            return settings[:0]
        return settings[first : first + 1]

    def multiples(self, copies: int) -> torch.Tensor:
        """Stored cells times a, b, c along their vectors, ``copies`` primitive cells in all."""
        found: list[torch.Tensor] = [torch.zeros([0, 3, 3], dtype=torch.float64)]
        bases = self.bases.cpu()
        for n in range(1 if self.strict else bases.size(0)):
            size = int(torch.linalg.det(bases[n]).abs() + 0.5)
            if copies % size == 0:
                whole = copies // size
                for a in range(1, whole + 1):
                    if whole % a == 0:
                        rest = whole // a
                        for b in range(1, rest + 1):
                            if rest % b == 0:
                                scale = torch.tensor([a, b, rest // b], dtype=torch.float64)
                                found.append(self.orders.cpu() @ (scale[:, None] * bases[n]))
        return torch.cat(found)

    def combinations(self, cell: torch.Tensor, copies: int) -> torch.Tensor:
        """All N with rows as long and as inclined to each other as those of a small cell."""
        nothing = torch.zeros([0, 3, 3], dtype=torch.float64)
        h0 = self.h0.cpu()
        ratio = torch.linalg.det(cell).abs() / copies / torch.linalg.det(h0).abs()
        lattice = h0 * ratio ** (1.0 / 3.0)  # pure dilation is no strain
        lengths = torch.linalg.vector_norm(cell, dim=1)
        most = lengths.max() * torch.exp(torch.tensor(self.limit))
        steps = torch.ceil(most * torch.linalg.vector_norm(torch.linalg.inv(lattice), dim=0)).long()
        if int((2 * steps + 1).prod()) > self.most:
            return nothing
        axes = [torch.arange(-int(s), int(s) + 1) for s in steps]
        grid = torch.cartesian_prod(axes[0], axes[1], axes[2]).to(torch.float64)
        vectors = grid @ lattice
        own = torch.log(torch.linalg.vector_norm(vectors, dim=1).clamp_min(1e-9))
        rows = [torch.nonzero((own - torch.log(l)).abs() <= self.limit)[:, 0] for l in lengths]
        n = [r.size(0) for r in rows]
        if n[0] * n[1] > self.most:
            return nothing
        slack = 2.5 * self.limit * lengths[:, None] * lengths[None, :]
        wanted = cell @ cell.transpose(0, 1)
        v = [vectors[r] for r in rows]
        fits = (v[0] @ v[1].transpose(0, 1) - wanted[0, 1]).abs() <= slack[0, 1]
        pairs = torch.nonzero(fits)
        if pairs.size(0) * n[2] > self.most:
            return nothing
        one = (v[0] @ v[2].transpose(0, 1) - wanted[0, 2]).abs() <= slack[0, 2]
        two = (v[1] @ v[2].transpose(0, 1) - wanted[1, 2]).abs() <= slack[1, 2]
        triples = torch.nonzero(one[pairs[:, 0]] & two[pairs[:, 1]])
        first, second = rows[0][pairs[triples[:, 0], 0]], rows[1][pairs[triples[:, 0], 1]]
        found = torch.stack([grid[first], grid[second], grid[rows[2][triples[:, 1]]]], 1)
        return found[(torch.linalg.det(found).abs() - copies).abs() < 0.5]


def _row_orders() -> torch.Tensor:
    """(48, 3, 3) signed permutations of three rows, the identity first."""
    from itertools import permutations, product

    return torch.tensor(
        [
            [[float(sign) if column == place else 0.0 for column in range(3)]
             for place, sign in zip(order, signs, strict=True)]
            for order in permutations(range(3))
            for signs in product((1, -1), repeat=3)
        ],
        dtype=torch.float64,
    )  # fmt: skip
