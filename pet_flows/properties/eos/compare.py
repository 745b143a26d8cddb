"""Equations of state beside those of DFT, by the metrics of the ACWF verification."""

from __future__ import annotations

import numpy as np

from pet_flows.properties.comparison import Side, Value, distance, number
from pet_flows.properties.eos import birch_murnaghan
from pet_flows.properties.eos.birch_murnaghan import EquationOfState

FIELDS = {"v0_per_atom": "Å³", "b0": "GPa", "b0_prime": ""}
#: by which relative errors of V0, B0 and B0′ enter ν: how precisely each is known of a fit
WEIGHTS = (1.0, 1 / 20, 1 / 400)
#: relative to the mean of the two V0, the volumes over which ε is integrated
RANGE = (0.94, 1.06)
#: Gauss–Legendre nodes; the integrands are smooth, and 20 give ten digits
NODES = 20


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare V0, B0, B0′ and, where DFT has all three, ν and ε.

    Both are of E. Bosoni et al., Nat. Rev. Phys. 6, 45 (2024); there, below 0.10 and 0.06 two
    codes agree excellently, below 0.33 and 0.20 well.
    """
    found = [
        number(name, unit, ours.result.get(name), theirs.result.get(name))
        for name, unit in FIELDS.items()
    ]
    numbers = [value for value in found if value]
    if len(numbers) == len(FIELDS):
        pet = np.array([value.pet for value in numbers])
        dft = np.array([value.dft for value in numbers])
        if (pet + dft != 0).all():
            numbers.append(distance("nu", "", nu(pet, dft)))
        numbers.append(distance("epsilon", "", epsilon(pet, dft)))
    return numbers


def nu(one: np.ndarray, other: np.ndarray) -> float:
    """``100 √ Σ (w · 2 (a − b) / (a + b))²`` over V0, B0 and B0′.

    Parameters
    ----------
    one, other
        ``(3,)`` V0, B0, B0′.
    """
    relative = 2 * (one - other) / (one + other)
    return float(100 * np.linalg.norm(WEIGHTS * relative))


def epsilon(one: np.ndarray, other: np.ndarray) -> float:
    """``√ ⟨(Eₐ − E_b)²⟩ / √(⟨(Eₐ − ⟨Eₐ⟩)²⟩ ⟨(E_b − ⟨E_b⟩)²⟩)``, minima at one energy.

    Means are over ± 6 % about the mean of the two V0.

    Parameters
    ----------
    one, other
        ``(3,)`` V0 in Å³, B0 in GPa, B0′.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    low, high = np.array(RANGE) * (one[0] + other[0]) / 2
    volumes = (low + high) / 2 + (high - low) / 2 * nodes
    weights = weights / 2
    a, b = (
        birch_murnaghan.energy(EquationOfState(v0, 0.0, b0, prime, 0.0), volumes)
        for v0, b0, prime in (one, other)
    )
    spread = [weights @ (e - weights @ e) ** 2 for e in (a, b)]
    return float(np.sqrt(weights @ (a - b) ** 2 / np.sqrt(spread[0] * spread[1])))
