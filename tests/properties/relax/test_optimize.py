"""The loop around torch-sim's optimizers, with EMT forces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.errors import StructureError
from pet_flows.properties.relax import optimize as optimize_module
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.optimize import Descent, Optimization
from pet_flows.symmetrization.fixed import Fixed, FixedBatch
from tests.properties.stub import AseEvaluator, AsePotential


def crystals() -> list[Atoms]:
    rng = np.random.default_rng(0)
    found = [
        bulk("Cu", a=3.8),
        bulk("Ni", "bcc", a=2.9),
        bulk("Cu", "hcp", a=2.7, c=4.0),
        bulk("Al", a=4.2, cubic=True),
        bulk("Cu", cubic=True) * (2, 2, 1),
    ]
    for atoms in found[3:]:
        atoms.positions += rng.normal(0, 0.1, atoms.positions.shape)
        atoms.set_cell(
            atoms.cell.array @ (np.eye(3) + rng.normal(0, 0.03, (3, 3))), scale_atoms=True
        )
    return found


def run(
    evaluator: AseEvaluator, settings: RelaxSettings, structures: list[Atoms], **options: Any
) -> Iterator[Descent[int]]:
    """Optimize a fixed list; the owner of each is its place in it."""
    freedom, capacity = options.get("freedom", "cell"), options.get("capacity", 10_000)
    optimization = Optimization[int](evaluator, settings, freedom, capacity=capacity)
    for place, one in enumerate(structures):
        optimization.add(place, system(one))
    yield from optimization


def system(atoms: Atoms) -> System:
    return System.of(atoms, Fixed(torch.eye(3, dtype=torch.float64)[None], len(atoms)))


def optimize(
    structures: list[Atoms], settings: RelaxSettings, **options: Any
) -> list[Descent[int]]:
    return sorted(run(AseEvaluator(), settings, structures, **options), key=lambda o: o.owner)


def energy(done: Descent[int]) -> float:
    return done.last.energy_per_atom


def volume(done: Descent[int]) -> float:
    return done.last.system.volume


@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs", "fire"])
def test_the_same_minimum_as_ase(optimizer: str) -> None:
    structures = crystals()[:4] if optimizer == "fire" else crystals()
    found = optimize(structures, RelaxSettings(optimizer=optimizer))
    for atoms, done in zip(structures, found, strict=True):
        assert done.converged
        assert done.residual.force <= 0.001
        assert done.residual.cell_force <= 0.001
        atoms.calc = EMT()
        ase = BFGS(FrechetCellFilter(atoms), logfile=None)
        ase.run(fmax=1e-4, steps=500)
        assert energy(done) == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-6)
        assert volume(done) == pytest.approx(atoms.get_volume(), rel=2e-4)
        if optimizer != "fire":
            assert done.n_steps <= ase.nsteps + 4


@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs", "fire"])
def test_company_order_and_room_change_nothing(optimizer: str) -> None:
    """Larger structures entering a running batch must not disturb those inside."""
    settings = RelaxSettings(optimizer=optimizer)
    # FIRE amplifies round-off over its many steps
    close = 1e-6 if optimizer == "fire" else 1e-9
    structures = crystals()[:4] if optimizer == "fire" else crystals()
    alone = [optimize([a], settings)[0] for a in structures]
    crowded = optimize(structures, settings, capacity=6)
    backwards = optimize(structures[::-1], settings, capacity=6)[::-1]
    for others in (crowded, backwards):
        for one, other in zip(alone, others, strict=True):
            assert other.n_steps == one.n_steps
            assert energy(other) == pytest.approx(energy(one), abs=close)
            assert volume(other) == pytest.approx(volume(one), rel=close)


def test_each_leaves_when_it_is_done() -> None:
    evaluator = AseEvaluator()
    steps = [o.n_steps for o in run(evaluator, RelaxSettings(), crystals())]
    assert steps == sorted(steps)
    # the first evaluation serves torch-sim's two initializations; none comes after convergence
    assert evaluator.evaluated == sum(n + 1 for n in steps)


def test_one_that_breaks_leaves_the_others_alone() -> None:
    evaluator = AseEvaluator()
    evaluator.refuse = lambda s: len(s.numbers) == 4 and evaluator.evaluated > 30
    settings = RelaxSettings()
    found = sorted(run(evaluator, settings, crystals()), key=lambda o: o.owner)
    assert found[3].error is not None
    assert found[3].error.reason == "not_finite"
    assert not found[3].converged
    for n, one in enumerate(optimize(crystals(), settings)):
        if n != 3:
            assert found[n].converged
            assert energy(found[n]) == pytest.approx(energy(one), abs=1e-9)


def test_steps_run_out() -> None:
    found = optimize(crystals(), RelaxSettings(steps=3))
    assert [o.converged for o in found] == [False] * 5
    assert {o.n_steps for o in found} == {3}
    assert all(o.error is None for o in found)


def test_a_cell_that_runs_away_is_caught() -> None:
    far = bulk("Cu", a=5.6)
    found = optimize([far, bulk("Cu", a=3.7)], RelaxSettings(max_strain=0.05))
    assert found[0].error is not None
    assert found[0].error.reason == "cell_runaway"
    assert "times the first volume" in found[0].error.message
    assert found[1].converged


def test_fixed_volume_relaxes_the_shape_alone() -> None:
    atoms = bulk("Cu", a=3.6)
    atoms.set_cell(atoms.cell.array @ np.diag([1.04, 1.0, 0.97]), scale_atoms=True)
    done = optimize([atoms], RelaxSettings(), freedom="shape")[0]
    assert done.converged
    assert volume(done) == pytest.approx(atoms.get_volume(), rel=1e-9)
    lengths = np.linalg.norm(done.last.system.cell, axis=1)
    assert np.ptp(lengths) < 1e-3


def test_fixed_shape_relaxes_the_volume_alone() -> None:
    atoms = bulk("Cu", a=3.6)
    atoms.set_cell(atoms.cell.array @ np.diag([1.03, 1.0, 0.99]) * 1.02, scale_atoms=True)
    done = optimize([atoms], RelaxSettings(), freedom="volume")[0]
    assert done.converged
    cell = done.last.system.cell
    ratio = (volume(done) / atoms.get_volume()) ** (1 / 3)
    assert ratio < 0.99
    np.testing.assert_allclose(cell, ratio * atoms.cell.array, atol=1e-9)
    stress = done.last.stress
    assert np.trace(stress) * volume(done) / 3 <= 1e-3
    assert np.abs(stress).max() * volume(done) > 0.01  # the shape was not what it wanted


def test_what_optimizers_remember_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hessians are padded to the largest structure inside: small ones do not crowd around it."""
    limit = 50_000  # bytes: five of the larger ones
    monkeypatch.setattr(optimize_module, "OPTIMIZER_MEMORY", limit)
    together: list[int] = []

    class Counting(AseEvaluator):
        def evaluate(self, systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
            together.append(8 * len(systems) * (3 * max(len(s) for s in systems) + 9) ** 2)
            return super().evaluate(systems, forces)

    given = [bulk("Cu", a=3.6) * (2, 2, 2)] + [bulk("Cu", a=3.6)] * 12
    for done in run(Counting(), RelaxSettings(optimizer="bfgs"), given):
        assert done.converged
    assert limit / 3 < max(together) <= limit


def test_structures_may_be_added_on_the_way(emt: AsePotential) -> None:
    optimization = Optimization[str](emt.evaluator, RelaxSettings(), "cell")
    optimization.add("first", system(crystals()[0]))
    owners = []
    for done in optimization:
        owners.append(done.owner)
        if done.owner == "first":
            optimization.add("second", system(crystals()[4]))
        assert done.converged
    assert owners == ["first", "second"]


def test_what_was_never_evaluated_says_why() -> None:
    """A structure whose strategy has no plan leaves with that error, and harms no other."""

    class Choosy(Fixed):
        """Refuses bindings to two atoms."""

        @staticmethod
        def join(bounds: Sequence[Fixed]) -> FixedBatch:
            if any(bound.n_atoms == 2 for bound in bounds):
                raise StructureError("symmetrization_refused", "no plan for this one")
            return FixedBatch(bounds)

    optimization = Optimization[int](AseEvaluator(), RelaxSettings(), "cell")
    one = torch.eye(3, dtype=torch.float64)[None]
    cu = bulk("Cu", a=3.7)
    for place, atoms in enumerate([cu, cu * (2, 1, 1), cu]):
        optimization.add(place, System.of(atoms, Choosy(one, len(atoms))))
    found = {done.owner: done for done in optimization}
    assert [found[n].converged for n in range(3)] == [True, False, True]
    with pytest.raises(StructureError, match="no plan for this one"):
        _ = found[1].last
