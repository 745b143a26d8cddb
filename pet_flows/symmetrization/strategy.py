"""The one form of every symmetrization: structure → orthogonal matrices and weights.

A symmetrized energy is ``E(X) = Σ_k Σ_i W_ik f_i(X Q_k)`` with ``Σ_k W_ik = 1``, row vectors,
``x' = x Q``. A :class:`Strategy` binds to a structure once (finding its crystal reference, its
symmetry, ...) and the bound strategy then gives a :class:`Plan` for any later geometry of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from ase import Atoms

if TYPE_CHECKING:
    from pet_flows.crystallography.group import SpaceGroup
    from pet_flows.symmetrization.batch import BatchBound


@dataclass(frozen=True)
class Plan:
    """What the evaluator computes for one geometry of one structure of ``N`` atoms.

    Attributes
    ----------
    rotations
        ``(K, 3, 3)`` orthogonal matrices, proper or not; of a strategy that plans structure by
        structure (:class:`.batch.Separate`) a function of positions and cell that autograd follows.
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
    """

    rotations: torch.Tensor
    weights: torch.Tensor
    atoms: torch.Tensor | None = None
    basis: torch.Tensor | None = None
    image: torch.Tensor | None = None
    operations: tuple[torch.Tensor, torch.Tensor] | None = None


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

    def moving(self) -> Bound:
        """The same for one structure that moves step by step, which may remember where it was."""
        ...

    @staticmethod
    def join(bounds: Sequence[Any]) -> BatchBound:
        """Structures that are bound alike as one, which plans for all of them at once."""
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

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> Bound:
        """Bind to a structure.

        Parameters
        ----------
        atoms
            The structure.
        inherited
            An earlier ``Bound.as_dict()`` of its parent.
        group
            The space group that it has exactly, where that is known already: it need not be sought.

        Raises
        ------
        StructureError
            The strategy cannot serve this structure (reason ``symmetrization_refused``).
        """
        ...
