"""A crystal bound to its reference: the plan of any geometry, cheap enough for every step."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.operations import find_operations
from pet_flows.crystallography.primitive import Primitive, find_primitive
from pet_flows.crystallography.sites import EXACT
from pet_flows.errors import StructureError
from pet_flows.symmetrization.crystal_batch import (
    KEPT,
    LIMIT,
    CrystalBatch,
    Symmetries,
    near_reference,
)
from pet_flows.symmetrization.grid import off_axis_group
from pet_flows.symmetrization.reference import CrystalReference
from pet_flows.symmetrization.setting import strain_of
from pet_flows.symmetrization.strategy import Plan
from pet_flows.symmetrization.subgroup import Subgroup

#: traceless logarithmic strain against the reference that is warned about
DOUBTFUL = 0.08


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
    group_of_atoms
        Their space group, if it is known; taken if it is exact.
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
        group_of_atoms: SpaceGroup | None = None,
    ):
        self.reference = reference
        self.setting = setting
        self._oriented = oriented
        self._following = np.eye(3)[None] if group is None else off_axis_group(group)
        self._numbers = atoms.numbers.copy()
        self.inverse = np.linalg.inv(setting @ reference.h0)
        self._frames: dict[bytes, np.ndarray] = {}
        cell = atoms.cell.array
        polar = near_reference(self.inverse[None] @ cell)
        strain, rotation = strain_of(polar.stretches)[0], polar.rotation[0]
        self.warnings = warnings
        if strain > DOUBTFUL:
            self.warnings += (
                f"The cell is strained by {strain:.3f} against its crystal reference (refused "
                f"above {LIMIT}): give it as a structure of its own if it has become another "
                "crystal.",
            )
        found = None
        if group_of_atoms is not None:
            found = self._of_group(group_of_atoms, atoms.positions, cell)
        if found is None:
            found = self._find(atoms.positions, cell, rotation, primitive)
        self.known = [found]
        """symmetries that it may have, of which the first that holds is taken"""
        self.moves = False
        """whether it goes on from wherever it was last: see :meth:`moving`"""
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
                self.known.insert(0, parent)
        alone = self.known[0] is found
        self.symmetry = found if alone else self.symmetry_at(atoms.positions, cell, rotation)

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

    def moving(self) -> CrystalBound:
        """The same for one structure that moves step by step.

        A symmetry that does not hold any more is not looked for again at each step: what was found
        instead is taken as long as it holds. Results do not depend on that, because a mean over
        fewer operations needs more evaluations, and is the same.
        """
        other = copy(self)
        other.known, other.moves = list(self.known), True
        return other

    @staticmethod
    def join(bounds: Sequence[CrystalBound]) -> CrystalBatch:
        """As one."""
        return CrystalBatch(bounds)

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """Rotations ``Rᵀ g k`` for one g of each coset, on the primitive cell.

        Raises
        ------
        StructureError
            ``symmetrization_refused``: the cell has left the range of its reference.
        """
        batch = CrystalBatch([self])
        return batch.plan(positions.detach().numpy(), cell.detach().numpy()[None]).alone()

    def representatives(self, symmetry: Subgroup) -> np.ndarray:
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

    def symmetry_at(
        self, positions: np.ndarray, cell: np.ndarray, rotation: np.ndarray, after: int = 0
    ) -> Subgroup:
        """The symmetry inherited or bound with, where it holds; otherwise what is found exactly.

        Parameters
        ----------
        positions, cell
            ``(N, 3)`` and ``(3, 3)`` Å.
        rotation
            R ``(3, 3)`` of the cell against its reference.
        after
            So many of those that are known do not hold.
        """
        for known in self.known[after:]:
            own = Symmetries([self], [known])
            if own.residual(positions, cell[None], rotation[None])[0] <= KEPT:
                return known
        return self._find(positions, cell, rotation)

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

    def _of_group(
        self, group: SpaceGroup, positions: np.ndarray, cell: np.ndarray
    ) -> Subgroup | None:
        """The symmetry of a structure whose space group is known; None if that is not exact."""
        primitive = group.primitive
        if self._oriented:
            alone = Subgroup(primitive, np.array([0]), np.arange(len(primitive.atoms))[None])
            return alone if primitive.residual(positions, cell) <= EXACT else None
        if group.residual(positions, cell) > EXACT:
            return None
        # W of the primitive basis b in that of the reference: b = M h0 F
        change = primitive.basis @ self.setting
        place = self.reference.places(np.rint(np.linalg.inv(change) @ group.rotations @ change))
        order = np.argsort(place)
        if place[order[0]] != 0 or (np.diff(place[order]) == 0).any():
            return None
        # they have all their products, being those of a space group in another basis
        return Subgroup(primitive, place[order], group.permutations[order])

    def _inherited(self, parent: Subgroup) -> Subgroup:
        """What of a parent's symmetry, found under another variant perhaps, this one has."""
        if not self._oriented:
            return parent
        n = len(parent.primitive.atoms)
        return Subgroup(parent.primitive, np.array([0]), np.arange(n)[None])
