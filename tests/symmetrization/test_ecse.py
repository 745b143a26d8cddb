"""Exactness, smoothness and extensivity of ecse."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.symmetrization.ecse import Ecse
from tests.rough import rough_model
from tests.symmetrization import checks
from tests.symmetrization.systems import (
    AXIS,
    crystals,
    evaluate,
    molecules,
    orthogonal,
    strategy_of,
    turned,
)

SCOPES = ["ecse", "ecse:atom", "ecse:structure"]
NAMES = [n for n in molecules() if n != "atom"]


@pytest.mark.parametrize("spec", SCOPES)
@pytest.mark.parametrize("name", NAMES)
def test_covariance(name, spec):
    checks.covariance(spec, molecules()[name])


@pytest.mark.parametrize("spec", SCOPES)
def test_covariance_of_a_single_atom(spec):
    general = MetatomicRaw(rough_model())
    result = checks.covariance(spec, molecules()["atom"], model=general)
    assert result.energy == pytest.approx(
        evaluate("none", molecules()["atom"], model=general).energy
    )


@pytest.mark.parametrize("group", ["tetrahedral", "icosahedral"])
def test_covariance_with_a_group(group):
    result = checks.covariance(f"ecse:{group}", molecules()["tail"], seeds=(1,))
    assert result.n_evaluations % {"tetrahedral": 24, "icosahedral": 120}[group] == 0


@pytest.mark.parametrize("name", ["diamond", "rocksalt"])
def test_perfect_crystals(name):
    """Equal and collinear neighbours everywhere; forces and stress of full symmetry."""
    result = checks.covariance("ecse", crystals()[name][0], seeds=(1,))
    assert abs(result.forces).max() < 1e-12
    pressure = np.trace(result.stress) / 3
    np.testing.assert_allclose(result.stress, pressure * np.eye(3), rtol=0, atol=1e-12)


def test_covariance_of_a_chiral_molecule():
    checks.chiral_molecule()


def test_covariance_of_an_atom_on_a_bent_chain():
    """Its only neighbour does not say which way the chain bends; messages do."""
    checks.covariance("ecse", checks.lonely_atom_on_bent_chain())
    checks.covariance("ecse", checks.lonely_atom_before_a_far_bend())


ZONES = {
    "all but linear": checks.bent_trimer(1e-5),
    "axial": checks.bent_trimer(np.radians(0.5)),
    "axial and frames": checks.bent_trimer(np.radians(25)),
    "frames": checks.bent_trimer(np.radians(70)),
    "neighbour leaving": checks.bent_trimer(np.radians(60), 3.7),
    "neighbour left": checks.bent_trimer(np.radians(30), 4.3),
    "bent chain": checks.lonely_atom_on_bent_chain(),
    "spectator": checks.spectator_chain(0.3),
    "water": molecules()["water"],
}


@pytest.mark.parametrize("spec", SCOPES)
@pytest.mark.parametrize("zone", ZONES)
def test_finite_differences(zone, spec):
    checks.finite_differences(spec, ZONES[zone])


def test_finite_differences_of_stress():
    atoms = molecules()["melt"]
    checks.finite_differences("ecse", atoms)
    checks.finite_differences("ecse:atom", atoms)


def passing(x):
    """An atom that crosses the cutoffs of a water molecule's atoms."""
    atoms = molecule("H2O")
    return atoms + Atoms("O", [atoms.positions[0] + (4.0 + x) * AXIS])


def dissociating(x):
    return Atoms("CO", [0 * AXIS, (4.0 + x) * AXIS])


PATHS = {
    "trimer": (checks.bent_trimer, (0.0, 3e-3, 0.3, 0.9)),
    "chain of four": (checks.bent_chain, (0.0, 0.5)),
    "spectator": (checks.spectator_chain, (0.0, 0.3, 0.7)),
    "passing": (passing, (-1.0, -0.6, -0.2, 0.2, 0.45, 0.8)),
    "dissociating": (dissociating, (-1.5, -0.8, 0.0, 0.4, 0.49)),
}


@pytest.mark.parametrize("path", PATHS)
def test_slopes_are_bounded_and_do_not_depend_on_the_step(path):
    function, points = PATHS[path]
    model = MetatomicRaw(rough_model()) if path == "dissociating" else None
    found = checks.slopes("ecse", function, points, model=model)
    plain = checks.slopes("none", function, points, (1e-3,), model=model)
    assert found.max() < max(100, 1.5 * plain.max())
    np.testing.assert_allclose(found[1], found[2], rtol=0.05, atol=1e-3)
    assert found[0] < 2 * found[2] + 1e-3


@pytest.mark.parametrize("spec", ["ecse", "ecse:atom"])
def test_size_extensive(spec):
    atoms = molecules()["water"]
    far = turned(atoms, orthogonal(1))
    far.positions += [40.0, 0, 0]
    one, two = evaluate(spec, atoms), evaluate(spec, atoms + far)
    assert abs(two.energy - 2 * one.energy) < 1e-12 * 2 * len(atoms)
    np.testing.assert_allclose(two.forces[:3], one.forces, atol=1e-11)


def test_supercells_are_reduced():
    atoms = molecules()["melt"]
    one, two = evaluate("ecse", atoms), evaluate("ecse", atoms * (2, 2, 2))
    assert two.n_evaluations == one.n_evaluations
    assert abs(two.energy - 8 * one.energy) < 1e-12 * 8 * len(atoms)
    np.testing.assert_allclose(two.forces, np.tile(one.forces, (8, 1)), rtol=0, atol=1e-11)
    np.testing.assert_allclose(two.stress, one.stress, rtol=0, atol=1e-12)


def test_supercells_agree_without_reduction():
    atoms = molecules()["melt"]
    strategy = strategy_of("ecse")
    double = atoms * (2, 1, 1)
    bound = strategy.bind(double)
    bound._primitive = lambda positions, cell: (None, None, None)
    assert (
        len(bound.plan(torch.tensor(double.positions), torch.tensor(double.cell.array)).weights[0])
        == 8
    )
    one, two = evaluate("ecse", atoms), evaluate("ecse", double, bound=bound)
    assert abs(two.energy - 2 * one.energy) < 1e-12 * 2 * len(atoms)


def test_permutation_and_translation():
    atoms = molecules()["tail"]
    one = evaluate("ecse", atoms)
    order = [2, 0, 3, 1]
    moved = atoms[order]
    moved.positions += [0.3, 100.0, -7.0]
    two = evaluate("ecse", moved)
    assert abs(one.energy - two.energy) < 1e-12
    np.testing.assert_allclose(two.forces, one.forces[order], atol=1e-11)


@pytest.mark.parametrize("spec", [*SCOPES, "ecse:tetrahedral"])
@pytest.mark.parametrize("name", NAMES)
def test_weights_are_one_in_sum_and_rotations_orthogonal(name, spec):
    atoms = molecules()[name]
    plan = strategy_of(spec).bind(atoms).plan(
        torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    )  # fmt: skip
    total = plan.weights.sum(0)
    if plan.operations is not None:  # two atoms always have an inversion between them
        total = total[plan.operations[1]].mean(0)
    np.testing.assert_allclose(total, 1, atol=1e-13)
    assert plan.weights.min() >= 0
    q = plan.rotations
    np.testing.assert_allclose(q @ q.mT, np.eye(3)[None].repeat(len(q), 0), atol=1e-12)


def test_groups_pull_towards_the_mean_over_all_orientations():
    atoms = molecules()["water"]
    mean = evaluate("grid:lebedev:15", atoms).energy
    errors = [
        abs(evaluate(spec, atoms).energy - mean)
        for spec in ("ecse", "ecse:tetrahedral", "ecse:icosahedral")
    ]
    assert errors[2] < 0.2 * errors[0]


def test_a_slab_s_open_cell_vector_means_nothing():
    slab = molecules()["slab"]
    longer = slab.copy()
    longer.cell[2] = [1.0, 2.0, 30.0]
    one, two = evaluate("ecse", slab), evaluate("ecse", longer)
    assert abs(one.energy - two.energy) < 1e-11


def test_refusals():
    with pytest.raises(PetFlowsError, match="configure"):
        Ecse().bind(molecule("H2O"))
    double = Atoms("HH", [[0, 0, 0], [0, 0, 0]])
    with pytest.raises(StructureError, match="same place"):
        evaluate("ecse", double)
    double.positions[0, 0] = np.nan
    with pytest.raises(StructureError, match="not finite"):
        evaluate("ecse", double)
