"""Models trained on the frames of one symmetrization alone."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from metatomic.torch import ModelMetadata
from metatrain.utils.metadata import merge_metadata

from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.export.model import export_model
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import build_pet, save_checkpoint

WORKFLOWS = Path(__file__).parents[2] / "workflows"


def trained_on(frames, path):
    pet = build_pet()
    pet.metadata = merge_metadata(pet.metadata, ModelMetadata(extra={"frames": frames}))
    save_checkpoint(path, module=pet)
    return resolve(PotentialSpec(model=str(path), symmetrization=frames, device="cpu"), trust=True)


@pytest.mark.parametrize(
    ("frames", "others"),
    [
        ("crystal:orientation", ("none", "crystal", "grid:tetrahedral", "ecse")),
        ("crystal", ("none", "crystal:icosahedral", "ecse")),
    ],
)
def test_other_symmetrizations_are_refused(tmp_path, frames, others):
    found = trained_on(frames, tmp_path / "mine.ckpt")
    for good in {frames, "crystal:orientation"}:
        atoms = bulk("Si")
        atoms.calc = SymmetrizedCalculator(found, symmetrization=good)
        assert np.isfinite(atoms.get_potential_energy())
    for other in others:
        sentence = (
            rf"mine was trained on the frames of {frames} alone, and {other} shows it others: "
            rf"use --symmetrize {frames}"
        )
        with pytest.raises(PetFlowsError, match=sentence):
            get_potential(found.with_(symmetrization=other))
        with pytest.raises(PetFlowsError, match=sentence):
            export_model(found.with_(symmetrization=other), tmp_path / "other.pt")


def test_its_card_says_so(tmp_path, capsys):
    trained_on("crystal", tmp_path / "mine.ckpt")
    with pytest.raises(SystemExit):
        main(["models", str(tmp_path / "mine.ckpt"), "--trust"])
    assert "frames" in capsys.readouterr().out


def test_what_is_exported_may_be_turned(tmp_path):
    found = trained_on("crystal:orientation", tmp_path / "mine.ckpt")
    path = export_model(found, tmp_path / "exact.pt", bulk("Si"))
    exact = resolve(PotentialSpec(model=str(path), symmetrization="none", device="cpu"))
    atoms, turned = bulk("Si"), bulk("Si")
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    with torch.jit.optimized_execution(False):
        ours = SymmetrizedCalculator(found).get_potential_energy(atoms)
        for one in (atoms, turned):
            theirs = SymmetrizedCalculator(exact).get_potential_energy(one)
            assert theirs == pytest.approx(ours, abs=1e-9)


def test_training_frames_are_those_that_the_strategy_shows(monkeypatch):
    monkeypatch.syspath_prepend(str(WORKFLOWS))
    import train_canonical

    sheared, turned = bulk("Si", cubic=True), bulk("Si", cubic=True)
    for atoms in (sheared, turned):
        atoms.rattle(0.05, seed=1)
        atoms.info["ref_stress"] = np.diag([1.0, 2.0, 3.0])
        atoms.arrays["ref_forces"] = atoms.positions.copy()
    turned.rotate(40, (1, 2, 3), rotate_cell=True)
    rng = np.random.default_rng(0)
    frames = train_canonical.Frames([sheared, turned], "crystal:orientation")
    one, other = frames(np.array([0, 1]), rng)
    # whatever the orientation, the model is shown the same
    np.testing.assert_allclose(sheared.positions @ one, turned.positions @ other, atol=1e-9)
    shown = train_canonical.turned(sheared, one)
    np.testing.assert_allclose(shown.arrays["ref_forces"], shown.positions, atol=1e-12)
    np.testing.assert_allclose(shown.cell.array, sheared.cell.array @ one, atol=1e-12)
    stress = one.T @ np.diag([1.0, 2.0, 3.0]) @ one
    np.testing.assert_allclose(shown.info["ref_stress"], stress, atol=1e-12)
    plan = parse_strategy("crystal").configure(5.0, 3).bind(sheared).plan(
        torch.from_numpy(sheared.positions), torch.from_numpy(sheared.cell.array)
    )  # fmt: skip
    many = train_canonical.Frames([sheared], "crystal")
    chosen = np.concatenate([many(np.array([0]), rng) for _ in range(20)])
    near = np.abs(chosen[:, None] - plan.rotations.numpy()).max((2, 3))
    assert near.min(1).max() < 1e-12
    assert len(set(near.argmin(1))) > 5
    with pytest.raises(ValueError, match="gives atoms frames of their own"):
        train_canonical.Frames([sheared], "ecse")
    sys.modules.pop("train_canonical")
