from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read
from ase.md.verlet import VelocityVerlet
from scipy.spatial.transform import Rotation

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import Potential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.md import samples
from pet_flows.properties.md.correlation import Displacements
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.md.trajectory import read_trajectory, write_trajectory
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from tests.properties.md.potentials import LawPotential, Springs, ideal_gas
from tests.properties.stub import AsePotential
from tests.rough import rough_model, unfiled

NVE = MDSettings(ensemble="nve", steps=60, stride=5, timestep=2.0, min_length=0, seed=7)
LANGEVIN = NVE.model_copy(update={"ensemble": "nvt_langevin"})


def copper() -> Atoms:
    return bulk("Cu", cubic=True) * (2, 2, 1)


def frames(outcome: Outcome) -> dict[str, np.ndarray]:
    return outcome.blobs["trajectory"]


def test_nve_is_velocity_verlet(emt: AsePotential) -> None:
    outcome = next(md([copper()], emt, NVE))
    assert outcome.state == "ok", outcome.message
    get_property("md").result.model_validate(outcome.result)
    ours = frames(outcome)
    atoms = read_trajectory(ours)[0]
    atoms.calc = EMT()
    VelocityVerlet(atoms, timestep=2.0 * units.fs).run(60)
    assert ours["positions"][-1] == pytest.approx(atoms.positions, abs=1e-9)
    assert ours["momenta"][-1] == pytest.approx(atoms.get_momenta(), abs=1e-9)
    assert list(ours["step"]) == list(range(0, 61, 5))
    assert np.ptp(ours["conserved"]) < 2e-3 * ours["kinetic"][0]
    assert np.abs(ours["momenta"].sum(1)).max() < 1e-9
    assert abs(outcome.result["drift"]) < 1e-3
    assert outcome.result["temperature"]["target"] is None


@pytest.mark.parametrize("name", ["md.traj", "md.extxyz.gz", "md.extxyz"])
def test_ase_reads_the_trajectory(tmp_path: Path, name: str) -> None:
    settings = NVE.model_copy(update={"ensemble": "npt_langevin", "cell_motion": "full"})
    outcome = next(md([copper()], LawPotential(Springs(copper())), settings))
    write_trajectory(frames(outcome), tmp_path / name)
    again = read(tmp_path / name, ":")
    assert len(again) == 13
    for t, atoms in enumerate(again):
        assert atoms.get_potential_energy() == pytest.approx(frames(outcome)["potential"][t])
        assert atoms.get_forces() == pytest.approx(frames(outcome)["forces"][t], abs=1e-7)
        assert atoms.cell.array == pytest.approx(frames(outcome)["cell"][t], abs=1e-7)
        assert atoms.get_temperature() == pytest.approx(
            2 * frames(outcome)["kinetic"][t] / (48 * units.kB), rel=1e-5
        )
    assert again[-1].positions == pytest.approx(outcome.atoms.positions, abs=1e-7)
    assert again[-1].cell.array == pytest.approx(outcome.atoms.cell.array, abs=1e-7)
    assert again[3].info["time"] == pytest.approx(0.03)


ENSEMBLES = ["nve", "nvt_langevin", "nvt_nose_hoover", "npt_langevin"]


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("killed_after", [3, 10, 37, 59])
def test_a_broken_run_goes_on(tmp_path: Path, ensemble: str, killed_after: int) -> None:
    settings = NVE.model_copy(update={"ensemble": ensemble, "observe_every": 2})
    folder = tmp_path / "runs"
    law = Springs(copper())
    whole = next(md([copper()], LawPotential(law), settings))

    broken = LawPotential(law)

    def stop() -> None:
        if broken.evaluator.evaluated > killed_after:
            raise KeyboardInterrupt

    broken.evaluator.before = stop
    with pytest.raises(KeyboardInterrupt):
        list(md([copper()], broken, settings, checkpoints=folder, checkpoint_every=10))
    for half in folder.glob("*.frames"):  # as if killed while a frame was written
        with open(half, "ab") as file:
            file.write(b"half a frame")

    again = LawPotential(law)
    rest = next(md([copper()], again, settings, checkpoints=folder, checkpoint_every=10))
    assert again.evaluator.evaluated <= 61 - killed_after // 10 * 10
    for name, blob in whole.blobs.items():
        for key, values in blob.items():
            assert np.array_equal(rest.blobs[name][key], values), (name, key)
    assert rest.result == whole.result
    assert rest.n_evaluations >= 61


@pytest.mark.parametrize("ensemble", ["nve", "npt_langevin"])
def test_a_process_that_is_told_to_stop_loses_no_step(tmp_path: Path, ensemble: str) -> None:
    settings = MDSettings(**{**LANGEVIN.model_dump(), "ensemble": ensemble, "steps": 30})
    law, folder = Springs(copper()), tmp_path / "runs"
    whole = next(md([copper()], LawPotential(law), settings))

    def stop(index: int, step: int, steps: int) -> None:
        if step == 17:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"checkpoints": folder, "checkpoint_every": 1000}
    with pytest.raises(KeyboardInterrupt):
        list(md([copper()], LawPotential(law), settings, **options, progress=stop))
    again = LawPotential(law)
    rest = next(md([copper()], again, settings, **options))
    assert again.evaluator.evaluated == 30 - 17 + 1  # and the step that it goes on from
    for key, values in whole.blobs["trajectory"].items():
        assert np.array_equal(rest.blobs["trajectory"][key], values), key
    assert rest.result == whole.result


def test_averages_are_taken_of_many_samples_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever checkpoints are made, and whoever else is in the batch."""
    counted: list[int] = []
    add = Displacements.add

    def counting(self: Displacements, positions: np.ndarray) -> None:
        counted.append(len(positions))
        add(self, positions)

    monkeypatch.setattr(Displacements, "add", counting)
    settings = LANGEVIN.model_copy(update={"observe_every": 1, "steps": 69})
    found = md(
        [copper(), copper()], LawPotential(Springs(copper())), settings, checkpoints=tmp_path / "r",
        checkpoint_every=3,
    )  # fmt: skip
    assert all(outcome.state == "ok" for outcome in found)
    assert sorted(counted) == [6, 6, 32, 32, 32, 32]


def test_checkpoints_of_before_samples_waited_are_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are those of one sample at a time, without the keys of what waits."""
    settings = NVE.model_copy(update={"ensemble": "npt_langevin", "observe_every": 1})
    law, folder = Springs(copper()), tmp_path / "runs"
    whole = next(md([copper()], LawPotential(law), settings))
    broken = LawPotential(law)

    def stop() -> None:
        if broken.evaluator.evaluated > 45:
            raise KeyboardInterrupt

    broken.evaluator.before = stop
    with monkeypatch.context() as patched:
        patched.setattr(samples, "MOST", 1)
        with pytest.raises(KeyboardInterrupt):
            list(md([copper()], broken, settings, checkpoints=folder, checkpoint_every=10))
    (checkpoint,) = folder.glob("*.npz")
    with np.load(checkpoint) as file:
        state = {key: file[key] for key in file.files}
    old = {key: value for key, value in state.items() if "waiting" not in key}
    assert len(old) == len(state) - 8
    np.savez(checkpoint, **old)
    again = LawPotential(law)
    rest = next(md([copper()], again, settings, checkpoints=folder, checkpoint_every=10))
    assert again.evaluator.evaluated == 21
    for key, values in frames(whole).items():
        assert np.array_equal(frames(rest)[key], values), key
    for key, values in whole.blobs["observables"].items():
        if values.dtype.kind == "f":
            assert rest.blobs["observables"][key] == pytest.approx(values, rel=1e-11), key
    assert rest.result["temperature"] == whole.result["temperature"]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    list(md([copper()], LawPotential(ideal_gas), NVE, checkpoints=folder, checkpoint_every=10))
    assert not folder.exists()


def test_twins_in_a_batch_do_not_share_files(tmp_path: Path) -> None:
    alone = next(md([copper()], LawPotential(Springs(copper())), LANGEVIN))
    twins = [copper(), copper()]
    outcomes = list(
        md(
            twins,
            LawPotential(Springs(copper())),
            LANGEVIN,
            checkpoints=tmp_path / "r",
            checkpoint_every=10,
        )
    )
    assert [o.state for o in outcomes] == ["ok", "ok"]
    for outcome in outcomes:
        assert list(frames(outcome)["step"]) == list(range(0, 61, 5))
        assert frames(outcome)["positions"] == pytest.approx(frames(alone)["positions"], abs=1e-10)


def test_sigkill_costs_no_more_than_the_stride() -> None:
    script = Path(__file__).parents[3] / "benchmarks" / "md_kills.py"
    words = ["--potential", "springs", "--kills", "3", "--steps", "60", "--ensembles"]
    command = [sys.executable, str(script), *words, "nve", "npt_langevin"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [row["ensemble"] for row in rows] == ["nve", "npt_langevin"]
    for row in rows:
        assert len(row["killed_at"]) == 3
        assert row["most_steps_lost"] < row["checkpoint_every"]
        assert row["frames_equal"]
        assert row["largest_difference"] < 1e-9


@pytest.mark.parametrize("ensemble", ["nvt_langevin", "npt_langevin"])
def test_company_changes_nothing(ensemble: str) -> None:
    settings = LANGEVIN.model_copy(update={"ensemble": ensemble, "steps": 20})
    alone = next(md([copper()], AsePotential(), settings))
    structures = [bulk("Ni", cubic=True), copper(), bulk("Al", cubic=True)]
    together = {o.index: o for o in md(structures, AsePotential(), settings)}
    one, other = frames(alone)["positions"], frames(together[1])["positions"]
    assert other == pytest.approx(one, abs=1e-10)
    seeds = [MDSettings(**{**settings.model_dump(), "seed": s}) for s in (1, 2)]
    runs = [frames(next(md([copper()], AsePotential(), s)))["positions"][-1] for s in seeds]
    assert np.abs(runs[0] - runs[1]).max() > 1e-3


def test_an_explosion_keeps_what_it_had(emt: AsePotential) -> None:
    settings = NVE.model_copy(update={"timestep": 60.0, "temperature": 3000.0, "stride": 1})
    found = {o.index: o for o in md([copper(), bulk("Xe", "fcc", a=6)], emt, settings)}
    outcome = found[0]
    assert outcome.state == "failed"
    assert outcome.reason in ("exploded", "not_finite")
    assert outcome.result["exploded"]
    assert len(frames(outcome)["step"]) >= 1
    assert np.isfinite(frames(outcome)["positions"]).all()
    assert found[1].reason == "unknown_element"


def test_small_cells_are_repeated_and_inputs_kept(pet: Potential) -> None:
    atoms = bulk("W", cubic=True)
    before = atoms.copy()
    settings = NVE.model_copy(update={"steps": 4, "stride": 2, "min_length": 6.0})
    outcome = next(md([atoms], pet.with_(symmetrization="crystal:orientation"), settings))
    assert atoms == before
    assert outcome.state == "ok", outcome.message
    assert len(outcome.atoms) == 16
    assert outcome.n_evaluations == 5
    assert outcome.result["pressure"]["mean"] != 0
    assert np.ptp(frames(outcome)["conserved"]) < 1e-3


def test_the_trajectory_of_pet_is_that_of_ase(pet: Potential) -> None:
    atoms = bulk("W", cubic=True) * 2
    oriented = pet.with_(symmetrization="crystal:orientation", dtype="float64")
    settings = NVE.model_copy(update={"steps": 25, "stride": 25, "temperature": 600.0})
    outcome = next(md([atoms], oriented, settings))
    theirs = read_trajectory(frames(outcome))[0]
    theirs.calc = SymmetrizedCalculator(oriented.spec)
    VelocityVerlet(theirs, timestep=2.0 * units.fs).run(25)
    assert frames(outcome)["positions"][-1] == pytest.approx(theirs.positions, abs=1e-9)
    assert frames(outcome)["momenta"][-1] == pytest.approx(theirs.get_momenta(), abs=1e-9)


def test_a_turned_input_gives_the_turned_trajectory() -> None:
    spec = PotentialSpec(
        model="rough", sha256="0" * 64, symmetrization="crystal:orientation", dtype="float64"
    )
    rough = Potential(unfiled(spec), PETRaw(rough_model(seed=0)))
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.03, 0.02], 1)), scale_atoms=True)
    turn = Rotation.random(random_state=4).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    turned = Atoms(atoms.numbers, atoms.positions @ turn, cell=atoms.cell.array @ turn, pbc=True)
    settings = NVE.model_copy(update={"steps": 40, "stride": 8, "timestep": 0.5})
    ours = frames(next(md([atoms], rough, settings)))
    momenta = [ours["momenta"][0] @ turn]
    theirs = frames(next(md([turned], rough, settings, momenta=momenta)))
    assert np.abs(ours["positions"][-1] - ours["positions"][0]).max() > 0.03
    assert theirs["positions"] == pytest.approx(ours["positions"] @ turn, abs=1e-9)
    assert theirs["potential"] == pytest.approx(ours["potential"], abs=1e-9)
