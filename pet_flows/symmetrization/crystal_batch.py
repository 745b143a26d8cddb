"""Crystals bound to their references, many as one: the plan of any geometry of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from pet_flows.crystallography.batch import SymmetryBatch
from pet_flows.crystallography.means import Means
from pet_flows.errors import StructureError
from pet_flows.geometry.ragged import owners_of, starts_of, sum_by
from pet_flows.symmetrization.batch import BatchPlan, Operations
from pet_flows.symmetrization.held import Held
from pet_flows.symmetrization.polar import Polar
from pet_flows.symmetrization.setting import strain_of
from pet_flows.symmetrization.subgroup import Subgroup

if TYPE_CHECKING:
    from pet_flows.symmetrization.crystal_bound import CrystalBound

#: traceless logarithmic strain against the reference that is refused
LIMIT = 0.15
#: Å; a symmetry that was found exactly is kept while it holds to this, which float32 can do
KEPT = 5e-6


def near_reference(deformations: np.ndarray) -> Polar:
    """How cells lie that are deformed by F ``(S, 3, 3)`` against their references.

    Raises
    ------
    StructureError
        ``not_finite`` or ``symmetrization_refused``.
    """
    if not np.isfinite(deformations).all():
        raise StructureError(
            "not_finite",
            "A lattice vector is not finite any more: check the structure, or use another model.",
        )
    polar = Polar.of(deformations)
    strain = strain_of(polar.stretches).max()
    if not strain <= LIMIT:
        raise StructureError(
            "symmetrization_refused",
            f"The cell is strained by {strain:.3f} against its crystal reference, more than "
            f"{LIMIT}, and so it is another crystal by now: give it as a structure of its own, "
            "or use ecse.",
        )
    return polar


class CrystalBatch:
    """See :class:`.batch.BatchBound`; made by `CrystalBound.join`."""

    def __init__(self, bounds: Sequence[CrystalBound]):
        self._bounds = bounds
        self._inverse = np.stack([bound.inverse for bound in bounds])
        self._bound_with = Symmetries(bounds, [bound.known[0] for bound in bounds])

    def plan(self, positions: np.ndarray, cells: np.ndarray, gradients: bool = True) -> BatchPlan:
        """Rotations ``Rᵀ g k`` for one g of each coset, on the primitive cells.

        Raises
        ------
        StructureError
            ``symmetrization_refused``: a cell has left the range of its reference.
        """
        deformations = self._inverse @ cells
        polar = near_reference(deformations)
        symmetries = self._bound_with
        holding = symmetries.hold(positions, cells, polar)
        if not holding.all():
            symmetries = self._found_again(holding, positions, cells, polar)
        return symmetries.plan(polar, deformations)

    def _found_again(
        self, holding: np.ndarray, positions: np.ndarray, cells: np.ndarray, polar: Polar
    ) -> Symmetries:
        """The symmetries of all, those that do not hold any more found again."""
        first = starts_of(self._bound_with.operations.n_atoms)
        chosen = []
        for s, (bound, x) in enumerate(
            zip(self._bounds, np.split(positions, first[1:]), strict=True)
        ):
            if holding[s]:
                chosen.append(bound.known[0])
                continue
            chosen.append(bound.symmetry_at(x, cells[s], polar.rotation[s], 1))
            if bound.moves:
                bound.known.insert(0, chosen[-1])
        found = Symmetries(self._bounds, chosen)
        if all(b.known[0] is one for b, one in zip(self._bounds, chosen, strict=True)):
            self._bound_with = found
        return found


class Symmetries:
    """One symmetry for each crystal of a batch, and what it makes of the holohedry."""

    def __init__(self, bounds: Sequence[CrystalBound], chosen: Sequence[Subgroup]):
        self.operations = SymmetryBatch(chosen)
        frames = [b.representatives(c) for b, c in zip(bounds, chosen, strict=True)]
        self._copies = np.array([len(each) for each in frames])
        self._of_copy = owners_of(self._copies)
        self._frames = np.concatenate(frames)
        inverses = np.stack([bound.inverse for bound in bounds])
        self._lattices = self.operations.bases @ np.linalg.inv(inverses)
        self._held: Held | None = None
        self._own = np.concatenate(
            [b.reference.holohedry[c.operations] for b, c in zip(bounds, chosen, strict=True)]
        )

    def hold(self, positions: np.ndarray, cells: np.ndarray, polar: Polar) -> np.ndarray:
        """``(S,)`` bool, which are still there, in cells that lie like that."""
        if self._held is not None:
            holding = self._held.residuals(positions, cells, polar) <= KEPT
            if holding.all():
                return holding
        missed = self.residual(positions, cells, polar.rotation)
        holding = missed <= KEPT
        if holding.all():
            self._held = Held(
                self.operations, self._means, self._lattices, positions, cells, polar, missed
            )
        return holding

    def residual(
        self, positions: np.ndarray, cells: np.ndarray, rotations: np.ndarray
    ) -> np.ndarray:
        """``(S,)`` Å, by how far they are missed, in cells rotated by ``rotations (S, 3, 3)``."""
        matrices = Operations(self._means, rotations).matrices.numpy()
        return self.operations.residual(positions, cells, matrices)

    def plan(self, polar: Polar, deformations: np.ndarray) -> BatchPlan:
        """What is evaluated of structures of these symmetries."""
        symmetry = self.operations
        back = polar.rotation.swapaxes(1, 2)[self._of_copy]
        frames, of_copy = self._frames, self._of_copy

        def pull(of_rotations: torch.Tensor, of_weights: torch.Tensor) -> tuple[None, torch.Tensor]:
            """∂L/∂ε for F (1 + ε), from ∂L/∂Q with Q = Rᵀ times what is fixed."""
            products = frames @ of_rotations.numpy().swapaxes(1, 2)
            of_rotation = sum_by(of_copy, products, len(symmetry))
            gradient = polar.gradient(of_rotation)
            return None, torch.from_numpy(deformations.swapaxes(1, 2) @ gradient)

        several = len(symmetry.of_operation) > len(symmetry)
        whole = len(symmetry.atoms) == len(symmetry.image)
        return BatchPlan(
            self._copies,
            symmetry.n_sites,
            torch.from_numpy(back @ frames),
            self._weights,
            atoms=None if whole else torch.from_numpy(symmetry.atoms),
            image=None if whole else torch.from_numpy(symmetry.image),
            bases=None if whole else symmetry.bases,
            operations=Operations(self._means, polar.rotation) if several else None,
            pull=pull,
        )

    @cached_property
    def _means(self) -> Means:
        """Over the operations in the frames of the references."""
        return self.operations.means(self._own)

    @cached_property
    def _weights(self) -> torch.Tensor:
        shares = 1.0 / self._copies
        return torch.from_numpy(np.repeat(shares, self._copies * self.operations.n_sites))
