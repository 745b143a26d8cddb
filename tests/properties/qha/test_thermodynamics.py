"""An Einstein crystal whose frequency falls as V^-γ: everything is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from ase.units import GPa, J, kB, mol
from scipy.optimize import minimize_scalar

from pet_flows.properties.eos import birch_murnaghan
from pet_flows.properties.qha.thermodynamics import equilibria, stencil

GAMMA = 1.9
STATIC = birch_murnaghan.EquationOfState(11.6, -3.5, 140.0, 4.8, 0.0)
QUANTUM = 0.02
"""eV, of each of the three modes of an atom at the static volume"""


def quantum(volume: np.ndarray | float) -> np.ndarray:
    return QUANTUM * (np.asarray(volume) / STATIC.v0) ** -GAMMA


def vibrations(volume: np.ndarray, kelvin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Free energy (eV), entropy and heat capacity (eV/K) of an atom."""
    energy = quantum(volume)
    if kelvin == 0:
        return 1.5 * energy, 0 * energy, 0 * energy
    x = energy / (kB * kelvin)
    free = 3 * (energy / 2 + kB * kelvin * np.log1p(-np.exp(-x)))
    entropy = 3 * kB * (x / np.expm1(x) - np.log1p(-np.exp(-x)))
    return free, entropy, 3 * kB * x**2 * np.exp(x) / np.expm1(x) ** 2


def free_energy(volume: float, kelvin: float) -> float:
    static = birch_murnaghan.energy(STATIC, np.array(volume))
    return float(static + vibrations(np.array(volume), kelvin)[0])


@pytest.mark.parametrize("equation", ["birch_murnaghan", "vinet"])
def test_einstein_crystal(equation: str) -> None:
    volumes = np.linspace(11.0, 12.5, 9)
    temperatures = stencil((0.0, 50.0, 300.0, 800.0), 5.0)
    shape = (*temperatures.shape, len(volumes))
    free, entropy, capacity = (np.zeros(shape) for _ in range(3))
    for place in np.ndindex(temperatures.shape):
        free[place], entropy[place], capacity[place] = vibrations(volumes, temperatures[place])
    energies = birch_murnaghan.energy(STATIC, volumes)
    found = equilibria(volumes, energies, temperatures, free, entropy, capacity, equation)
    assert [e.temperature for e in found] == [0.0, 50.0, 300.0, 800.0]
    for state in found:
        kelvin = state.temperature
        best = minimize_scalar(
            free_energy, args=(kelvin,), bounds=(11.0, 12.5), options={"xatol": 1e-10},
            method="bounded",
        )  # fmt: skip
        assert state.volume == pytest.approx(best.x, rel=1e-4)
        assert state.free_energy == pytest.approx(best.fun, abs=1e-5)
        h = 0.02
        curvature = (
            free_energy(best.x + h, kelvin) - 2 * best.fun + free_energy(best.x - h, kelvin)
        ) / h**2
        assert state.bulk_modulus == pytest.approx(best.x * curvature / GPa, rel=0.02)
        if kelvin == 0:
            assert state.expansion == state.cp == state.cv == 0.0
            assert state.gruneisen is None
            continue
        capacity_there = float(vibrations(np.array(best.x), kelvin)[2])
        assert state.cv == pytest.approx(capacity_there * mol / J, rel=1e-4)
        # all modes have the same parameter, so it is that of the crystal at any temperature
        assert state.gruneisen == pytest.approx(GAMMA, rel=0.02)
        exact = GAMMA * capacity_there / (best.x**2 * curvature)
        assert state.expansion == pytest.approx(exact, rel=0.02)
        assert state.maxwell == pytest.approx(exact, rel=0.02)
        costs = exact**2 * best.x**2 * curvature * kelvin * mol / J
        assert state.cp - state.cv == pytest.approx(costs, rel=0.04)


def test_stops_where_the_minimum_leaves_the_volumes() -> None:
    volumes = np.linspace(11.0, 12.0, 9)
    temperatures = stencil((0.0, 100.0, 5000.0, 6000.0), 5.0)
    free, entropy, capacity = (np.zeros((4, 3, 9)) for _ in range(3))
    for place in np.ndindex(temperatures.shape):
        free[place], entropy[place], capacity[place] = vibrations(volumes, temperatures[place])
    energies = birch_murnaghan.energy(STATIC, volumes)
    found = equilibria(volumes, energies, temperatures, free, entropy, capacity, "vinet")
    assert [e.temperature for e in found] == [0.0, 100.0]
