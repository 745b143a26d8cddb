"""F(V, T) of a crystal → what it does at constant pressure: expansion, B, C_p, Grüneisen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import GPa
from phonopy.physical_units import get_physical_units
from phonopy.qha.calc import (
    compute_gruneisen_parameters,
    compute_heat_capacity_p_polyfit,
    compute_volumetric_thermal_expansion,
)
from phonopy.qha.eos import fit_to_eos, get_eos

#: J/K/mol; below this heat capacity (a thousandth of 3 R) the Grüneisen parameter is a quotient of
#: two numbers that vanish
FROZEN = 0.025


@dataclass(frozen=True)
class Equilibrium:
    """A crystal at zero pressure and one temperature, per atom."""

    temperature: float
    """K"""
    volume: float
    """Å³"""
    free_energy: float
    """eV"""
    bulk_modulus: float
    """GPa, isothermal"""
    expansion: float
    """1/K, of the volume"""
    cp: float
    """J/K/mol"""
    cv: float
    """J/K/mol, at that volume"""
    gruneisen: float | None
    """α B V / C_v; None where C_v vanishes"""
    maxwell: float
    """1/K, (dS/dV) / B: the expansion again, from polynomials instead of the fitted minima"""


def stencil(temperatures: tuple[float, ...], step: float) -> np.ndarray:
    """Temperatures ``(t, 3)`` in K that each derivative needs: T - h, T, T + h, h ≤ T/2."""
    middle = np.array(temperatures)
    half = np.minimum(step, middle / 2)
    return np.stack([middle - half, middle, middle + half], axis=1)


def equilibria(
    volumes: np.ndarray,
    energies: np.ndarray,
    temperatures: np.ndarray,
    free_energies: np.ndarray,
    entropies: np.ndarray,
    heat_capacities: np.ndarray,
    equation: str,
) -> list[Equilibrium]:
    """Minimize the free energy at each temperature, as long as its minimum is among the volumes.

    phonopy's formulas (phonopy.qha.calc): the free energy is fitted to an equation of state at
    each temperature, ``α = dV/dT / V`` is a central difference of its minima,
    ``C_p = C_v + T (dV/dT) (dS/dV)`` and ``γ = α B V / C_v`` take C_v(V) and S(V) from
    polynomials of fourth degree.

    Parameters
    ----------
    volumes, energies
        ``(v,)`` Å³ and eV, at least five; of the static lattice.
    temperatures
        ``(t, 3)`` of :func:`stencil`.
    free_energies, entropies, heat_capacities
        ``(t, 3, v)`` of the phonons: eV, eV/K, eV/K.
    equation
        ``vinet``, ``birch_murnaghan`` or ``murnaghan``.

    Returns
    -------
    list of Equilibrium
        Up to the first temperature whose minimum is not between the volumes.
    """
    found: list[Equilibrium] = []
    for t, at in enumerate(temperatures):
        fits = [_minimum(volumes, energies + free_energies[t, k], equation) for k in range(3)]
        if any(fit is None for fit in fits):
            break
        parameters = np.array(fits)
        found.append(_equilibrium(volumes, at, parameters, entropies[t], heat_capacities[t]))
    return found


def _minimum(volumes: np.ndarray, free: np.ndarray, equation: str) -> np.ndarray | None:
    """``(4,)`` F0 eV, B0 eV/Å³, B0', V0 Å³ of a fit; None without a minimum inside the range."""
    offset = float(free.min())
    try:
        fit = fit_to_eos(volumes, free - offset, get_eos(equation))
    except (RuntimeError, TypeError):
        return None
    if not np.isfinite(fit).all() or fit[1] <= 0:
        return None
    if not volumes.min() <= fit[3] <= volumes.max():
        return None
    return np.array([fit[0] + offset, *fit[1:]])


def _equilibrium(
    volumes: np.ndarray,
    temperatures: np.ndarray,
    parameters: np.ndarray,
    entropies: np.ndarray,
    heat_capacities: np.ndarray,
) -> Equilibrium:
    """One temperature from the fits at it and beside it."""
    per_mole = 1000.0 * get_physical_units().EvTokJmol
    minima, moduli = parameters[:, 3], parameters[:, 1]
    cv = float(np.polyval(np.polyfit(volumes, heat_capacities[1], 4), minima[1]))
    expansion, cp, gruneisen, maxwell = 0.0, 0.0, None, 0.0
    if temperatures[1] > 0:
        expansion = float(compute_volumetric_thermal_expansion(temperatures, minima)[1])
        fitted = compute_heat_capacity_p_polyfit(
            temperatures, volumes, minima, heat_capacities, entropies
        )
        cp, maxwell = float(fitted.cp[1]), float(fitted.dsdv[1] / moduli[1])
        if cv * per_mole > FROZEN:
            alpha = np.array([0.0, expansion])
            gruneisen = float(
                compute_gruneisen_parameters(volumes, minima, moduli, alpha, heat_capacities)[1]
            )
    return Equilibrium(
        temperature=float(temperatures[1]),
        volume=float(minima[1]),
        free_energy=float(parameters[1, 0]),
        bulk_modulus=float(moduli[1] / GPa),
        expansion=expansion,
        cp=cp * per_mole,
        cv=cv * per_mole,
        gruneisen=gruneisen,
        maxwell=maxwell,
    )
