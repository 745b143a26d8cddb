from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.eos import birchmurnaghan
from ase.units import GPa
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.integrate import quad

from pet_flows.properties.comparison import Side, Value
from pet_flows.properties.eos.compare import epsilon, nu
from pet_flows.properties.registry import get_property

SILICON = AseAtomsAdaptor.get_structure(bulk("Si"))
OURS, THEIRS = (20.9, 84.0, 4.4), (20.45, 88.8, 4.31)


def result(v0: float, b0: float, prime: float | None) -> dict[str, float | None]:
    return {"v0_per_atom": v0, "b0": b0, "b0_prime": prime}


def values(ours: dict, theirs: dict) -> dict[str, Value]:
    sides = Side(ours, SILICON), Side(theirs, SILICON)
    return {value.name: value for value in get_property("eos").compare(*sides)}


def test_epsilon_is_the_integral_of_its_definition() -> None:
    """With ASE's Birch–Murnaghan equation and scipy's adaptive quadrature."""

    def energy(v: float, curve: tuple[float, float, float]) -> float:
        return birchmurnaghan(v, 0.0, curve[1] * GPa, curve[2], curve[0])

    low, high = (f * (OURS[0] + THEIRS[0]) / 2 for f in (0.94, 1.06))

    def mean(function) -> float:
        return quad(function, low, high, epsabs=0, epsrel=1e-12)[0] / (high - low)

    apart = mean(lambda v: (energy(v, OURS) - energy(v, THEIRS)) ** 2)
    spreads = []
    for curve in (OURS, THEIRS):
        middle = mean(lambda v, c=curve: energy(v, c))
        spreads.append(mean(lambda v, c=curve, m=middle: (energy(v, c) - m) ** 2))
    by_hand = np.sqrt(apart / np.sqrt(spreads[0] * spreads[1]))
    found = values(result(*OURS), result(*THEIRS))
    assert found["epsilon"].difference == pytest.approx(by_hand, rel=1e-7)


def test_nu_is_the_sum_of_its_definition() -> None:
    relative = [2 * (a - b) / (a + b) for a, b in zip(OURS, THEIRS, strict=True)]
    by_hand = 100 * np.sqrt(relative[0] ** 2 + (relative[1] / 20) ** 2 + (relative[2] / 400) ** 2)
    assert values(result(*OURS), result(*THEIRS))["nu"].difference == pytest.approx(by_hand)
    assert by_hand == pytest.approx(2.194, abs=1e-3)  # 100 · 0.45 / 20.675, and a little more


def test_both_are_zero_for_one_curve_and_the_same_both_ways() -> None:
    a, b = np.array(OURS), np.array(THEIRS)
    for metric in (nu, epsilon):
        assert metric(a, a) == pytest.approx(0, abs=1e-9)
        assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-12)


def test_values_have_relative_errors_and_no_prime_means_no_nu() -> None:
    found = values(result(*OURS), result(*THEIRS))
    assert found["v0_per_atom"].relative == pytest.approx(0.45 / 20.45)
    assert (found["b0"].unit, found["b0"].difference) == ("GPa", pytest.approx(-4.8))
    assert set(values(result(*OURS), {"v0_per_atom": 20.45, "b0": 88.8})) == {"v0_per_atom", "b0"}
