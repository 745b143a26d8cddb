"""Checkpoints as the upet hub has them, wrapped for uncertainties, and those of no use."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from metatrain.composition import __model__ as Composition

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import bytes_per_edge
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import get_potential
from pet_flows.engines.uncertainty import uncertainty
from pet_flows.errors import PetFlowsError
from pet_flows.export.model import export_model
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.static.static import static
from pet_flows.records.build import build_record
from tests.rough import build_pet, dataset_info, save_checkpoint


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The same weights, plain and wrapped."""
    folder = tmp_path_factory.mktemp("llpr")
    pet = build_pet(zbl=True).to(torch.float32)
    plain = save_checkpoint(folder / "plain.ckpt", module=pet)
    return plain, save_checkpoint(folder / "wrapped.ckpt", llpr=True, module=pet)


def oxide():
    atoms = bulk("MgO", "rocksalt", a=4.3)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.03, 0.02], 1)), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    return atoms


def load(path, dtype, symmetrization="none"):
    spec = PotentialSpec(model=str(path), dtype=dtype, symmetrization=symmetrization, device="cpu")
    return get_potential(spec, trust=True)


def values(calculator):
    atoms = oxide()
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-4)])
def test_a_wrapped_pet_gives_its_own_energies_on_the_fast_path(checkpoints, dtype, tolerance):
    plain, wrapped = (load(path, dtype) for path in checkpoints)
    assert isinstance(wrapped.raw, PETRaw)
    assert wrapped.raw.dtype == wrapped.raw.general.dtype == getattr(torch, dtype)
    assert bytes_per_edge(wrapped.raw) == pytest.approx(bytes_per_edge(plain.raw), rel=1e-6)
    found = values(SymmetrizedCalculator(wrapped))
    for ours, own in zip(found, values(SymmetrizedCalculator(plain)), strict=True):
        np.testing.assert_array_equal(ours, own)
    # metatomic's calculator runs the wrapper itself, by its own neighbour lists and derivatives; in
    # float64 too, metatrain's ZBL takes some powers in float32
    theirs = values(MetatomicCalculator(load_model(wrapped.resolved), device="cpu"))
    for ours, own in zip(found, theirs, strict=True):
        np.testing.assert_allclose(ours, own, atol=tolerance)


def test_a_wrapped_pet_is_exactly_invariant_once_symmetrized(checkpoints):
    wrapped = load(checkpoints[1], "float64", "crystal:orientation")
    atoms, turned = oxide(), oxide()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    energies = [SymmetrizedCalculator(wrapped).get_potential_energy(a) for a in (atoms, turned)]
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)
    plain = load(checkpoints[1], "float64")
    bare = [SymmetrizedCalculator(plain).get_potential_energy(a) for a in (atoms, turned)]
    assert abs(bare[0] - bare[1]) > 1e-3


def test_a_wrapped_pet_is_exported(checkpoints, tmp_path):
    wrapped = load(checkpoints[1], "float64", "grid:tetrahedral")
    path = export_model(wrapped.resolved, tmp_path / "wrapped.pt")
    theirs = values(MetatomicCalculator(path, device="cpu"))
    for ours, own in zip(values(SymmetrizedCalculator(wrapped)), theirs, strict=True):
        np.testing.assert_allclose(ours, own, atol=1e-7)  # ZBL, as above


@pytest.mark.parametrize("symmetrization", ["none", "grid:tetrahedral"])
def test_uncertainties_are_those_of_the_wrapper(checkpoints, symmetrization):
    wrapped = load(checkpoints[1], "float64", symmetrization)
    atoms = oxide()
    system = System.of(atoms, wrapped.bind(atoms))
    said = uncertainty(wrapped.evaluator, system)
    assert uncertainty(load(checkpoints[0], "float64").evaluator, system) is None
    # the wrapper by itself, each copy rotated by hand
    plan = system.bound.plan(torch.from_numpy(atoms.positions), torch.from_numpy(atoms.cell.array))
    assert len(plan.rotations) == (1 if symmetrization == "none" else 12)
    model = MetatomicCalculator(load_model(wrapped.resolved), device="cpu")

    def energies(structure, name):
        outputs = {name: ModelOutput(unit="eV", sample_kind="system")}
        return model.run_model(structure, outputs)[name].block().values[0].numpy()

    def rotated(structure, rotation):
        copy = structure.copy()
        copy.set_cell(structure.cell.array @ rotation.numpy(), scale_atoms=True)
        return copy

    alone = [energies(rotated(atoms, q), "energy_uncertainty")[0] for q in plan.rotations]
    assert said["energy_per_atom"] == pytest.approx(np.mean(alone) / len(atoms), rel=1e-6)
    assert said["energy_per_atom"] > 0
    # one force component of every member, by differences of the members' energies
    step, slopes = 1e-3, []
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions[0, 1] += sign * step
        members = [energies(rotated(moved, q), "energy_ensemble") for q in plan.rotations]
        slopes.append(np.mean(members, axis=0))
    expected = (slopes[0] - slopes[1]) / (2 * step)
    ours = [
        Evaluator(wrapped.raw.general.member(n), wrapped.evaluator.strategy)
        .evaluate([system])[0]
        .forces
        for n in range(4)
    ]
    np.testing.assert_allclose([-f[0, 1] for f in ours], expected, rtol=1e-4, atol=1e-4)
    assert said["forces"] == pytest.approx(np.sqrt(np.var(ours, axis=0, ddof=1).mean()))
    assert said["stress"] > 0


def test_uncertainties_are_in_the_record(checkpoints):
    outcome = next(iter(static([oxide()], load(checkpoints[1], "float32", "grid:tetrahedral"))))
    assert set(outcome.uncertainty) == {"energy_per_atom", "forces", "stress"}
    record, _ = build_record(
        outcome, input_structure=None, property="static", settings={},
        potential=load(checkpoints[1], "float32").resolved.as_record(),
    )  # fmt: skip
    assert record["uncertainty"] == pytest.approx(outcome.uncertainty)


def test_a_package_that_is_missing_is_named(tmp_path):
    path = tmp_path / "mace.ckpt"
    torch.save({"architecture_name": "experimental.mace", "model_ckpt_version": 1}, path)
    with pytest.raises(PetFlowsError, match=r"not installed: run pip install 'metatrain\[mace\]'"):
        load(path, "float64")


def test_energies_that_know_no_positions_are_no_potential(tmp_path):
    path = save_checkpoint(tmp_path / "atoms.ckpt", module=Composition({}, dataset_info((8, 12))))
    with pytest.raises(PetFlowsError, match="does not depend on where atoms are"):
        load(path, "float64")
    with pytest.raises(PetFlowsError, match=r"composition\) cannot be used in float32"):
        load(path, "float32")


def test_an_uncertainty_that_cannot_be_had_costs_no_energy(checkpoints, monkeypatch):
    wrapped = load(checkpoints[1], "float64", "grid:tetrahedral")
    expected = next(iter(static([oxide()], wrapped)))

    def too_much(self, number):
        raise MemoryError

    monkeypatch.setattr(MetatomicRaw, "member", too_much)
    outcomes = list(static([oxide(), oxide()], wrapped))
    assert [one.result["energy"] for one in outcomes] == [expected.result["energy"]] * 2
    assert [one.uncertainty for one in outcomes] == [None, None]
    assert all("memory is short" in one.warnings[-1] for one in outcomes)
