"""How much a model's energies and forces differ between the orientations that were averaged."""

from __future__ import annotations

import numpy as np
import torch

from pet_flows.engines.rows import Rows
from pet_flows.geometry.ragged import largest_by


def energy_spread(
    rows: Rows, weights: torch.Tensor, energies: torch.Tensor, mean: torch.Tensor
) -> np.ndarray:
    """Weighted standard deviation over the rotations of the energy per atom, ``(S,)`` eV/atom.

    Every rotation is judged by the atoms it serves: by the mean, with its weights, of what
    their energies differ from their own means. With equal weights that is the deviation of the
    structure's energy.

    Parameters
    ----------
    rows
        What the weights are of.
    weights, energies
        ``(W,)``; energies of weight zero do not count.
    mean
        ``(E,)``, the symmetrized energies.
    """
    share = rows.by_copy(weights)
    off = rows.by_copy(weights * (energies - mean[rows.site])) / _divisor(share)
    variance = rows.by_structure(share * off**2) / rows.by_structure(share)
    return variance.clamp_min(0.0).sqrt().numpy()


def _divisor(share: torch.Tensor) -> torch.Tensor:
    """Weights to divide by: quadratures may have negative ones, and some are zero."""
    return torch.where(share == 0.0, 1.0, share)


class ForceSpread:
    """Rms over rotations, atoms and components of the force deviation, summed copy by copy.

    Forces of a copy mean something only if its atoms have equal weights: with weights by atom
    (ecse) the gradient of a copy's weighted energy is no force of the structure.

    Parameters
    ----------
    rows
        What the weights are of.
    weights
        ``(W,)``.

    Attributes
    ----------
    defined
        ``(S,)`` bool, whether there is one: for structures of several copies of equal weights.
    """

    def __init__(self, rows: Rows, weights: torch.Tensor):
        self._rows = rows
        self._shares = rows.by_copy(weights) / torch.from_numpy(rows.sites[rows.owners])
        unequal = (weights - self._shares[rows.copy]).abs().numpy()
        by_structure = largest_by(rows.copies * rows.sites, unequal)
        shares = largest_by(rows.copies, self._shares.abs().numpy())
        self.defined = (by_structure <= 1e-12 * shares) & (rows.copies > 1)
        # deviations are taken from the first copy: no cancellation where all are equal
        self._first = torch.zeros(int(rows.sites.sum()), 3, dtype=weights.dtype)
        self._shift = torch.zeros_like(self._first)
        self._squares = torch.zeros(len(rows.sites), dtype=weights.dtype)

    def add(self, rows: torch.Tensor, gradients: torch.Tensor) -> None:
        """Add gradients ``(r, 3)`` of the weighted energies of some rows ``(r,)``."""
        copy, site = self._rows.copy[rows], self._rows.site[rows]
        share = self._shares[copy][:, None]
        unweighted = gradients / _divisor(share)
        first = self._rows.is_first[copy]
        self._first[site[first]] = unweighted[first]
        off = unweighted - self._first[site]
        self._shift.index_add_(0, site, share * off)
        structure = torch.from_numpy(self._rows.owners)[copy]
        self._squares.index_add_(0, structure, (share * off**2).sum(1))

    def value(self, mean: torch.Tensor) -> np.ndarray:
        """Spreads ``(S,)`` in eV/Å around the mean gradient ``(E, 3)``, where they are defined."""
        gap = mean - self._first
        of_site = self._rows.of_site
        beside = torch.zeros_like(self._squares)
        beside.index_add_(0, of_site, ((gap - 2 * self._shift) * gap).sum(1))
        total = (self._squares + beside).clamp_min(0.0)
        return (total / torch.from_numpy(3 * self._rows.sites)).sqrt().numpy()
