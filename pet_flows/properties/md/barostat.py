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

from typing import Literal

import numpy as np
import torch
from scipy.special import exprel

from pet_flows.properties.md.thermostat import noise


class Piston:
    """Momentum of one cell and what it moves.

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
        self.momentum = np.zeros((3, 3))
        self.work = 0.0
        """eV, ∫ P dV so far"""
        self.heat = 0.0
        """eV, given by the cell's own thermostat"""

    @property
    def energy(self) -> float:
        """EV, its part of the conserved quantity."""
        return float((self.momentum**2).sum() / (2.0 * self.mass)) + self.work - self.heat

    def push(
        self,
        momenta: np.ndarray,
        masses: np.ndarray,
        stress: np.ndarray,
        volume: float,
        pressure: float,
        time: float,
    ) -> None:
        """Act on the cell with the difference of pressures, the kinetic part included."""
        flow = momenta.T @ (momenta / masses[:, None])
        force = flow - volume * (stress + pressure * np.eye(3))
        force += np.trace(flow) / self.degrees * np.eye(3)
        self.momentum += time * self._allowed((force + force.T) / 2.0)

    def kick(self, momenta: np.ndarray, forces: np.ndarray, time: float) -> None:
        """Momenta (N, 3) under forces and the cell's motion, in place."""
        rates, axes = self._rates()
        rates = -time * (rates + rates.sum() / self.degrees)
        along = (momenta @ axes) * np.exp(rates) + time * (forces @ axes) * exprel(rates)
        momenta[:] = along @ axes.T

    def drift(
        self,
        positions: np.ndarray,
        cell: np.ndarray,
        momenta: np.ndarray,
        masses: np.ndarray,
        pressure: float,
        time: float,
    ) -> None:
        """Positions (N, 3) and cell (rows) move on, in place."""
        rates, axes = self._rates()
        volume = abs(float(np.linalg.det(cell)))
        rates = time * rates
        moved = time * (momenta / masses[:, None]) @ axes * exprel(rates)
        positions[:] = ((positions @ axes) * np.exp(rates) + moved) @ axes.T
        cell[:] = ((cell @ axes) * np.exp(rates)) @ axes.T
        self.work += pressure * volume * float(np.expm1(rates.sum()))

    def thermalize(self, kT: float, decay: float, generator: torch.Generator) -> None:
        """Ornstein–Uhlenbeck step of the cell's momentum."""
        before = float((self.momentum**2).sum())
        # of a matrix of normal numbers, this has unit variance along every direction that is left
        fresh = self._allowed(noise((3, 3), generator))
        width = np.sqrt(self.mass * kT * (1.0 - decay**2))
        self.momentum = decay * self.momentum + width * fresh
        self.heat += (float((self.momentum**2).sum()) - before) / (2.0 * self.mass)

    def _allowed(self, matrix: np.ndarray) -> np.ndarray:
        """Its symmetric part, or the part that changes the volume alone."""
        if self.motion == "isotropic":
            return np.trace(matrix) / 3.0 * np.eye(3)
        return (matrix + matrix.T) / 2.0

    def _rates(self) -> tuple[np.ndarray, np.ndarray]:
        """Principal rates of strain and their axes (columns)."""
        if self.motion == "isotropic":
            return np.full(3, self.momentum[0, 0] / self.mass), np.eye(3)
        rates, axes = np.linalg.eigh(self.momentum / self.mass)
        return rates, axes

    def state(self) -> np.ndarray:
        """What a checkpoint must hold."""
        return np.concatenate([self.momentum.ravel(), [self.work, self.heat]])

    def restore(self, state: np.ndarray) -> None:
        """Inverse of :meth:`state`."""
        self.momentum = state[:9].reshape(3, 3).copy()
        self.work, self.heat = float(state[9]), float(state[10])
