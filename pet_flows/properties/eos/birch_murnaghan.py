"""Third-order Birch–Murnaghan equation of state, fitted by linear least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import GPa


@dataclass(frozen=True)
class EquationOfState:
    """Fit of E(V); energies and volumes in the units (per atom or per cell) that were given."""

    v0: float
    """Å³"""
    e0: float
    """eV"""
    b0: float
    """GPa"""
    b0_prime: float
    residual: float
    """eV, root mean square of the fit"""


def fit(volumes: np.ndarray, energies: np.ndarray) -> EquationOfState | None:
    """Fit a third-order Birch–Murnaghan equation of state.

    Its energy is a cubic polynomial in ``x = V^(-2/3)``, so that no start values are needed
    (K. Lejaeghere et al., Crit. Rev. Solid State Mater. Sci. 39, 1 (2014), supplement).

    Parameters
    ----------
    volumes
        ``(n,)`` Å³, at least five.
    energies
        ``(n,)`` eV.

    Returns
    -------
    EquationOfState or None
        None if the polynomial has no minimum inside the range of the volumes.
    """
    scale = float(np.mean(volumes))
    x: np.ndarray = (np.asarray(volumes) / scale) ** (-2.0 / 3.0)
    shift = float(np.min(energies))
    poly = np.polynomial.Polynomial.fit(x, np.asarray(energies) - shift, 3).convert()
    first, second, third = poly.deriv(1), poly.deriv(2), poly.deriv(3)
    low, high = float(x.min()), float(x.max())
    real = [complex(r).real for r in first.roots() if abs(complex(r).imag) < 1e-9]
    inside = [r for r in real if low <= r <= high and second(r) > 0]
    if len(inside) != 1:
        return None
    x0 = inside[0]
    curvature = 4.0 / 9.0 * x0**5 * second(x0)
    third_in_v = -20.0 / 9.0 * x0**6.5 * second(x0) - 8.0 / 27.0 * x0**7.5 * third(x0)
    residual = float(np.sqrt(np.mean((poly(x) + shift - energies) ** 2)))
    return EquationOfState(
        v0=scale * x0**-1.5,
        e0=float(poly(x0)) + shift,
        b0=float(curvature / x0**1.5 / scale / GPa),
        b0_prime=float(-1.0 - x0**-1.5 * third_in_v / curvature),
        residual=residual,
    )


def energy(eos: EquationOfState, volumes: np.ndarray) -> np.ndarray:
    """E(V) in eV of a fitted equation of state."""
    eta = (eos.v0 / np.asarray(volumes)) ** (2.0 / 3.0)
    return eos.e0 + 9.0 * eos.v0 * eos.b0 * GPa / 16.0 * (
        (eta - 1.0) ** 3 * eos.b0_prime + (eta - 1.0) ** 2 * (6.0 - 4.0 * eta)
    )
