"""The one form of every symmetrization: structure → orthogonal matrices and weights.

A symmetrized energy is ``E(X) = Σ_k Σ_i W_ik f_i(X Q_k)`` with ``Σ_k W_ik = 1``, row vectors,
``x' = x Q``. A :class:`Strategy` binds to a structure once (finding its crystal reference, its
symmetry, ...) and the bound strategy then gives a :class:`Plan` for any later geometry of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from ase import Atoms


@dataclass(frozen=True)
class Plan:
    """What the evaluator computes for one geometry of one structure of ``N`` atoms.

    Attributes
    ----------
    rotations
        ``(K, 3, 3)`` orthogonal matrices, proper or not; a function of positions and cell that
        autograd can follow where the strategy makes them depend on these, unless there is `pull`.
    weights
        ``(K, n)``, likewise differentiable. Their sum over ``k`` is one for each evaluated atom,
        or, with ``operations``, for the mean over the atoms that these exchange. The evaluator
        leaves out what has weight zero.
    atoms
        ``(n,)`` indices of the atoms that are evaluated (those of a primitive cell), or None
        for all ``N``.
    basis
        ``(3, 3)``: the evaluated cell is ``basis @ cell``, or None for the whole cell.
    image
        ``(N,)``: which evaluated atom each atom is a translated copy of; None with ``atoms``.
    operations
        Orthogonal matrices ``(m, 3, 3)`` and permutations ``(m, n)`` of the evaluated structure
        onto itself, ``x_i Q = x_perm[i]`` up to a translation: forces and stress are averaged
        over them, because ``rotations`` holds one representative of each coset only.
    pull
        Derivative with respect to a strain ε ``(3, 3)``, ``x → x (1 + ε)``, of what has the
        derivative ``(K, 3, 3)`` with respect to ``rotations``, for strategies whose rotations
        depend on the cell alone and that know it; None where autograd has to follow.
    """

    rotations: torch.Tensor
    weights: torch.Tensor
    atoms: torch.Tensor | None = None
    basis: torch.Tensor | None = None
    image: torch.Tensor | None = None
    operations: tuple[torch.Tensor, torch.Tensor] | None = None
    pull: Callable[[torch.Tensor], torch.Tensor] | None = None


class Bound(Protocol):
    """A strategy bound to one structure."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the record's ``warnings``."""
        ...

    @property
    def reference_digest(self) -> str | None:
        """Digest of the crystal reference, or None."""
        ...

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """Plan for ``positions (N, 3)`` and ``cell (3, 3)`` in Å, float64, on the CPU."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """What another calculation needs to bind the same crystal in the same way (JSON)."""
        ...


class Strategy(Protocol):
    """A symmetrization, chosen by its ``spec`` string."""

    @property
    def spec(self) -> str:
        """The canonical spec string."""
        ...

    def configure(self, cutoff: float, n_layers: int) -> Strategy:
        """The same strategy for a model with this cutoff (Å) and number of message passings."""
        ...

    def bind(self, atoms: Atoms, inherited: dict[str, Any] | None = None) -> Bound:
        """Bind to a structure; ``inherited`` is an earlier ``Bound.as_dict()`` of its parent.

        Raises
        ------
        StructureError
            The strategy cannot serve this structure (reason ``symmetrization_refused``).
        """
        ...


@dataclass(frozen=True)
class Fixed:
    """Rotations and weights that do not depend on the structure, bound to ``n_atoms`` atoms."""

    rotations: torch.Tensor
    n_atoms: int
    warnings: tuple[str, ...] = field(default=())
    reference_digest: str | None = None
    shares: torch.Tensor | None = None
    """(K,) weights of a quadrature, summing to one; None if all are equal"""

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """The fixed rotations, whatever the geometry."""
        k = len(self.rotations)
        shares = self.shares
        if shares is None:
            shares = torch.full((k,), 1.0 / k, dtype=self.rotations.dtype)
        return Plan(self.rotations, shares[:, None].repeat(1, self.n_atoms))

    def as_dict(self) -> dict[str, Any]:
        """Empty: the spec says everything, so that nothing is inherited."""
        return {}
