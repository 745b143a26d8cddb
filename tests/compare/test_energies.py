"""Energies whose zeros differ: shifts by element, formation energies, methods."""

from __future__ import annotations

import numpy as np
import pytest

from pet_flows.compare.energies.methods import methods
from pet_flows.compare.energies.shift import (
    Material,
    fit_shift,
    formation_energies,
    fractions,
    materials,
    shifted_errors,
)
from pet_flows.dft.level import LevelOfTheory
from tests.compare.comparisons import comparison, value

FORMULAS = ["MgO", "CaO", "Mg2O", "CaMgO2", "Mg", "Ca", "MgO2", "Ca3MgO4"]
ZERO = {"Mg": 1.3, "Ca": -0.4, "O": 7.2}


def given(noise=0.0, formulas=FORMULAS):
    generator = np.random.default_rng(3)
    found = []
    for n, formula in enumerate(formulas):
        x = fractions(formula)
        dft = float(generator.normal())
        pet = dft + sum(part * ZERO[e] for e, part in x.items()) + noise * generator.normal()
        found.append(Material(f"record-{n}", f"reference-{n}", formula, x, float(pet), dft))
    return found


def test_a_shift_by_element_is_found_and_stated():
    shift = fit_shift(given())
    assert shift.elements == pytest.approx(ZERO)
    assert (shift.n, shift.rank) == (8, 3)
    errors = shifted_errors(given(), shift)
    assert max(map(abs, errors.values())) < 1e-12
    assert str(shift) == "Ca -0.400, Mg +1.300, O +7.200 eV, least squares over 8 materials"


def test_the_shift_is_the_least_squares_one():
    pairs = given(noise=0.05)
    shift = fit_shift(pairs)
    elements = sorted(ZERO)
    x = np.array([[m.composition.get(e, 0.0) for e in elements] for m in pairs])
    y = np.array([m.pet - m.dft for m in pairs])
    expected = np.linalg.solve(x.T @ x, x.T @ y)  # normal equations
    assert [shift.elements[e] for e in elements] == pytest.approx(expected)
    assert sum(shifted_errors(pairs, shift).values()) != 0.0


def test_nothing_is_left_to_compare_where_a_shift_explains_everything():
    assert fit_shift(given(formulas=["MgO", "CaO"])) is None
    assert fit_shift([]) is None
    # of one composition: several materials, one number
    shift = fit_shift(given(formulas=["MgO"] * 3))
    assert (shift.n, shift.rank) == (3, 1)
    assert shift.of(fractions("MgO")) == pytest.approx((1.3 + 7.2) / 2)


def test_formation_energies_are_from_each_sides_own_elements():
    pairs = [*given(), Material("low", "l", "Mg", {"Mg": 1.0}, -9.0, -1.0)]
    found = formation_energies(pairs)
    assert found["record-0"].pet is None  # there is no oxygen
    oxygen = Material("o", "o", "O", {"O": 1.0}, 7.0, -4.0)
    found = formation_energies([*pairs, oxygen])
    magnesium = next(m for m in pairs if m.name == "Mg")
    mgo = pairs[0]
    assert found["record-0"].pet == pytest.approx(mgo.pet - (min(magnesium.pet, -9.0) + 7.0) / 2)
    assert found["record-0"].dft == pytest.approx(mgo.dft - (min(magnesium.dft, -1.0) - 4.0) / 2)
    assert found["o"].pet == found["o"].dft == 0.0


def test_pairs_of_one_level_come_from_comparisons():
    energies = {f"reference-{n}": -5.0 - n for n in range(5)}
    documents = [
        comparison(0, value(-5.1, -5.0)),
        comparison(1, value(-6.1, -6.0), level_differs=["PBE against PBEsol"]),
        comparison(2, record_state="failed"),
        comparison(3, value(-8.1, -8.0), record_state="unconverged"),
        comparison(4, value(-9.1, -9.0), property="relax"),
        comparison(9, value(-9.1, -9.0)),  # of a reference of another method
    ]
    found = materials(documents, energies)
    assert [(m.record, m.pet, m.dft) for m in found] == [
        ("record-0", -5.1, -5.0), ("record-2", None, -7.0), ("record-3", None, -8.0),
    ]  # fmt: skip


def test_a_method_is_one_way_to_calculate_whatever_the_elements():
    def level(u=None, **potcars):
        return LevelOfTheory(functional="PBE", spin=True, u=u or {}, pseudopotentials=potcars)

    oxide, iron = level(Mg="Mg_pv", O="O"), level(Fe="Fe_pv")
    with_u, other = level({"Fe": 5.3}, Fe="Fe_pv", O="O"), level(O="O_s")
    electrons = LevelOfTheory(functional="PBE", spin=True, pseudopotentials="all-electron")
    levels = [oxide, iron, with_u, other, electrons]
    found = [methods(levels)[one.digest] for one in levels]
    assert found[0] == found[1]
    assert len(set(found)) == 4
    mixed = [methods(levels, mix_u=True)[one.digest] for one in levels]
    assert mixed[0] == mixed[1] == mixed[2]
    assert len(set(mixed)) == 3
