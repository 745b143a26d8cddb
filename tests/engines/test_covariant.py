"""Vectors and tensors of a model, symmetrized: exactly covariant, and only that."""

import numpy as np
import pytest
from ase.build import bulk, make_supercell, molecule
from metatomic_ase import MetatomicCalculator

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.covariant import covariant
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.grid import off_axis_group
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import TENSORS, rough_model, soap_model
from tests.symmetrization.systems import crystals, molecules, orthogonal, sheared, turned

FORCE, STRESS, POLARIZABILITY = TENSORS


def pet():
    return PETRaw(rough_model(tensors=True))


def outputs(spec, atoms, raw=None, bound=None):
    """Per-atom vectors, per-atom tensors, tensors of the structure."""
    raw = raw or pet()
    engine = Evaluator(raw, parse_strategy(spec).configure(raw.cutoff, raw.n_layers))
    system = System.of(atoms, bound or engine.bind(atoms))
    return [
        covariant(engine, [system], name, per_atom)[0]
        for name, per_atom in ((FORCE, True), (POLARIZABILITY, True), (POLARIZABILITY, False),
                               (STRESS, False))
    ]  # fmt: skip


def turn(values, q):
    """Values ``(..., 3)`` and ``(..., 3, 3)`` of a structure whose vectors become ``x q``."""
    vectors, *tensors = values
    return [vectors @ q, *(q.T @ t @ q for t in tensors)]


def change(spec, atoms, seeds=(1, 2)):
    """Largest change of each output between an orientation and another, turned back."""
    before = outputs(spec, atoms)
    worst = np.zeros(len(before))
    for seed in seeds:  # improper and proper
        q = orthogonal(seed)
        after = outputs(spec, turned(atoms, q))
        errors = [abs(a - b).max() for a, b in zip(after, turn(before, q), strict=True)]
        worst = np.maximum(worst, errors)
    return worst


def cases():
    zincblende, wurtzite = crystals()["zincblende"][0], crystals()["wurtzite"][0]
    supercell = make_supercell(crystals()["diamond"][0], [[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    displaced = supercell.copy()
    displaced.positions[0, 0] += 0.05
    return {
        "strained": sheared(zincblende),
        "perfect": wurtzite,  # two of the holohedry's 24, the others by symmetry
        "supercell": supercell,  # translations as well
        "displaced": displaced,
    }


@pytest.mark.parametrize("spec", ["crystal", "crystal:orientation"])
@pytest.mark.parametrize("name", cases())
def test_crystal_is_exactly_covariant(name, spec):
    assert change(spec, cases()[name]).max() < 1e-11


@pytest.mark.parametrize("spec", ["crystal:tetrahedral", "ecse", "ecse:structure"])
def test_exactly_covariant_with_more_frames(spec):
    assert change(spec, cases()["strained"], (1,)).max() < 1e-11


@pytest.mark.parametrize("name", ["water", "bent0.5", "slab"])
def test_ecse_of_molecules_and_slabs(name):
    assert change("ecse", molecules()[name], (1,)).max() < 1e-11


def test_grids_are_approximate():
    atoms = molecule("H2O")
    plain, grid = (change(s, atoms)[0] for s in ("none", "grid:icosahedral"))
    assert 1e-9 < grid < 0.1 * plain


@pytest.mark.parametrize("name", ["perfect", "supercell", "displaced"])
def test_coset_reduction_changes_nothing(name):
    """One evaluation of each coset, averaged over the operations, is the whole holohedry."""
    atoms = cases()[name]
    bound = parse_strategy("crystal").bind(atoms)
    reduced = outputs("crystal", atoms, bound=bound)
    symmetry = bound.symmetry
    alone = np.arange(len(symmetry.primitive.atoms))[None]
    bound.known = [type(symmetry)(symmetry.primitive, np.array([0]), alone)]
    for one, two in zip(reduced, outputs("crystal", atoms, bound=bound), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-11)


def test_supercells_agree():
    """Vectors are those of the smaller cell; a stress is the same, a polarizability extensive."""
    atoms = sheared(crystals()["zincblende"][0], 0.02)
    for spec in ("crystal", "ecse"):
        small, large = outputs(spec, atoms), outputs(spec, atoms * (2, 1, 1))
        np.testing.assert_allclose(large[0], np.tile(small[0], (2, 1)), atol=1e-11)
        np.testing.assert_allclose(large[2], 2 * small[2], atol=1e-11)
        np.testing.assert_allclose(large[3], small[3], atol=1e-12)


def test_forbidden_forces_vanish():
    atoms, _ = crystals()["rocksalt"]
    vectors, _, tensor, stress = outputs("crystal", turned(atoms, orthogonal(3)))
    assert abs(vectors).max() < 1e-12
    for found in (tensor, stress):
        np.testing.assert_allclose(found, np.trace(found) / 3 * np.eye(3), atol=1e-12)


@pytest.mark.parametrize("spec", ["none", "grid:tetrahedral", "crystal", "ecse"])
def test_what_is_covariant_already_is_left_alone(spec):
    """soap-bpnn's own equivariant outputs, whatever the orientations that are averaged."""
    raw = MetatomicRaw(soap_model(tensors=True))
    atoms = sheared(crystals()["zincblende"][0], 0.02)
    for found, expected in zip(outputs(spec, atoms, raw), outputs("none", atoms, raw), strict=True):
        assert abs(expected).max() > 1e-5
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_grid_is_the_mean_of_ase_calls():
    """Against metatomic's calculator on turned copies, units and signs included."""
    atoms = sheared(bulk("Si"), 0.02)
    calculator = MetatomicCalculator(
        rough_model(tensors=True), check_consistency=False, non_conservative=True
    )
    forces, stresses = [], []
    for q in off_axis_group("tetrahedral"):
        copy = turned(atoms, q)
        copy.calc = calculator
        forces.append(copy.get_forces() @ q.T)
        stresses.append(q @ copy.get_stress(voigt=False) @ q.T)
    vectors, _, _, stress = outputs("grid:tetrahedral", atoms)
    # metatomic takes the net force out
    mean = np.mean(forces, 0)
    np.testing.assert_allclose(vectors - vectors.mean(0), mean - mean.mean(0), atol=1e-10)
    np.testing.assert_allclose(stress, np.mean(stresses, 0), atol=1e-11)


def test_ase_calculator_gives_them(tmp_path):
    path = tmp_path / "tensors.pt"
    rough_model(tensors=True).save(str(path))
    spec = PotentialSpec(
        model=str(path), sha256=sha256_of(path), symmetrization="crystal", dtype="float64",
        device="cpu",
    )  # fmt: skip
    atoms = cases()["perfect"]
    atoms.calc = SymmetrizedCalculator(get_potential(spec))
    with pytest.raises(PetFlowsError, match="give the atoms"):
        atoms.calc.covariant(FORCE)
    atoms.get_potential_energy()
    expected = outputs("crystal", atoms)
    np.testing.assert_allclose(atoms.calc.covariant(FORCE), expected[0], atol=1e-10)
    stress = atoms.calc.covariant(STRESS, atoms, per_atom=False)
    np.testing.assert_allclose(stress, expected[3], atol=1e-11)


def test_refusals():
    engine = Evaluator(pet(), parse_strategy("none"))
    system = System.of(bulk("Si"), engine.bind(bulk("Si")))
    with pytest.raises(PetFlowsError, match=r"no output 'dipole'; choose one of .*polarizability"):
        covariant(engine, [system], "dipole")
