"""Training of the bundled model: what it fits is what the package then computes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111

import pet_flows
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.raw import Copies
from pet_flows.engines.surroundings import graph_of

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture(scope="module")
def parts():
    sys.path.insert(0, str(WORKFLOWS))
    import pet_batches
    import pet_step
    import train_pet_compiled

    yield pet_batches, pet_step, train_pet_compiled
    sys.path.remove(str(WORKFLOWS))


def labelled():
    """Four structures of unlike sizes and widths, with numbers to be subtracted from."""
    rng = np.random.default_rng(1)
    found = [bulk("Si"), bulk("Mo", cubic=True), bulk("Cu", cubic=True), fcc111("Ni", (1, 1, 3))]
    found[3].center(4, axis=2)
    found[3].pbc = True
    for k, atoms in enumerate(found):
        atoms.rattle(0.15, seed=k)
        atoms.info["ref_energy"] = -3.0 * len(atoms)
        atoms.info["ref_stress"] = np.full((3, 3), np.nan) if k == 2 else 0.01 * np.eye(3)
        atoms.info["group"] = str(k)
        atoms.arrays["ref_forces"] = rng.normal(size=(len(atoms), 3))
    return found


@pytest.fixture(scope="module")
def trained(parts):
    data, step, script = parts
    torch.manual_seed(0)
    structures = labelled()
    pet = script.new_model(structures)
    raw = PETRaw(pet.export())
    return structures, raw, data.Batches(structures, raw), step.Energies(pet.train())


def test_structures_are_shown_in_all_orientations(parts):
    rotations = parts[0].random_orientations(4000, np.random.default_rng(0))
    proper = np.linalg.det(rotations) > 0
    assert 0.45 < proper.mean() < 0.55
    # a mean over all of O(3), of the matrices and of their squares, has no direction
    assert np.abs(rotations.mean(axis=0)).max() < 0.04
    assert np.abs((rotations**2).mean(axis=0) - 1 / 3).max() < 0.03
    # (angle - sin angle) / π of all proper ones are nearer to the orientation of the file
    angles = np.arccos(np.clip((np.trace(rotations[proper], axis1=1, axis2=2) - 1) / 2, -1, 1))
    assert np.isclose((angles < np.pi / 2).mean(), 0.5 - 1 / np.pi, atol=0.03)


def a_batch(batches):
    turns = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 3, 3)))[0]
    return turns, batches.take(np.array([2, 0, 3, 1]), 16, 64, 6, turns)


def test_a_padded_batch_gives_what_the_package_gives(parts, trained):
    structures, raw, batches, model = trained
    turns, batch = a_batch(batches)
    energy, forces, virial = parts[1].predict(model, batch, differentiable=False)
    start = 0
    for k, s in enumerate([2, 0, 3, 1]):
        atoms, n = structures[s], len(structures[s])
        cell, positions = atoms.cell.array @ turns[k], atoms.positions @ turns[k]
        graph = graph_of(raw.lists, atoms.numbers, positions, cell, atoms.pbc)
        ones = torch.ones(n, dtype=torch.float64)
        unturned = torch.eye(3, dtype=torch.float64)[None]
        alone = raw.evaluate(Copies(graph, unturned, np.zeros(1, dtype=int), ones))
        strained = 0.5 * (alone.virials[0] + alone.virials[0].T)
        # float32, of energies of some eV and forces of some eV/Å
        assert energy[k].item() == pytest.approx(float(alone.energies.sum()), abs=2e-5)
        torch.testing.assert_close(
            forces[start : start + n], -alone.gradients.float(), atol=2e-5, rtol=1e-4
        )
        torch.testing.assert_close(virial[k], strained.float(), atol=1e-4, rtol=1e-4)
        start += n
    assert (energy[4:] == 0).all()


def test_training_starts_from_what_a_checkpoint_gives(parts, trained):
    bundled = Path(pet_flows.__file__).parent / "models" / "data" / "pet-mvl.ckpt"
    pet, structures = parts[2].started_model(bundled), trained[0]
    batches = parts[0].Batches(structures, PETRaw(pet.export()))
    batch = batches.take(np.arange(4), 16, 64, 4, np.broadcast_to(np.eye(3), (4, 3, 3)))
    found = parts[1].predict(parts[1].Energies(pet.train()), batch, differentiable=False)
    calculator = pet_flows.SymmetrizedCalculator("pet-mvl", symmetrization="none")
    for s, atoms in enumerate(structures):
        fixed = atoms.info["ref_energy"] - batches.energies[s]
        atoms.calc = calculator
        energy = atoms.get_potential_energy()
        assert found[0][s].item() + fixed == pytest.approx(energy, abs=1e-4)


def test_targets_are_what_the_fixed_terms_leave(trained):
    structures, raw, batches, _ = trained
    for s, atoms in enumerate(structures):
        graph = graph_of(raw.lists, atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
        fixed = raw.invariant(graph)
        whole = batches.energies[s] + float(fixed.energies.sum())
        assert whole == pytest.approx(atoms.info["ref_energy"])
    _, batch = a_batch(batches)
    assert batch["stressed"].tolist() == [False, True, True, True, False, False]


def test_the_gradient_of_a_step_is_that_of_its_errors(parts, trained):
    *_, batches, model = trained
    _, batch = a_batch(batches)
    weights = torch.tensor([3.0, 0.5, 0.1, 0.02, 0.1], dtype=torch.float64)
    double = {k: t.double() if t.is_floating_point() else t for k, t in batch.items()}
    model = model.double()
    torch.set_default_dtype(torch.float64)
    try:
        given = [p.detach().clone().requires_grad_(True) for p in model.parameters()]

        def total(by, along):
            moved = [
                (p + by * d).detach().requires_grad_(True)
                for p, d in zip(given, along, strict=True)
            ]
            errors = parts[1].step(model, moved, double, weights)[0]
            return float(errors[0] + weights[0] * errors[1] + weights[1] * errors[2])

        gradients = parts[1].step(model, given, double, weights)[1:]
        generator = torch.Generator().manual_seed(0)
        along = [torch.randn(p.shape, generator=generator) * p.abs().mean() for p in given]
        slope = sum((g * d).sum().item() for g, d in zip(gradients, along, strict=True))
        h = 1e-5
        numeric = (total(h, along) - total(-h, along)) / (2 * h)
    finally:
        torch.set_default_dtype(torch.float32)
        model.float()
    assert slope == pytest.approx(numeric, rel=1e-5)
