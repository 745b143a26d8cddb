"""Thermostats of single runs: first velocities, Langevin noise, Nosé–Hoover chains.

torch-sim's draw one noise for a whole batch, and its chains cannot be swapped with their systems;
here each run has its own generator or chain, which its checkpoint holds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

#: fourth-order composition of H. Yoshida, Phys. Lett. A 150, 262 (1990)
_W = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))
YOSHIDA = (_W, 1.0 - 2.0 * _W, _W)


def maxwell_boltzmann(masses: np.ndarray, kT: float, generator: torch.Generator) -> np.ndarray:
    """Momenta (N, 3) at a temperature, the velocity of the centre of mass taken out.

    Parameters
    ----------
    masses
        (N,) u.
    kT
        eV.
    generator
        Its state moves on.
    """
    momenta = noise((len(masses), 3), generator) * np.sqrt(masses * kT)[:, None]
    if len(masses) > 1:
        momenta -= masses[:, None] * (momenta.sum(0) / masses.sum())
    return momenta


def noise(shape: tuple[int, ...], generator: torch.Generator) -> np.ndarray:
    """Standard normal numbers in float64."""
    drawn: np.ndarray = torch.randn(shape, dtype=torch.float64, generator=generator).numpy()
    return drawn


def ornstein_uhlenbeck(
    momenta: np.ndarray,
    masses: np.ndarray,
    kT: float | np.ndarray,
    decay: float,
    fresh: np.ndarray,
) -> None:
    """Exact Ornstein–Uhlenbeck step of momenta (N, 3), in place.

    The O of BAOAB (B. Leimkuhler, C. Matthews, Proc. R. Soc. A 472, 20160138 (2016)).

    Parameters
    ----------
    masses
        (N,) u.
    kT
        eV, of all or of each atom (N,).
    decay
        exp(-friction × time).
    fresh
        (N, 3) standard normal numbers.
    """
    momenta *= decay
    momenta += np.sqrt(masses * kT * (1.0 - decay**2))[:, None] * fresh


class NoseHooverChain:
    """Chain of thermostats on the kinetic energy of one system, which :class:`Chains` moves.

    Parameters
    ----------
    degrees
        Degrees of freedom of the momenta.
    kT
        eV; sets the masses of the chain, which stay the same when the temperature is ramped.
    time
        ASE units; period of the chain.
    length
        Thermostats in the chain.
    """

    def __init__(self, degrees: int, kT: float, time: float, length: int = 3):
        self.degrees = degrees
        self.masses = np.full(length, kT * time**2)
        self.masses[0] *= degrees
        self.values = np.zeros(length + 1)
        """momenta of the thermostats; eV, ∫ kT (degrees dξ₁ + dξ₂ + ...): the chain's potential
        energy, ramps included"""

    def state(self) -> np.ndarray:
        """What a checkpoint must hold."""
        return self.values.copy()

    def restore(self, state: np.ndarray) -> None:
        """Inverse of :meth:`state`."""
        self.values[:] = state


class Chains:
    """The chains of S runs.

    Equations and factorization of G. J. Martyna, M. E. Tuckerman, D. J. Tobias, M. L. Klein,
    Mol. Phys. 87, 1117 (1996), with Yoshida's fourth-order weights.

    Parameters
    ----------
    chains
        In the order of the runs, all of the same length; their values are kept here from now on.
    """

    def __init__(self, chains: Sequence[NoseHooverChain]):
        values = np.stack([chain.values for chain in chains])
        for chain, row in zip(chains, values, strict=True):
            chain.values = row
        self._momenta, self._stored = values[:, :-1].T, values[:, -1]
        self._masses = np.stack([chain.masses for chain in chains]).T
        self._degrees = np.array([chain.degrees for chain in chains])

    @property
    def energies(self) -> np.ndarray:
        """``(S,)`` eV; with kinetic and potential energy of the atoms they are conserved."""
        found: np.ndarray = (self._momenta**2 / self._masses).sum(0) / 2.0 + self._stored
        return found

    def advance(self, kinetic: np.ndarray, kT: np.ndarray, time: float) -> np.ndarray:
        """Move the chains on by ``time`` (ASE units).

        Parameters
        ----------
        kinetic, kT
            ``(S,)`` eV, of the atoms now; of the targets.

        Returns
        -------
        np.ndarray
            ``(S,)``, factors by which the atoms' momenta must be multiplied.
        """
        factors = np.ones(len(kinetic))
        for weight in YOSHIDA:
            step = weight * time
            for j in reversed(range(len(self._momenta))):
                self._push(j, 2.0 * kinetic, kT, step / 2.0)
            moved = step * self._momenta / self._masses
            self._stored += kT * (self._degrees * moved[0] + moved[1:].sum(0))
            scales = np.exp(-moved[0])
            factors = factors * scales
            kinetic = kinetic * scales**2
            for j in range(len(self._momenta)):
                self._push(j, 2.0 * kinetic, kT, step / 2.0)
        return factors

    def _push(self, j: int, twice_kinetic: np.ndarray, kT: np.ndarray, step: float) -> None:
        """Forces of what a thermostat holds, damped by the next one."""
        p, q = self._momenta, self._masses
        held = twice_kinetic - self._degrees * kT if j == 0 else p[j - 1] ** 2 / q[j - 1] - kT
        if j + 1 == len(p):
            p[j] += step * held
            return
        damping = np.exp(-step / 2.0 * p[j + 1] / q[j + 1])
        p[j] = damping * (damping * p[j] + step * held)
