"""Exactness of the crystal symmetrization, its cost, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk, make_supercell
from metatomic.torch import AtomisticModel, ModelCapabilities

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.errors import StructureError
from pet_flows.symmetrization.crystal import Crystal, inherited_by_supercell
from pet_flows.symmetrization.reference import CrystalReference
from tests.rough import rough_model
from tests.symmetrization import checks
from tests.symmetrization.systems import (
    crystals,
    evaluate,
    orthogonal,
    raw,
    sheared,
    strategy_of,
    turned,
)

NAMES = list(crystals())


@pytest.mark.parametrize("spec", ["crystal", "crystal:orientation"])
@pytest.mark.parametrize("name", NAMES)
def test_covariance_under_shear_and_rattle(name, spec):
    atoms, _ = crystals()[name]
    inherited = strategy_of(spec).bind(atoms).as_dict()
    result = checks.covariance(spec, sheared(atoms), inherited)
    assert spec == "crystal" or result.n_evaluations == 1


def test_covariance_with_a_group():
    atoms, _ = crystals()["hcp"]
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    result = checks.covariance("crystal:tetrahedral", sheared(atoms), inherited, seeds=(1,))
    assert result.n_evaluations == 12 * 12


def test_covariance_in_float32_is_its_round_off():
    atoms, _ = crystals()["quartz"]
    model = rough_model(seed=1)  # its own: no way back from the rounded weights
    old = model.capabilities()
    capabilities = ModelCapabilities(
        outputs=old.outputs, atomic_types=old.atomic_types, length_unit=old.length_unit,
        interaction_range=old.interaction_range, dtype="float32",
        supported_devices=old.supported_devices,
    )  # fmt: skip
    module = model.module.to(torch.float32)
    single = MetatomicRaw(AtomisticModel(module, model.metadata(), capabilities))
    one = evaluate("crystal", atoms, model=single)
    two = evaluate("crystal", turned(atoms, orthogonal(1)), model=single)
    assert one.n_evaluations == two.n_evaluations == 4
    assert abs(one.energy - two.energy) < 2e-6 * len(atoms)
    np.testing.assert_allclose(two.forces, one.forces @ orthogonal(1), atol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_same_in_all_settings(name):
    checks.same_in_all_settings(name)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_crystals_cost_holohedry_over_point_group(name):
    """The reduced average equals the one over the whole holohedry, spread over all of it."""
    atoms, expected = crystals()[name]
    atoms = turned(atoms, orthogonal(5))
    bound = strategy_of("crystal").bind(atoms)
    result = evaluate("crystal", atoms, bound=bound)
    assert result.n_evaluations == expected
    bound.known = [type(bound.symmetry)(bound.symmetry.primitive, np.array([0]), np.arange(
        len(bound.symmetry.primitive.atoms))[None])]  # fmt: skip
    full = evaluate("crystal", atoms, bound=bound)
    assert full.n_evaluations == len(bound.reference.integers)
    assert abs(full.energy - result.energy) < 1e-12 * len(atoms)
    np.testing.assert_allclose(result.forces, full.forces, rtol=0, atol=1e-11)
    np.testing.assert_allclose(result.stress, full.stress, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["fcc", "rocksalt", "perovskite"])
def test_symmetry_of_forces_and_stress(name):
    atoms, _ = crystals()[name]
    result = evaluate("crystal", turned(atoms, orthogonal(2)))
    assert abs(result.forces).max() < 1e-12
    pressure = np.trace(result.stress) / 3
    np.testing.assert_allclose(result.stress, pressure * np.eye(3), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_forces_and_stress_obey_the_space_group(name):
    """Of every crystal, judged by spglib's operations, not by those of the reduction."""
    atoms = turned(crystals()[name][0], orthogonal(4))
    group = SpaceGroup.find(atoms, 1e-6)
    result, cell = evaluate("crystal", atoms), atoms.cell.array
    symmetric = group.symmetrize_forces(result.forces, cell)
    np.testing.assert_allclose(result.forces, symmetric, rtol=0, atol=1e-12)
    symmetric = group.symmetrize_stress(result.stress, cell)
    np.testing.assert_allclose(result.stress, symmetric, rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", ["crystal", "crystal:orientation"])
@pytest.mark.parametrize("name", ["zincblende", "wurtzite", "triclinic"])
def test_finite_differences_without_strain(name, spec):
    """S = 1: all stretches equal, where the derivative of an SVD does not exist."""
    atoms = turned(crystals()[name][0], orthogonal(3))
    checks.finite_differences(spec, atoms, strategy_of(spec).bind(atoms).as_dict())


@pytest.mark.parametrize("spec", ["crystal", "crystal:orientation"])
@pytest.mark.parametrize("name", ["wurtzite", "triclinic"])
def test_finite_differences_under_shear(name, spec):
    checks.stress_under_shear(spec, name)


@pytest.mark.parametrize("name", ["fcc", "bcc", "diamond", "perovskite", "hcp"])
@pytest.mark.parametrize("tolerance", [None, 0.12])
def test_rederived_after_strain(name, tolerance):
    checks.rederived_after_strain(name, tolerance)


def test_displaced_atom_costs_twelve():
    checks.displaced_atom_covariance()


def test_orientation_is_smooth_where_settings_are_equal():
    """N stays what it is: found again on the way it would jump between equal settings."""
    atoms, _ = crystals()["zincblende"]
    bound = strategy_of("crystal:orientation").bind(atoms)
    rng = np.random.default_rng(0)
    energies = []
    for _ in range(6):
        cell = atoms.copy()
        noise = np.eye(3) + 1e-10 * rng.normal(size=(3, 3))
        cell.set_cell(atoms.cell.array @ noise, scale_atoms=True)
        energies.append(evaluate("crystal:orientation", cell, bound=bound).energy)
    assert np.ptp(energies) < 1e-8


def test_setting_does_not_depend_on_round_off():
    atoms, _ = crystals()["fcc"]
    found = {
        json.dumps(strategy_of("crystal").bind(turned(atoms, orthogonal(s))).as_dict()["N"])
        for s in range(8)
    }
    assert len(found) == 1


def test_carried_through_json_and_to_a_supercell():
    atoms, _ = crystals()["wurtzite"]
    matrix = np.array([[2, 1, 0], [0, 1, 0], [0, 0, 1]])
    bound = strategy_of("crystal").bind(atoms)
    inherited = json.loads(json.dumps(bound.as_dict()))
    again = strategy_of("crystal").bind(atoms, inherited)
    assert again.reference_digest == bound.reference_digest
    assert evaluate("crystal", atoms, bound=again).n_evaluations == 2

    supercell = sheared(make_supercell(atoms, matrix), 0.03)
    one = evaluate("crystal", supercell, inherited_by_supercell(inherited, matrix))
    two = evaluate("crystal", supercell, inherited_by_supercell(bound.as_dict(), matrix))
    assert abs(one.energy - two.energy) < 1e-11
    np.testing.assert_allclose(one.forces, two.forces, atol=1e-10)


def test_carried_symmetry_survives_single_precision_noise_and_no_more():
    checks.carried_symmetry_and_noise()


def test_carried_symmetry_does_not_hide_a_substituted_atom():
    atoms = bulk("Si", cubic=True)
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    atoms.numbers[3] = 32
    with_group = evaluate("crystal", atoms, inherited)
    inherited.pop("group")
    without = evaluate("crystal", atoms, inherited)
    assert with_group.n_evaluations == without.n_evaluations == 2
    assert abs(with_group.energy - without.energy) < 1e-11


def test_variants_carry_to_each_other():
    """The symmetry that one variant has is not forced on, nor kept from, another."""
    atoms, _ = crystals()["quartz"]
    full = strategy_of("crystal").bind(atoms).as_dict()
    oriented = strategy_of("crystal:orientation").bind(atoms).as_dict()
    assert evaluate("crystal", atoms, oriented).n_evaluations == 4
    inherited = {k: full[k] for k in ("reference", "N")}
    one, two = (evaluate("crystal:orientation", atoms, c) for c in (full, inherited))
    np.testing.assert_allclose(one.forces, two.forces, atol=1e-12)
    np.testing.assert_allclose(one.stress, two.stress, atol=1e-13)


def test_permutation_and_translation():
    atoms, _ = crystals()["quartz"]
    inherited = {
        k: v for k, v in strategy_of("crystal").bind(atoms).as_dict().items() if k != "group"
    }
    cell = sheared(atoms)
    one = evaluate("crystal", cell, inherited)
    order = np.random.default_rng(1).permutation(len(cell))
    moved = cell[order]
    moved.positions += [0.3, 1.7, -0.4]
    moved.wrap()
    two = evaluate("crystal", moved, inherited)
    assert abs(one.energy - two.energy) < 1e-11
    np.testing.assert_allclose(two.forces, one.forces[order], atol=1e-11)


def test_a_batch_is_its_members():
    cells = [crystals()[n][0] for n in ("quartz", "fcc", "wurtzite")]
    strategy = strategy_of("crystal")
    systems = [System.of(a, strategy.bind(a)) for a in cells]
    for atoms, result in zip(cells, Evaluator(raw(), strategy).evaluate(systems), strict=True):
        alone = evaluate("crystal", atoms)
        assert abs(result.energy - alone.energy) < 1e-11
        np.testing.assert_allclose(result.stress, alone.stress, atol=1e-12)


def test_pure_dilation_needs_no_new_reference():
    atoms, _ = crystals()["diamond"]
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    for factor in (0.7, 1.3):
        cell = atoms.copy()
        cell.set_cell(atoms.cell.array * factor, scale_atoms=True)
        assert strategy_of("crystal").bind(cell, inherited).warnings == ()


def test_tolerance_of_a_strategy_is_its_reference_s():
    atoms, _ = crystals()["P4mm"]
    bound = Crystal(tolerance=1e-3).bind(atoms)
    assert len(bound.reference.integers) == 16
    assert evaluate(Crystal(tolerance=1e-3), atoms).n_evaluations == 2


def test_reference_without_setting_is_found_from_the_atoms_or_refused():
    """3×3×3 of a cubic lattice has an isometric sublattice that is another one (Σ3 twice)."""
    primitive = bulk("W", a=3.17)
    inherited = Crystal(None).bind(primitive).as_dict()
    alone = {"reference": inherited["reference"]}
    supercell = primitive * (3, 3, 3)
    setting = np.array(Crystal(None).bind(supercell, alone).as_dict()["N"])
    expected = 3 * np.array(inherited["N"])
    options = [setting @ w for w in CrystalReference.from_dict(inherited["reference"]).integers]
    assert any((option == expected).all() for option in options)
    supercell.rattle(0.05, seed=0)
    with pytest.raises(StructureError, match="give that to it as well"):
        Crystal(None).bind(supercell, alone)
