"""Strategies bound to many structures, as one: a batch is planned in a few steps, not one by one.

Everything of the structures stands side by side: their atoms, the atoms that are evaluated
(*sites*, those of primitive cells), their copies, their operations; index tensors say whose is
which. A single structure is a batch of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch

from pet_flows.crystallography.means import Means
from pet_flows.geometry.ragged import owners_of, row_products, rows_of, side_by_side, starts_of
from pet_flows.symmetrization.strategy import Bound, Plan


@dataclass(frozen=True)
class Operations:
    """Operations of structures onto themselves, each structure's a group.

    Attributes
    ----------
    means
        Over orthogonal Q of ``x_site Q = x_target`` up to a translation, in a frame of each
        structure in which they stay as they are.
    rotations
        ``(S, 3, 3)`` R of these frames, ``x = x_frame R``.
    """

    means: Means
    rotations: np.ndarray

    @cached_property
    def matrices(self) -> torch.Tensor:
        """``(M, 3, 3)`` orthogonal, of the structures as they lie."""
        rotations = self.rotations[self.means.of_operation]
        return torch.from_numpy(rotations.swapaxes(1, 2) @ self.means.matrices @ rotations)

    def scalars(self, values: torch.Tensor) -> torch.Tensor:
        """Means ``(E,)`` of values ``(E,)`` of the sites."""
        return torch.from_numpy(self.means.scalars(values.numpy()))

    def vectors(self, values: torch.Tensor) -> torch.Tensor:
        """Means ``(E, 3)`` of vectors ``(E, 3)`` of the sites."""
        rotations = self.rotations.take(self.means.of_site, 0)
        own = row_products(values.numpy(), rotations.swapaxes(1, 2))
        return torch.from_numpy(row_products(self.means.vectors(own), rotations))

    def tensors(self, values: torch.Tensor) -> torch.Tensor:
        """Means ``(S, 3, 3)`` of tensors ``(S, 3, 3)`` of the structures."""
        back = self.rotations.swapaxes(1, 2)
        own = self.means.tensors(self.rotations @ values.numpy() @ back)
        return torch.from_numpy(back @ own @ self.rotations)


@dataclass(frozen=True)
class BatchPlan:
    """What the evaluator computes for one geometry of each of S structures of N atoms together.

    Attributes
    ----------
    copies, sites
        ``(S,)`` int, rotations and evaluated atoms of each structure.
    rotations
        ``(C, 3, 3)``, as in :class:`.strategy.Plan`, structure after structure.
    weights
        ``(W,)``, of each structure ``(K, n)`` row by row.
    atoms, image
        ``(E,)`` int, the atom that each site is; ``(N,)`` int, the site that each atom repeats;
        None where all atoms are evaluated.
    bases
        ``(S, 3, 3)``: evaluated cells are ``bases @ cells``; None with all atoms.
    operations
        Over which energies, forces and stresses are averaged; None if there are none but
        identities.
    pull
        Derivatives with respect to positions ``(N, 3)`` and strains ``(S, 3, 3)``,
        ``x → x (1 + ε)``, of what has the derivatives ``(C, 3, 3)`` and ``(W,)`` with respect to
        `rotations` and `weights`; None of either if nothing depends on it, or of both.
    """

    copies: np.ndarray
    sites: np.ndarray
    rotations: torch.Tensor
    weights: torch.Tensor
    atoms: torch.Tensor | None = None
    image: torch.Tensor | None = None
    bases: np.ndarray | None = None
    operations: Operations | None = None
    pull: Pull | None = None

    def alone(self) -> Plan:
        """The plan of the only structure of a batch, without its derivatives."""
        (k,), (n,) = self.copies.tolist(), self.sites.tolist()
        operations = None
        if self.operations is not None:
            target = torch.from_numpy(self.operations.means.target)
            operations = (self.operations.matrices, target.reshape(-1, n))
        basis = None if self.bases is None else torch.from_numpy(self.bases[0])
        return Plan(
            self.rotations, self.weights.reshape(k, n), self.atoms, basis, self.image, operations
        )


Pull = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor | None, torch.Tensor | None]]


class BatchBound(Protocol):
    """Structures that one strategy is bound to, as one."""

    def plan(self, positions: np.ndarray, cells: np.ndarray, gradients: bool = True) -> BatchPlan:
        """Plan for positions ``(N, 3)`` of all their atoms and cells ``(S, 3, 3)`` in Å.

        Parameters
        ----------
        positions, cells
            float64.
        gradients
            Whether `BatchPlan.pull` will be asked.

        Raises
        ------
        StructureError
            One of them cannot be planned for.
        """
        ...


def join(bounds: Sequence[Bound]) -> BatchBound:
    """Structures of a batch as one; all must be bound by the same strategy."""
    kinds = {type(bound) for bound in bounds}
    if len(kinds) > 1:
        raise TypeError(f"one batch, several kinds of symmetrization: {kinds}")
    return bounds[0].join(bounds)


class Separate:
    """Structures that are planned for one by one, by plans that autograd can follow."""

    def __init__(self, bounds: Sequence[Bound], n_atoms: Sequence[int]):
        self._bounds = bounds
        self._counts = np.array(n_atoms)

    def plan(self, positions: np.ndarray, cells: np.ndarray, gradients: bool = True) -> BatchPlan:
        """See :class:`BatchBound`."""
        places = torch.tensor(positions, dtype=torch.float64, requires_grad=gradients)
        strains = torch.zeros(len(cells), 3, 3, dtype=torch.float64, requires_grad=gradients)
        plans = []
        with torch.set_grad_enabled(gradients):
            deform = torch.eye(3, dtype=torch.float64) + strains
            deformed = torch.tensor(cells, dtype=torch.float64) @ deform
            parts = places.split(self._counts.tolist())
            for bound, x, cell, d in zip(self._bounds, parts, deformed, deform, strict=True):
                plans.append(bound.plan(x @ d, cell))
            plan = merged(plans, self._counts)
        if not plan.rotations.requires_grad and not plan.weights.requires_grad:
            return plan

        def pull(
            of_rotations: torch.Tensor, of_weights: torch.Tensor
        ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
            through = [
                (out, grad)
                for out, grad in ((plan.rotations, of_rotations), (plan.weights, of_weights))
                if out.requires_grad
            ]
            found = torch.autograd.grad(
                [out for out, _ in through],
                [places, strains],
                [grad for _, grad in through],
                allow_unused=True,
            )
            return found[0], found[1]

        return BatchPlan(
            plan.copies, plan.sites, plan.rotations.detach(), plan.weights.detach(),
            plan.atoms, plan.image, plan.bases, plan.operations, pull,
        )  # fmt: skip


def merged(plans: Sequence[Plan], n_atoms: np.ndarray) -> BatchPlan:
    """Plans of structures of so many atoms ``(S,)`` as one."""
    copies = np.array([len(plan.rotations) for plan in plans])
    sites = np.array([plan.weights.shape[1] for plan in plans])
    atoms = image = bases = None
    if any(plan.atoms is not None for plan in plans):
        first = starts_of(n_atoms), starts_of(sites)
        whole = [np.arange(n) for n in n_atoms]
        atoms = torch.from_numpy(side_by_side(
            [w if p.atoms is None else p.atoms.numpy() for p, w in zip(plans, whole, strict=True)],
            first[0],
        ))  # fmt: skip
        image = torch.from_numpy(side_by_side(
            [w if p.image is None else p.image.numpy() for p, w in zip(plans, whole, strict=True)],
            first[1],
        ))  # fmt: skip
        bases = np.stack([np.eye(3) if p.basis is None else p.basis.numpy() for p in plans])
    return BatchPlan(
        copies, sites,
        torch.cat([plan.rotations for plan in plans]),
        torch.cat([plan.weights.reshape(-1) for plan in plans]),
        atoms, image, bases, _operations(plans, sites),
    )  # fmt: skip


def _operations(plans: Sequence[Plan], sites: np.ndarray) -> Operations | None:
    if all(plan.operations is None for plan in plans):
        return None
    one = torch.eye(3, dtype=torch.float64)[None]
    pairs = [
        plan.operations or (one, torch.arange(n)[None])
        for plan, n in zip(plans, sites, strict=True)
    ]
    counts = np.array([len(matrices) for matrices, _ in pairs])
    owner, first = owners_of(counts), starts_of(sites)
    n_rows = sites[owner]
    means = Means(
        counts,
        owners_of(n_rows),
        rows_of(first[owner], n_rows),
        side_by_side([p.numpy().ravel() for _, p in pairs], first),
        np.concatenate([matrices.numpy() for matrices, _ in pairs]),
    )
    return Operations(means, np.tile(np.eye(3), (len(sites), 1, 1)))
