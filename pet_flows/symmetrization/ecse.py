"""Exact symmetrization of anything by frames of neighbour pairs (ECSE).

Every atom's energy is the weighted mean of what the model says of the structure rotated into each
of its frames. An improper operation takes ``X Rᵀ`` to ``X Rᵀ M``, ``M = diag(1, 1, −1)``, so
each frame comes with that mirror partner; a group of rotations k after it, ``Rᵀ M k``, pulls the
result towards the mean over all orientations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.primitive import find_primitive
from pet_flows.crystallography.sites import EXACT
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.symmetrization.batch import Separate
from pet_flows.symmetrization.ecse_axial import axial_frames
from pet_flows.symmetrization.ecse_frames import Scope, frame_weights
from pet_flows.symmetrization.ecse_graph import find_edges
from pet_flows.symmetrization.ecse_orbits import reduce_copies
from pet_flows.symmetrization.grid import off_axis_group
from pet_flows.symmetrization.spec import StrategySpec
from pet_flows.symmetrization.strategy import Plan


@dataclass(frozen=True)
class Ecse:
    """Strategy for molecules, clusters, slabs and disordered matter.

    Parameters
    ----------
    scope
        Which frames serve an atom: ``local``, ``structure`` or ``atom``.
    group
        None, ``tetrahedral`` or ``icosahedral``: rotations after each frame.
    cutoff
        Å, of the model; None until it is configured.
    n_layers
        Message passings of the model.
    """

    scope: str = "local"
    group: str | None = None
    cutoff: float | None = None
    n_layers: int = 2

    @property
    def spec(self) -> str:
        """Canonical spec string."""
        return StrategySpec("ecse", self.group, scope=self.scope).canonical

    def configure(self, cutoff: float, n_layers: int) -> Ecse:
        """The same for a model: its cutoff decides frames, its layers what an atom can see."""
        return replace(self, cutoff=cutoff, n_layers=n_layers)

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> EcseBound:
        """Bind to a structure of any kind.

        Raises
        ------
        StructureError
            Atoms coincide, or positions are not finite.
        """
        if self.cutoff is None:
            raise PetFlowsError("Ecse needs a model's cutoff: call configure(cutoff, n_layers).")
        if not np.isfinite(atoms.positions).all():
            raise StructureError(
                "not_finite", "The structure has positions that are not finite: correct it."
            )
        return EcseBound(self, atoms)


class EcseBound:
    """Ecse for one structure: frames are found again for every geometry."""

    warnings: tuple[str, ...] = ()
    reference_digest: str | None = None

    def __init__(self, strategy: Ecse, atoms: Atoms):
        assert strategy.cutoff is not None
        self._cutoff = strategy.cutoff
        self._n_layers = strategy.n_layers
        self._scope = cast(Scope, strategy.scope)
        self._numbers = atoms.numbers.copy()
        self._pbc = np.array(atoms.pbc, dtype=bool)
        self._mirror = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, 1.0, -1.0]))])
        self._mirror = self._mirror.double()
        group = np.eye(3)[None] if strategy.group is None else off_axis_group(strategy.group)
        self._group = torch.tensor(group)

    @property
    def partners(self) -> torch.Tensor:
        """``(k, 3, 3)``, what follows each frame: its mirror partner, and the group."""
        return (self._mirror[:, None] @ self._group).reshape(-1, 3, 3)

    def moving(self) -> EcseBound:
        """Itself: it remembers nothing."""
        return self

    @staticmethod
    def join(bounds: Sequence[EcseBound]) -> Separate:
        """As one; frames are found structure by structure."""
        return Separate(bounds, [len(bound._numbers) for bound in bounds])

    def as_dict(self) -> dict[str, Any]:
        """Empty: frames come from the geometry alone, so that nothing is inherited."""
        return {}

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        """Rotations ``Rᵀ M k`` of all frames in use, and their weights for every atom.

        Raises
        ------
        StructureError
            ``overlapping_atoms``: two atoms are at the same place.
        """
        atoms, basis, image = self._primitive(positions, cell)
        if atoms is not None and basis is not None:
            positions, cell = positions[atoms], basis @ cell
        edges = find_edges(positions, cell, self._pbc, self._cutoff)
        if len(edges.first) and float(edges.lengths.detach().min()) < 1e-6:
            raise StructureError(
                "overlapping_atoms", "Two atoms are at the same place: remove one of them."
            )
        bent = frame_weights(edges, self._scope, self._cutoff)
        axial, axial_weights = axial_frames(
            edges, bent.linear, self._scope, self._cutoff, self._n_layers
        )
        frames = torch.cat([bent.frames, axial])
        weights = torch.cat([bent.weights, axial_weights])
        # weights below what matters were left out: what remains is one in sum again
        weights = weights / weights.sum(0)
        rotations = (frames.transpose(1, 2)[:, None] @ self._mirror).reshape(-1, 3, 3)
        weights = weights.repeat_interleave(2, 0) / 2
        operations = None
        if self._reducible:
            numbers = self._numbers if atoms is None else self._numbers[atoms.numpy()]
            rotations, weights, operations = reduce_copies(
                rotations, weights, numbers, cell.detach().numpy(), positions.detach().numpy()
            )
        k = len(self._group)
        if k > 1:
            rotations = (rotations[:, None] @ self._group).reshape(-1, 3, 3)
            weights = weights.repeat_interleave(k, 0) / k
        return Plan(rotations, weights, atoms, basis, image, operations)

    @property
    def _reducible(self) -> bool:
        """Whether the structure's own symmetry may save evaluations."""
        # pooled weights depend on how often a frame occurs: no reduction in that scope
        return bool(self._pbc.all()) and self._scope != "structure"

    def _primitive(
        self, positions: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """Atoms, basis and image of a smaller cell that says the same, or three None."""
        if not self._reducible or len(positions) == 1:
            return None, None, None
        found = find_primitive(
            self._numbers, cell.detach().numpy(), positions.detach().numpy(), EXACT
        )
        if len(found.atoms) == len(found.image):
            return None, None, None
        return torch.tensor(found.atoms), torch.tensor(found.basis), torch.tensor(found.image)
