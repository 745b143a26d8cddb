from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import spglib
import torch
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from scipy.spatial.transform import Rotation

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.path import LONGEST_PATH, PathPoint, path_of
from pet_flows.properties.relax.relax import relax
from pet_flows.properties.static.static import static
from pet_flows.symmetrization.fixed import Fixed
from pet_flows.symmetrization.strategy import Plan
from tests.properties.stub import AsePotential


def by_index(outcomes: object) -> list[Outcome]:
    return sorted(outcomes, key=lambda o: o.index)  # type: ignore[call-overload]


def number(atoms: Atoms, symprec: float = 1e-5) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return spglib.get_symmetry_dataset(cell, symprec=symprec).number


def hcp(element: str, a: float, c: float) -> Atoms:
    return bulk(element, "hcp", a=a, c=c)


@pytest.fixture(scope="module")
def crystals() -> list[Atoms]:
    found = [
        bulk("Si", a=5.5),
        bulk("Cu", cubic=True, a=3.7),
        bulk("W", a=3.2),
        hcp("Cu", 2.6, 4.2),
        bulk("Nb", "sc", a=2.7),
    ]
    rng = np.random.default_rng(1)
    for atoms in found:
        atoms.positions += rng.normal(0, 1e-4, atoms.positions.shape)
    return found


@pytest.fixture(scope="module")
def relaxed(pet: Potential, crystals: list[Atoms]) -> list[Outcome]:
    return by_index(relax(crystals, pet))


def test_symmetry_of_the_input_is_kept(crystals: list[Atoms], relaxed: list[Outcome]) -> None:
    for atoms, outcome in zip(crystals, relaxed, strict=True):
        assert outcome.state == "ok", outcome.message
        assert outcome.atoms is not None
        assert number(outcome.atoms) == number(atoms, 0.01)


def test_results_are_as_documented(relaxed: list[Outcome]) -> None:
    for outcome in relaxed:
        get_property("relax").result.model_validate(outcome.result)
        assert outcome.result["converged"]
        assert outcome.result["max_force"] <= 0.001
        assert outcome.n_evaluations == outcome.result["n_steps"] + 1
        assert outcome.wall_time > 0
        assert outcome.reference_digest is not None
        volume = outcome.atoms.get_volume() / len(outcome.atoms)
        # the criterion is V |σ| / N ≤ 0.001 eV
        assert abs(outcome.result["pressure"]) * GPa * volume <= 0.001


def test_inputs_are_not_touched(pet: Potential) -> None:
    atoms = bulk("Si", a=5.6)
    before = atoms.copy()
    outcome = next(relax([atoms], pet))
    assert atoms == before
    assert outcome.result["volume_change"] == pytest.approx(
        outcome.atoms.get_volume() / before.get_volume() - 1
    )
    assert outcome.result["rmsd"] < 1e-9


@pytest.mark.parametrize("which", [0, 1, 3])
def test_ase_finds_the_same(
    pet: Potential, crystals: list[Atoms], relaxed: list[Outcome], which: int
) -> None:
    atoms = crystals[which].copy()
    atoms.calc = SymmetrizedCalculator(pet, inherited=relaxed[which].inherited)
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=2e-4, steps=300)
    ours = relaxed[which]
    assert ours.result["energy_per_atom"] == pytest.approx(
        atoms.get_potential_energy() / len(atoms), abs=1e-5
    )
    assert ours.atoms.get_volume() == pytest.approx(atoms.get_volume(), rel=2e-4)


def test_turned_inputs_give_the_same_energy(
    pet: Potential, crystals: list[Atoms], relaxed: list[Outcome]
) -> None:
    turned = []
    for n, atoms in enumerate(crystals):
        turn = Rotation.random(rng=n).as_matrix() * (-1) ** n
        copy = atoms.copy()
        copy.set_cell(atoms.cell.array @ turn, scale_atoms=True)
        turned.append(copy)
    for one, other in zip(relaxed, by_index(relax(turned, pet)), strict=True):
        assert other.state == "ok"
        energies = one.result["energy_per_atom"], other.result["energy_per_atom"]
        assert energies[0] == pytest.approx(energies[1], abs=1e-6)


def test_what_is_carried_binds_the_relaxed_cell(pet: Potential, relaxed: list[Outcome]) -> None:
    atoms = [o.atoms for o in relaxed]
    for before, again in zip(
        relaxed, by_index(static(atoms, pet, None, [o.inherited for o in relaxed])), strict=True
    ):
        assert again.reference_digest == before.reference_digest
        assert again.result["energy"] == pytest.approx(before.result["energy"], abs=1e-9)
        assert again.result["stress"] == pytest.approx(np.array(before.result["stress"]), abs=1e-6)


def test_bad_ones_fail_alone_with_true_reasons(pet: Potential) -> None:
    overlapping = bulk("Si", cubic=True)
    overlapping.positions[1] = overlapping.positions[0] + [0.1, 0, 0]
    broken = bulk("Si", cubic=True)
    broken.positions[3, 1] = np.nan
    image = Atoms("Si", cell=[0.4, 5, 5], pbc=True)
    flat = Atoms("Si2", positions=[[0, 0, 0], [1, 1, 0]], cell=[[3, 0, 0], [0, 3, 0], [3, 3, 0]], pbc=True)  # fmt: skip  # noqa: E501
    bad = {
        "unknown_element": bulk("Xe", "fcc", a=6.2),
        "overlapping_atoms": overlapping,
        "not_finite_input": broken,
        "degenerate_cell": flat,
        "empty": Atoms(cell=[3, 3, 3], pbc=True),
        "symmetrization_refused": molecule("SiH4", cell=[9] * 3, pbc=True)[:1],
    }
    structures = [*bad.values(), image, bulk("Cu")]
    found = by_index(relax(structures, pet))
    assert [o.reason for o in found[:6]] == list(bad)
    assert found[6].reason == "overlapping_atoms"
    assert "its own image" in found[6].message
    assert [o.state for o in found] == ["failed"] * 7 + ["ok"]
    assert all(o.message.endswith(".") and not o.retryable for o in found[:7])


def test_unconverged_says_so_and_keeps_what_it_has(pet: Potential) -> None:
    outcome = next(relax([bulk("W", a=3.3)], pet, RelaxSettings(steps=1)))
    assert outcome.state == "unconverged"
    assert outcome.reason == "steps_exhausted"
    assert "raise steps" in outcome.message
    assert not outcome.result["converged"]
    assert outcome.atoms is not None


def test_positions_alone(pet: Potential) -> None:
    atoms = bulk("W", cubic=True)
    atoms.rattle(0.05, seed=3)
    settings = RelaxSettings(relax_cell=False, fix_symmetry=False)
    outcome = next(relax([atoms], pet.with_(symmetrization="crystal:orientation"), settings))
    assert outcome.state == "ok"
    assert np.array_equal(outcome.atoms.cell.array, atoms.cell.array)
    assert outcome.result["max_force"] <= 0.001
    assert 0.01 < outcome.result["rmsd"] < 0.2
    assert outcome.n_evaluations == outcome.result["n_steps"] + 1


def test_without_a_cell_positions_relax(emt: AsePotential) -> None:
    cluster = Atoms("Cu3", positions=[[0, 0, 0], [2.4, 0, 0], [1.2, 2.0, 0.1]])
    outcome = next(relax([cluster], emt))
    assert outcome.state == "ok"
    assert outcome.result["stress"] is None
    assert any("cell was kept" in w for w in outcome.warnings)
    get_property("relax").result.model_validate(outcome.result)


class Narrow(Fixed):
    """Refuses cells that are strained by more than 3 % against the one it was bound to."""

    cell: np.ndarray

    def plan(self, positions: torch.Tensor, cell: torch.Tensor) -> Plan:
        stretch = np.linalg.svd(np.linalg.solve(self.cell, cell.detach().numpy()))[1]
        if np.abs(stretch - 1).max() > 0.03:
            raise StructureError("symmetrization_refused", "too far")
        return super().plan(positions, cell)


def test_a_cell_far_from_its_reference_gets_a_new_one(emt: AsePotential) -> None:
    def bind(atoms: Atoms, inherited: dict | None = None, group: Any = None) -> Narrow:
        bound = Narrow(torch.eye(3, dtype=torch.float64)[None], len(atoms))
        object.__setattr__(bound, "cell", atoms.cell.array.copy())
        return bound

    free = next(relax([bulk("Cu", a=3.75)], emt))
    emt.bind = bind  # type: ignore[method-assign,assignment]
    outcome = next(relax([bulk("Cu", a=3.75)], emt))
    assert outcome.state == "ok", outcome.message
    assert any("a new reference was taken" in w for w in outcome.warnings)
    assert outcome.atoms.get_volume() == pytest.approx(free.atoms.get_volume(), rel=1e-3)
    far = next(relax([bulk("Cu", a=4.3)], emt))
    assert (far.state, far.reason) == ("failed", "symmetrization_refused")


def test_every_step_is_told(emt: AsePotential) -> None:
    told: dict[int, list[int]] = {0: [], 1: []}

    def progress(index: int, steps: int, allowed: int) -> None:
        assert allowed == 500
        told[index].append(steps)

    found = relax([bulk("Cu", a=3.7), bulk("Al", a=4.2)], emt, progress=progress)
    for outcome in found:
        assert outcome.result["n_steps"] > 1
        assert told[outcome.index] == list(range(1, outcome.result["n_steps"] + 1))


def test_interruption_passes(emt: AsePotential) -> None:
    def interrupt(system: object) -> bool:
        raise KeyboardInterrupt

    emt.evaluator.refuse = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(relax([bulk("Cu")], emt))


def test_memory_that_runs_out_halves_the_batch(emt: AsePotential) -> None:
    whole = emt.evaluator.evaluate

    def small(systems: list, forces: bool = True) -> list:
        if len(systems) > 2 or any(len(s.numbers) > 20 for s in systems):
            raise MemoryError
        return whole(systems, forces)

    emt.evaluator.evaluate = small
    structures = [bulk("Cu"), bulk("Ni"), bulk("Al"), bulk("Cu", cubic=True) * (2, 2, 2)]
    found = by_index(relax(structures, emt))
    assert [o.state for o in found] == ["ok", "ok", "ok", "failed"]
    assert found[3].reason == "out_of_memory"
    assert found[3].retryable


def test_phase_comparison_averages_over_the_group(pet: Potential, relaxed: list[Outcome]) -> None:
    silicon = relaxed[0]
    compared = pet.with_(symmetrization="crystal:icosahedral")
    outcome = next(static([silicon.atoms], compared, None, [silicon.inherited]))
    get_property("static").result.model_validate(outcome.result)
    assert outcome.n_evaluations == 60
    assert outcome.energy_spread is not None
    assert outcome.blobs["static"]["forces"].shape == (2, 3)


def test_a_fixed_cell_is_not_snapped(pet: Potential) -> None:
    """0.3 % of strain is less than symprec, and still what was asked for."""
    atoms = bulk("Cu", a=3.6)
    strain = np.diag([1.003, 1.0, 1.0])
    atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
    (found,) = relax([atoms], pet, RelaxSettings(relax_cell=False))
    assert found.atoms is not None
    np.testing.assert_allclose(found.atoms.cell.array, atoms.cell.array, atol=1e-10)
    (free,) = relax([atoms], pet, RelaxSettings())
    assert free.atoms is not None
    lengths = free.atoms.cell.lengths()
    assert lengths.max() - lengths.min() < 1e-9


def test_the_path_ends_where_the_result_is(emt: AsePotential) -> None:
    """Also of a long one, of which some steps are left out."""
    stretched = bulk("Cu", a=3.9)
    (outcome,) = relax([stretched], emt, RelaxSettings(fmax=1e-3))
    path, result = outcome.result["path"], outcome.result
    assert path["step"] == list(range(result["n_steps"] + 1))
    assert path["energy_per_atom"][-1] == result["energy_per_atom"]
    assert path["energy_per_atom"][0] == pytest.approx(emt_energy(stretched), abs=1e-12)
    assert path["max_force"][-1] == result["max_force"]
    assert path["volume_per_atom"][0] == pytest.approx(3.9**3 / 4)
    assert path["volume_per_atom"][-1] == pytest.approx(outcome.atoms.get_volume())
    points = [PathPoint(-n, 0.0, None) for n in range(5000)]
    long = path_of(points)
    assert len(long["step"]) == LONGEST_PATH
    assert (long["step"][0], long["step"][-1]) == (0, 4999)
    assert long["energy_per_atom"][-1] == -4999


def emt_energy(atoms: Atoms) -> float:
    copy = atoms.copy()
    copy.calc = EMT()
    return copy.get_potential_energy() / len(copy)
