"""From a structure that was given to what is computed in its place, and its way from there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.moving import MovingSystem
from pet_flows.engines.moving_batch import MovingBatch, weigh
from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.prepare import check, require_crystal
from pet_flows.properties.specimen import Specimen, specimens
from pet_flows.symmetrization.fixed import Fixed
from tests.properties.stub import AsePotential


def strained_copper() -> Atoms:
    atoms = bulk("Cu", a=3.6, cubic=True)
    atoms.set_cell(atoms.cell.array @ np.diag([1.003, 1.0, 1.0]), scale_atoms=True)
    atoms.positions[1] += [0.002, 0.0, 0.001]
    return atoms


def fixed(n_atoms: int, warnings: tuple[str, ...] = ()) -> Fixed:
    return Fixed(torch.eye(3, dtype=torch.float64)[None], n_atoms, warnings)


def test_what_is_given_stays_as_it_is_and_is_copied_bare() -> None:
    given = strained_copper()
    given.calc = EMT()
    given.set_initial_magnetic_moments([1.0] * 4)
    given.set_constraint(FixAtoms([0]))
    before = given.todict()
    (plain,) = specimens([given], AsePotential(), None)
    (snapped,) = specimens([given], AsePotential(), None, symprec=0.05)
    assert set(plain.atoms.arrays) == {"numbers", "positions"}
    assert not plain.atoms.constraints
    assert plain.atoms.calc is None
    np.testing.assert_array_equal(plain.atoms.positions, given.positions)
    assert plain.group is None
    assert snapped.group is not None
    assert "lattice vectors by up to 7.2e-03 Å" in snapped.notes[0]
    after = given.todict()
    assert before.keys() == after.keys()
    for key, value in before.items():
        np.testing.assert_array_equal(after[key], value)


def test_a_volume_that_is_to_stay_is_not_snapped_away() -> None:
    given = strained_copper()
    volumes = [
        next(specimens([given], AsePotential(), None, symprec=0.05, keep_volume=keep)).atoms.cell
        for keep in (False, True)
    ]
    assert abs(volumes[0].volume / given.get_volume() - 1) > 1e-6
    assert volumes[1].volume == pytest.approx(given.get_volume(), rel=1e-12)


def test_those_that_cannot_be_done_stay_alone_and_none_waits_for_the_others() -> None:
    asked: list[int] = []

    def require(atoms: Atoms) -> None:
        asked.append(len(atoms))
        require_crystal(atoms, "A wheel")

    given = [bulk("Cu"), fcc111("Cu", (1, 1, 3), vacuum=5.0), Atoms(), bulk("Cu", cubic=True)]
    found: Iterator[Specimen | Outcome] = specimens(given, AsePotential(), None, require=require)
    assert isinstance(next(found), Specimen)
    assert asked == [1]
    slab, empty, last = found
    assert (slab.index, slab.state, slab.reason) == (1, "failed", "not_periodic")
    assert slab.message.startswith("A wheel needs a cell that is periodic along three axes, and")
    assert (empty.index, empty.reason) == (2, "empty")
    assert (last.index, len(last.atoms)) == (3, 4)


def test_an_unforeseen_error_is_one_of_its_structure(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(AsePotential):
        def bind(
            self, atoms: Atoms, inherited: dict[str, Any] | None = None, group: Any = None
        ) -> Fixed:
            raise ZeroDivisionError("no way")

    (outcome,) = specimens([bulk("Cu")], Broken(), None)
    assert outcome.reason == "not_prepared"
    assert "ZeroDivisionError: no way" in outcome.message
    assert "structure 0 of a batch" in caplog.text


def test_outcomes_say_what_is_known_of_the_structure_each_sentence_once() -> None:
    atoms = bulk("Cu")
    bound = fixed(1, ("of the binding",))
    specimen = Specimen(5, atoms, bound, notes=("of the binding", "a note"), wall_time=2.0)
    done = specimen.outcome(result={"a": 1}, warnings=["another"], wall_time=1.0)
    assert (done.index, done.state, done.wall_time) == (5, "ok", 3.0)
    assert done.warnings == ("of the binding", "a note", "another")
    failed = specimen.failure(StructureError("empty", "none", retryable=True), n_evaluations=4)
    assert (failed.index, failed.state, failed.reason) == (5, "failed", "empty")
    assert (failed.retryable, failed.n_evaluations, failed.wall_time) == (True, 4, 2.0)


def test_which_atom_or_vector_is_not_finite_is_said() -> None:
    atoms = bulk("Cu", cubic=True)
    atoms.positions[2, 1] = np.inf
    with pytest.raises(StructureError, match=r"position of atom 2 is not finite \(\[.*inf"):
        check(atoms)
    atoms = bulk("Cu", cubic=True)
    atoms.cell[1, 1] = np.nan
    with pytest.raises(StructureError, match="lattice vector 1 is not finite"):
        check(atoms)


def moving(atoms: Atoms, **options: Any) -> MovingSystem:
    return MovingSystem(start=System.of(atoms, fixed(len(atoms))), **options)


def placed(batch: MovingBatch, positions: np.ndarray, cell: np.ndarray) -> System:
    """The only member at a geometry; raises why it cannot be there."""
    found = batch.place(positions, cell[None], np.ones(1, dtype=bool))
    if not found:
        raise batch.members[0].error
    return found[0][1]


def test_a_moving_system_keeps_its_first_energy_and_its_last_evaluation() -> None:
    atoms = bulk("Cu", cubic=True)
    one = moving(atoms)
    weigh([one])
    assert one.cost == 4
    with pytest.raises(StructureError, match="ended before its first evaluation"):
        _ = one.last
    batch = MovingBatch([one])
    for energy in (1.0, 2.0):
        system = placed(batch, atoms.positions + energy, atoms.cell.array)
        forces = np.zeros((4, 3))
        one.take(Evaluation(system, energy, np.full(4, energy / 4), forces, None, 3, None, None))
    cells = atoms.cell.array[None]
    assert not batch.new(atoms.positions + 2.0, cells)[0]
    assert batch.new(atoms.positions + 1.0, cells)[0]
    assert (one.first_energy, one.last.energy, one.n_evaluations) == (1.0, 2.0, 6)
    assert one.last.energy_per_atom == 0.5
    np.testing.assert_array_equal(one.last.system.atoms.positions, atoms.positions + 2.0)


def test_a_cell_may_strain_so_far_and_no_farther() -> None:
    atoms = bulk("Cu", cubic=True)
    placed(MovingBatch([moving(atoms, max_strain=0.1)]), atoms.positions, 1.1 * atoms.cell.array)
    batch = MovingBatch([moving(atoms, max_strain=0.1)])
    with pytest.raises(StructureError, match=r"1\.40 times the first volume .* raise max_strain"):
        placed(batch, atoms.positions, 1.12 * atoms.cell.array)
    batch = MovingBatch([moving(atoms, max_strain=0.1)])
    with pytest.raises(StructureError, match="beyond any number"):
        placed(batch, atoms.positions * np.inf, atoms.cell.array)
