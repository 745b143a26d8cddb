"""How much a model's energies and forces differ between the orientations that were averaged."""

from __future__ import annotations

import torch


def energy_spread(weights: torch.Tensor, energies: torch.Tensor, mean: torch.Tensor) -> float:
    """Weighted standard deviation over the rotations of the energy per atom, eV/atom.

    Every rotation is judged by the atoms it serves: by the mean, with its weights, of what
    their energies differ from their own means. With equal weights that is the deviation of the
    structure's energy.

    Parameters
    ----------
    weights, energies
        ``(K, n)``; energies of weight zero do not count.
    mean
        ``(n,)``, the symmetrized energies.
    """
    share = weights.sum(1)
    off = (weights * (energies - mean)).sum(1) / _divisor(share)
    return float(((share * off**2).sum() / share.sum()).clamp_min(0.0).sqrt())


def _divisor(share: torch.Tensor) -> torch.Tensor:
    """Weights to divide by: quadratures may have negative ones, and some are zero."""
    return torch.where(share == 0.0, 1.0, share)


class ForceSpread:
    """Rms over rotations, atoms and components of the force deviation, summed copy by copy.

    Forces of a copy mean something only if its atoms have equal weights: with weights by atom
    (ecse) the gradient of a copy's weighted energy is no force of the structure.

    Parameters
    ----------
    weights
        ``(K, n)``.
    """

    def __init__(self, weights: torch.Tensor):
        shares = weights.mean(1)
        self.defined = bool((weights - shares[:, None]).abs().max() <= 1e-12 * shares.abs().max())
        self._shares = shares
        # deviations are taken from the first copy: no cancellation where all are equal
        self._first: torch.Tensor | None = None
        self._shift = torch.zeros(weights.shape[1], 3, dtype=weights.dtype)
        self._squares = 0.0

    def add(self, copies: torch.Tensor, gradients: torch.Tensor) -> None:
        """Add the gradients ``(k, n, 3)`` of the weighted energies of some copies."""
        if not self.defined:
            return
        share = self._shares[copies][:, None, None]
        unweighted = gradients / _divisor(share)
        if self._first is None:
            self._first = unweighted[0]
        off = unweighted - self._first
        self._shift += (share * off).sum(0)
        self._squares += float((share * off**2).sum())

    def value(self, mean: torch.Tensor) -> float | None:
        """Spread in eV/Å around the mean gradient ``(n, 3)``; None where it is not defined."""
        if not self.defined or self._first is None:
            return None
        gap = mean - self._first
        total = self._squares - 2 * float((self._shift * gap).sum()) + float((gap**2).sum())
        return (max(0.0, total) / mean.numel()) ** 0.5
