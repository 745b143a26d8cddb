"""A crystal bound to its reference: the plan of any geometry, cheap enough for every step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase import Atoms

from pet_flows.crystallography.operations import (
    find_operations,
    lattice_residual,
    operations_residual,
)
from pet_flows.crystallography.primitive import Primitive, find_primitive
from pet_flows.crystallography.sites import EXACT
from pet_flows.errors import StructureError
from pet_flows.symmetrization.grid import off_axis_group
from pet_flows.symmetrization.polar import Polar
from pet_flows.symmetrization.reference import CrystalReference
from pet_flows.symmetrization.setting import strain_of
from pet_flows.symmetrization.strategy import Plan
from pet_flows.symmetrization.subgroup import Subgroup

#: traceless logarithmic strain against the reference that is refused, and warned about
LIMIT, DOUBTFUL = 0.15, 0.08
#: Å; a symmetry that was found exactly is kept while it holds to this, which float32 can do
KEPT = 5e-6


class CrystalBound:
    """See :class:`pet_flows.symmetrization.crystal.Crystal`, which makes it.

    Parameters
    ----------
    reference
        Frozen lattice.
    setting
        ``(3, 3)`` int N, ``cell = N h0 F``.
    group, oriented
        Of the strategy.
    atoms
        Structure whose exact symmetry is looked for.
    warnings
        Collected so far.
    inherited
        A symmetry inherited from an earlier binding; used wherever it holds.
    primitive
        Primitive cell of the atoms, found at some tolerance; taken if it is exact.
    """

    def __init__(
        self,
        reference: CrystalReference,
        setting: np.ndarray,
        group: str | None,
        oriented: bool,
        atoms: Atoms,
        warnings: tuple[str, ...] = (),
        inherited: dict[str, Any] | None = None,
        primitive: Primitive | None = None,
    ):
        self.reference = reference
        self.setting = setting
        self._oriented = oriented
        self._following = np.eye(3)[None] if group is None else off_axis_group(group)
        self._numbers = atoms.numbers.copy()
        self._inverse = np.linalg.inv(setting @ reference.h0)
        self._frames: dict[bytes, np.ndarray] = {}
        cell = atoms.cell.array
        polar = Polar.of(self._inverse @ cell)
        strain, rotation = strain_of(polar.stretches), polar.rotation
        self._refuse(strain)
        self.warnings = warnings
        if strain > DOUBTFUL:
            self.warnings += (
                f"The cell is strained by {strain:.3f} against its crystal reference (refused "
                f"above {LIMIT}): give it as a structure of its own if it has become another "
                "crystal.",
            )
        found = self._find(atoms.positions, cell, rotation, primitive)
        self._known = [found]
        if inherited is not None and len(inherited["image"]) == len(atoms):
            parent = self._inherited(Subgroup.from_dict(inherited))
            if not parent.is_group(reference.table):
                raise StructureError(
                    "symmetrization_refused",
                    "The symmetry inherited by this structure is not a group, because a product "
                    "of two of its operations is missing or moves atoms elsewhere: leave what the "
                    "parent gave as it is, or leave it out.",
                )
            # a parent that knew less, being oriented only or distorted, is no help
            if parent.respects(self._numbers) and parent.order > found.order:
                self._known.insert(0, parent)
        self.symmetry = self._symmetry(atoms.positions, cell, rotation)

    @property
    def reference_digest(self) -> str:
        """Digest of the reference."""
        return self.reference.digest

    def as_dict(self) -> dict[str, Any]:
        """Reference, setting and exact symmetry: what a later binding of this crystal needs."""
        return {
            "reference": self.reference.as_dict(),
            "N": self.setting.tolist(),
            "group": self.symmetry.as_dict(),
        }

    @property
    def following_group(self) -> np.ndarray:
        """``(k, 3, 3)``, the group K that follows the holohedry."""
        return self._following

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """Rotations ``Rᵀ g k`` for one g of each coset, on the primitive cell.

        Raises
        ------
        StructureError
            ``symmetrization_refused``: the cell has left the range of its reference.
        """
        given = cell.detach().numpy()
        if not np.isfinite(given).all():
            raise StructureError(
                "not_finite",
                "A lattice vector is not finite any more: check the structure, or use another "
                "model.",
            )
        deformation = self._inverse @ given
        polar = Polar.of(deformation)
        self._refuse(strain_of(polar.stretches))
        rotation = polar.rotation
        symmetry = self._symmetry(positions.detach().numpy(), given, rotation)
        frames = self._representatives(symmetry)

        def pull(of_rotations: torch.Tensor) -> torch.Tensor:
            """∂L/∂ε for F (1 + ε), from ∂L/∂Q with Q = Rᵀ times what is fixed."""
            of_rotation = np.einsum("kab,kcb->ac", frames, of_rotations.numpy())
            return torch.from_numpy(deformation.T @ polar.gradient(of_rotation))

        rotations = torch.from_numpy(rotation.T @ frames)
        n = len(symmetry.primitive.atoms)
        weights = torch.full((len(rotations), n), 1.0 / len(rotations), dtype=torch.float64)
        operations = None
        if len(symmetry.operations) > 1:
            own = rotation.T @ self.reference.holohedry[symmetry.operations] @ rotation
            operations = (torch.from_numpy(own), torch.from_numpy(symmetry.permutations))
        if n == len(self._numbers):
            return Plan(rotations, weights, operations=operations, pull=pull)
        primitive = symmetry.primitive
        return Plan(
            rotations,
            weights,
            atoms=torch.from_numpy(primitive.atoms),
            basis=torch.from_numpy(primitive.basis),
            image=torch.from_numpy(primitive.image),
            operations=operations,
            pull=pull,
        )

    def _refuse(self, strain: float) -> None:
        if not strain <= LIMIT:
            raise StructureError(
                "symmetrization_refused",
                f"The cell is strained by {strain:.3f} against its crystal reference, more than "
                f"{LIMIT}, and so it is another crystal by now: give it as a structure of its own, "
                "or use ecse.",
            )

    def _representatives(self, symmetry: Subgroup) -> np.ndarray:
        """(K, 3, 3) products s k, s one element of each coset of the structure's group in H."""
        key = symmetry.operations.tobytes()
        if key not in self._frames:
            if self._oriented:
                chosen = [0]
            else:
                # the coset of s is {g s}: X g s is X s for an operation g of X
                cosets = self.reference.table[symmetry.operations].min(0)
                chosen = np.unique(cosets).tolist()
            own = self.reference.holohedry[chosen]
            self._frames[key] = (own[:, None] @ self._following[None]).reshape(-1, 3, 3)
        return self._frames[key]

    def _symmetry(self, positions: np.ndarray, cell: np.ndarray, rotation: np.ndarray) -> Subgroup:
        """The symmetry inherited or bound with, where it holds; otherwise what is found exactly.

        ``rotation`` is the rotation R ``(3, 3)`` of the cell against its reference.
        """
        for known in self._known:
            if self._holds(known, positions, cell, rotation):
                return known
        return self._find(positions, cell, rotation)

    def _holds(
        self, symmetry: Subgroup, positions: np.ndarray, cell: np.ndarray, rotation: np.ndarray
    ) -> bool:
        primitive = symmetry.primitive
        if primitive.residual(positions, cell) > KEPT:
            return False
        if len(symmetry.operations) == 1:
            return True
        lattice = primitive.basis @ cell
        matrices = rotation.T @ self.reference.holohedry[symmetry.operations] @ rotation
        if lattice_residual(lattice, matrices).max() > KEPT:
            return False
        chosen = positions[primitive.atoms]
        return operations_residual(lattice, chosen, matrices, symmetry.permutations) <= KEPT

    def _find(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        rotation: np.ndarray,
        primitive: Primitive | None = None,
    ) -> Subgroup:
        if primitive is None or primitive.residual(positions, cell) > EXACT:
            primitive = find_primitive(self._numbers, cell, positions, EXACT)
        n = len(primitive.atoms)
        alone = Subgroup(primitive, np.array([0]), np.arange(n)[None])
        if self._oriented:  # one orientation alone does not have the crystal's symmetry
            return alone
        operations, permutations = find_operations(
            self._numbers[primitive.atoms],
            primitive.basis @ cell,
            positions[primitive.atoms],
            rotation.T @ self.reference.holohedry @ rotation,
            EXACT,
        )
        found = Subgroup(primitive, operations, permutations)
        # round-off, of very skewed cells above all, can hide the identity, or a product of others
        return found if found.is_group(self.reference.table) else alone

    def _inherited(self, parent: Subgroup) -> Subgroup:
        """What of a parent's symmetry, found under another variant perhaps, this one has."""
        if not self._oriented:
            return parent
        n = len(parent.primitive.atoms)
        return Subgroup(parent.primitive, np.array([0]), np.arange(n)[None])
