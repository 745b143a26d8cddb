"""Receptive-field clusters: the same result from a part of the atoms."""

import numpy as np
import pytest
import torch
from ase import Atoms

from pet_flows.engines.clusters import parts
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.rows import Rows
from pet_flows.engines.surroundings import graph_of
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import rough_model
from tests.symmetrization import checks
from tests.symmetrization.systems import orthogonal, turned


def model(path=PETRaw, cut=True, n_layers=1, zbl=False):
    raw = path(rough_model(n_layers=n_layers, zbl=zbl))
    if not cut:
        raw.hops = None
    return raw


def helix(n=20, periodic=False, rise=1.6):
    """A chain bent everywhere, much longer than what an atom of it sees."""
    turn = 2.0 * np.arange(n)
    places = np.stack([rise * np.arange(n), 1.1 * np.cos(turn), 1.1 * np.sin(turn)], 1)
    atoms = Atoms(("CNCO" * n)[:n], places)
    if periodic:
        atoms.set_cell([[n * rise, 0, 0], [1.0, 8.0, 0], [0.5, -0.7, 8.5]])
        atoms.pbc = True
        atoms.positions += [3.0, 4.0, 4.0]
    atoms.rattle(0.1, seed=2)
    return turned(atoms, orthogonal(2))


def evaluate(atoms, raw, spec="ecse"):
    engine = Evaluator(raw, parse_strategy(spec).configure(raw.cutoff, raw.n_layers))
    return engine.evaluate([System.of(atoms, engine.bind(atoms))])[0]


def cut(atoms, raw, spec="ecse"):
    """Parts, and the atoms that are evaluated in them and would be without."""
    bound = parse_strategy(spec).configure(raw.cutoff, raw.n_layers).bind(atoms)
    plan = bound.plan(torch.tensor(atoms.positions), torch.tensor(atoms.cell.array))
    graph = graph_of(raw.lists, atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    k, n = plan.weights.shape
    found = parts(graph, plan.weights.reshape(-1), Rows(np.array([k]), np.array([n])), raw.hops)
    assert len(found.owners) == k
    return found.graphs, found.graphs.sizes[found.owners].sum(), plan.weights.numel()


CASES = {
    "open": (helix(), {}, "ecse"),
    "periodic": (helix(16, periodic=True), {}, "ecse"),
    "atom scope": (helix(periodic=True), {}, "ecse:atom"),
    "repulsion": (helix(), {"zbl": True}, "ecse"),
    "two layers": (helix(28), {"n_layers": 2}, "ecse:atom"),
}


@pytest.mark.parametrize("name", CASES)
def test_clusters_are_the_whole_structure(name):
    atoms, options, spec = CASES[name]
    _, fewer, all_ = cut(atoms, model(**options), spec)
    assert fewer < 0.8 * all_
    small = evaluate(atoms, model(**options), spec)
    whole = evaluate(atoms, model(cut=False, **options), spec)
    assert abs(small.energy - whole.energy) < 1e-11
    np.testing.assert_allclose(small.energies, whole.energies, rtol=0, atol=1e-12)
    np.testing.assert_allclose(small.forces, whole.forces, rtol=0, atol=1e-11)
    if whole.stress is not None:
        np.testing.assert_allclose(small.stress, whole.stress, rtol=0, atol=1e-13)
    assert small.energy_spread == pytest.approx(whole.energy_spread, rel=1e-9)
    assert small.n_evaluations == whole.n_evaluations


def test_clusters_on_the_general_path():
    atoms = helix(28)
    general, fast = model(MetatomicRaw), model()
    assert cut(atoms, general)[1] < 0.7 * cut(atoms, general)[2]
    one, two = evaluate(atoms, general), evaluate(atoms, fast)
    assert abs(one.energy - two.energy) < 1e-11
    np.testing.assert_allclose(one.forces, two.forces, rtol=0, atol=1e-11)


def test_energies_depend_on_a_bond_more_than_layers():
    """What a cluster must hold: PET reads out messages exchanged after its last layer."""
    chain = Atoms("COCNC", [[4.0 * k, 0.2 * (-1) ** k, 0.1 * k] for k in range(5)])
    for layers in (1, 2):
        raw = model(n_layers=layers)
        energies = evaluate(chain, raw, "none").energies
        changes = []
        for k in range(1, 5):
            moved = chain.copy()
            moved.positions[k] += [0.0, 0.2, 0.3]
            changes.append(evaluate(moved, raw, "none").energies[0] != energies[0])
        assert changes == [k <= raw.hops for k in range(1, 5)]
        assert raw.hops == layers + 1


def test_derivatives_of_clusters():
    """Finite differences, with stress; and covariance, with other clusters after the turn."""
    atoms = helix(12, periodic=True)
    assert cut(atoms, model())[1] < cut(atoms, model())[2]
    checks.finite_differences("ecse:atom", atoms, model=model())
    checks.covariance("ecse:atom", atoms, seeds=(1,), model=model())


def test_far_parts_do_not_meet():
    """Size-extensive, at a cost in proportion."""
    one = helix(12)
    far = turned(one, orthogonal(3))
    far.positions += [100.0, 0, 0]
    alone, both = evaluate(one, model(cut=False)), evaluate(one + far, model())
    assert abs(both.energy - 2 * alone.energy) < 1e-12 * len(one + far)
    np.testing.assert_allclose(both.forces[:12], alone.forces, rtol=0, atol=1e-11)
    assert cut(one + far, model())[1] == 2 * cut(one, model())[1]


def test_nothing_is_cut_where_it_does_not_pay():
    small = helix(4)
    assert len(cut(small, model())[0]) == 1
    for spec in ("grid:tetrahedral", "ecse:structure"):
        assert len(cut(helix(), model(), spec)[0]) == 1
    assert len(cut(helix(), model(cut=False))[0]) == 1
