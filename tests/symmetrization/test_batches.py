"""Structures planned, evaluated and projected together are what they are alone."""

import numpy as np
import pytest
import torch

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.projection import Projection
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.pet import PETRaw
from pet_flows.symmetrization.batch import join
from pet_flows.symmetrization.crystal_bound import CrystalBound
from tests.rough import rough_model
from tests.symmetrization.systems import crystals, molecules, sheared, strategy_of

SPECS = ["crystal", "crystal:orientation", "crystal:tetrahedral", "ecse", "grid:tetrahedral",
         "grid:lebedev:1", "none"]  # fmt: skip


def mixed(spec):
    """Perfect crystals, supercells, strained ones, and molecules where these can be bound."""
    found = {name: atoms for name, (atoms, _) in crystals().items()}
    batch = [found["fcc"], found["diamond"] * (2, 1, 1), found["wurtzite"],
             sheared(found["zincblende"], 0.03, 0.05), found["perovskite"]]  # fmt: skip
    if not spec.startswith("crystal"):
        batch[1:3] = [molecules()["water"], molecules()["slab"]]
    return batch


@pytest.mark.parametrize("spec", SPECS)
def test_results_do_not_depend_on_the_batch(spec):
    raw = PETRaw(rough_model(zbl=True))
    strategy = strategy_of(spec)
    batch = mixed(spec)
    systems = [System.of(atoms, strategy.bind(atoms)) for atoms in batch]
    together = Evaluator(raw, strategy, chunk_atoms=60).evaluate(systems)
    order = [3, 1, 4, 0, 2]
    other = Evaluator(raw, strategy).evaluate([systems[n] for n in order])
    for n, one in enumerate(together):
        (alone,) = Evaluator(raw, strategy).evaluate([systems[n]])
        for result in (alone, other[order.index(n)]):
            assert abs(result.energy - one.energy) < 1e-9
            np.testing.assert_allclose(result.energies, one.energies, rtol=0, atol=1e-9)
            np.testing.assert_allclose(result.forces, one.forces, rtol=0, atol=1e-9)
            if one.stress is not None:
                np.testing.assert_allclose(result.stress, one.stress, rtol=0, atol=1e-9)
            assert (result.stress is None) == (one.stress is None)
            assert result.n_evaluations == one.n_evaluations
            for name in ("energy_spread", "force_spread"):
                a, b = getattr(result, name), getattr(one, name)
                assert a == pytest.approx(b, abs=1e-9) if b is not None else a is None


@pytest.mark.parametrize("spec", SPECS)
def test_a_plan_alone_is_its_part_of_the_plan_of_all(spec):
    batch = mixed(spec)
    bounds = [strategy_of(spec).bind(atoms) for atoms in batch]
    positions = np.concatenate([atoms.positions for atoms in batch])
    plan = join(bounds).plan(positions, np.stack([atoms.cell.array for atoms in batch]))
    copy = row = site = 0
    for n, (atoms, bound) in enumerate(zip(batch, bounds, strict=True)):
        own = bound.plan(torch.tensor(atoms.positions), torch.tensor(atoms.cell.array))
        k, size = own.weights.shape
        assert (plan.copies[n], plan.sites[n]) == (k, size)
        np.testing.assert_allclose(
            plan.rotations[copy : copy + k], own.rotations, rtol=0, atol=1e-12
        )
        rows = plan.weights[row : row + k * size].reshape(k, size)
        np.testing.assert_allclose(rows, own.weights, rtol=0, atol=1e-12)
        if own.image is not None:
            first = sum(len(a) for a in batch[:n])
            image = plan.image[first : first + len(atoms)] - site
            assert image.tolist() == own.image.tolist()
        copy, row, site = copy + k, row + k * size, site + size


def test_projections_together_are_those_alone():
    rng = np.random.default_rng(3)
    found = [atoms for atoms, _ in crystals().values()]
    found[1:2] = [found[1] * (2, 1, 1)]
    groups = [SpaceGroup.find(atoms) for atoms in found]
    cells = [a.cell.array @ (np.eye(3) + rng.normal(scale=0.02, size=(3, 3))) for a in found]
    positions = [a.positions + rng.normal(scale=0.05, size=a.positions.shape) for a in found]
    positions[0] = positions[0] + 3 * cells[0][1]  # as an integrator may wrap it
    forces = [rng.normal(size=p.shape) for p in positions]
    stress = rng.normal(size=(len(found), 3, 3))
    both = Projection(groups)
    projected = both.cells(np.stack(cells))
    together = (
        both.positions(np.concatenate(positions), projected),
        both.forces(np.concatenate(forces), projected),
    )
    stresses, end = both.stresses(stress, projected), 0
    for n, group in enumerate(groups):
        cell = group.project_cell(cells[n])
        np.testing.assert_allclose(projected[n], cell, rtol=0, atol=1e-13)
        begin, end = end, end + len(found[n])
        alone = (
            group.projection.positions(positions[n], cell[None]),
            group.symmetrize_forces(forces[n], cell),
        )
        for one, two in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, two[begin:end], rtol=0, atol=1e-12)
        expected = group.symmetrize_stress(stress[n], cell)
        np.testing.assert_allclose(stresses[n], expected, rtol=0, atol=1e-13)


def test_what_moves_is_not_searched_for_symmetry_at_each_step(monkeypatch):
    atoms = crystals()["diamond"][0] * (2, 1, 1)
    bound = strategy_of("crystal").bind(atoms)
    moving = bound.moving()
    batch = join([moving])
    cells = atoms.cell.array[None]
    before = batch.plan(atoms.positions, cells)
    searched = []
    find = CrystalBound._find
    monkeypatch.setattr(CrystalBound, "_find", lambda *a: searched.append(1) or find(*a))
    rng = np.random.default_rng(0)
    x = atoms.positions
    for _ in range(5):
        x = x + rng.normal(scale=0.02, size=x.shape)
        plan = batch.plan(x, cells)
        fresh = join([bound]).plan(x, cells)
        assert plan.copies.tolist() == fresh.copies.tolist()
        assert plan.copies[0] > before.copies[0]
        np.testing.assert_array_equal(plan.rotations, fresh.rotations)
    assert len(searched) == 1 + 5  # once, and each time for what does not move
    # who joins another batch remembers, and the binding that others have does not
    assert join([moving]).plan(x, cells).copies.tolist() == plan.copies.tolist()
    assert len(searched) == 6
    assert bound.known[0] is bound.symmetry
