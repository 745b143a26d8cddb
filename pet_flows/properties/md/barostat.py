"""Langevin piston: the cell as a particle with inertia, driven by the pressure's excess.

Equations of motion of G. J. Martyna, D. J. Tobias, M. L. Klein, J. Chem. Phys. 101, 4177 (1994),
with Langevin thermostats on atoms and cell instead of chains (D. Quigley, M. I. J. Probert,
J. Chem. Phys. 120, 11432 (2004)); the cell's rate of strain is kept symmetric, so that it does not
rotate. With ``p_g`` the momentum of the cell, ``W`` its mass, ``v = p_g / W`` and ``f`` degrees of
freedom:

    dr/dt = p/m + r v,   dh/dt = h v,   dp/dt = F - p (v + tr(v)/f),
    dp_g/dt = Σ p⊗p/m - V (σ + P) + (2K/f) 1

σ is the potential's stress (tension positive), P the pressure that is asked for. Conserved:
``E + K + tr(p_g²)/2W + ∫ P dV`` minus the heat of the thermostats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from scipy.special import exprel

from pet_flows.geometry.ragged import row_products, sum_by
from pet_flows.properties.md.thermostat import noise

_ONE = np.eye(3)


class Piston:
    """Momentum of one cell, which :class:`Pistons` moves.

    Parameters
    ----------
    motion
        ``isotropic``: the volume alone; ``full``: all six strains.
    degrees
        Of the atoms' momenta.
    kT
        eV.
    time
        ASE units; sets the mass, (f + 3) kT time² / 3.
    """

    def __init__(self, motion: Literal["isotropic", "full"], degrees: int, kT: float, time: float):
        self.motion = motion
        self.degrees = degrees
        self.mass = (degrees + 3) * kT * time**2 / 3.0
        self.values = np.zeros(11)
        """the momentum (3, 3); eV, ∫ P dV so far; eV, given by the cell's own thermostat"""

    def state(self) -> np.ndarray:
        """What a checkpoint must hold."""
        return self.values.copy()

    def restore(self, state: np.ndarray) -> None:
        """Inverse of :meth:`state`."""
        self.values[:] = state


class Pistons:
    """The pistons of S runs of N atoms, all of the same motion.

    Parameters
    ----------
    pistons
        In the order of the runs; their values are kept here from now on.
    owners
        ``(N,)`` int, whose each atom is.
    masses
        ``(N, 1)`` u.
    """

    def __init__(self, pistons: Sequence[Piston], owners: np.ndarray, masses: np.ndarray):
        values = np.stack([piston.values for piston in pistons])
        for piston, row in zip(pistons, values, strict=True):
            piston.values = row
        self.momenta = values[:, :9].reshape(-1, 3, 3)
        self._work, self._heat = values[:, 9], values[:, 10]
        self._isotropic = pistons[0].motion == "isotropic"
        self._inertia = np.array([piston.mass for piston in pistons])
        self._degrees = np.array([piston.degrees for piston in pistons])
        self._owners, self._masses = owners, masses

    @property
    def energies(self) -> np.ndarray:
        """``(S,)`` eV, their parts of the conserved quantities."""
        kinetic = (self.momenta**2).sum((1, 2)) / (2.0 * self._inertia)
        found: np.ndarray = kinetic + self._work - self._heat
        return found

    def push(
        self,
        momenta: np.ndarray,
        stresses: np.ndarray,
        cells: np.ndarray,
        pressures: np.ndarray,
        time: float,
    ) -> None:
        """Act on the cells with the difference of pressures, the kinetic part included.

        Parameters
        ----------
        momenta
            ``(N, 3)``, of the atoms.
        stresses, cells
            ``(S, 3, 3)`` eV/Å³ and Å, rows.
        pressures
            ``(S,)`` eV/Å³.
        """
        flows = momenta[:, :, None] * (momenta / self._masses)[:, None, :]
        flow = sum_by(self._owners, flows, len(cells))
        # of a kinetic energy's trace, spread over the degrees of freedom
        shared = np.trace(flow, axis1=1, axis2=2) / self._degrees
        outside = stresses + pressures[:, None, None] * _ONE
        force = flow - _volumes(cells) * outside + shared[:, None, None] * _ONE
        self.momenta += time * self._allowed(force)

    def kick(self, momenta: np.ndarray, forces: np.ndarray, time: float) -> None:
        """Momenta (N, 3) under forces and the motion of the cells, in place."""
        rates, axes = self._rates()
        rates = (-time * (rates + (rates.sum(1) / self._degrees)[:, None]))[self._owners]
        axes = axes[self._owners]
        along = row_products(momenta, axes) * np.exp(rates)
        along += time * row_products(forces, axes) * exprel(rates)
        momenta[:] = row_products(along, axes.swapaxes(1, 2))

    def drift(
        self,
        positions: np.ndarray,
        cells: np.ndarray,
        momenta: np.ndarray,
        pressures: np.ndarray,
        time: float,
    ) -> None:
        """Positions (N, 3) and cells (S, 3, 3), rows, move on, in place."""
        rates, axes = self._rates()
        rates = time * rates
        self._work += pressures * _volumes(cells)[:, 0, 0] * np.expm1(rates.sum(1))
        cells[:] = ((cells @ axes) * np.exp(rates)[:, None]) @ axes.swapaxes(1, 2)
        rates, axes = rates[self._owners], axes[self._owners]
        along = row_products(positions, axes) * np.exp(rates)
        along += time * row_products(momenta / self._masses, axes) * exprel(rates)
        positions[:] = row_products(along, axes.swapaxes(1, 2))

    def thermalize(
        self, kT: np.ndarray, decay: float, generators: Sequence[torch.Generator]
    ) -> None:
        """Ornstein–Uhlenbeck step of the cells' momenta, at ``(S,)`` eV."""
        before = (self.momenta**2).sum((1, 2))
        # of a matrix of normal numbers, this has unit variance along every direction that is left
        fresh = self._allowed(np.stack([noise((3, 3), each) for each in generators]))
        width = np.sqrt(self._inertia * kT * (1.0 - decay**2))
        self.momenta[:] = decay * self.momenta + width[:, None, None] * fresh
        self._heat += ((self.momenta**2).sum((1, 2)) - before) / (2.0 * self._inertia)

    def _allowed(self, matrices: np.ndarray) -> np.ndarray:
        """Their symmetric parts, or the parts that change the volume alone."""
        if self._isotropic:
            return np.trace(matrices, axis1=1, axis2=2)[:, None, None] / 3.0 * _ONE
        return (matrices + matrices.swapaxes(1, 2)) / 2.0

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal rates of strain (S, 3) and their axes (S, 3, 3), columns."""
        rates = self.momenta / self._inertia[:, None, None]
        if self._isotropic:
            return np.repeat(rates[:, 0, :1], 3, axis=1), np.tile(_ONE, (len(rates), 1, 1))
        values, axes = np.linalg.eigh(rates)
        return values, axes


def _volumes(cells: np.ndarray) -> np.ndarray:
    """(S, 1, 1) Å³."""
    return np.abs(np.linalg.det(cells))[:, None, None]
