from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import read, write
from ase.md.verlet import VelocityVerlet

from pet_flows.engines.potential import Potential
from pet_flows.properties.md import md
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.settings import MDSettings
from pet_flows.properties.trajectory import read_trajectory
from pet_flows.records.results import RESULTS
from tests.properties.stub import AsePotential

NVE = MDSettings(
    ensemble="nve", steps=60, stride=5, checkpoint_every=10, timestep=2.0, min_length=0, seed=7
)
LANGEVIN = NVE.model_copy(update={"ensemble": "nvt_langevin"})


def copper() -> Atoms:
    return bulk("Cu", cubic=True) * (2, 2, 1)


def frames(outcome: Outcome) -> dict[str, np.ndarray]:
    return outcome.blobs["trajectory"]


def test_nve_is_velocity_verlet(emt: AsePotential) -> None:
    outcome = next(md([copper()], emt, NVE))
    assert outcome.state == "ok", outcome.message
    RESULTS["md"].model_validate(outcome.result)
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


def test_ase_reads_the_trajectory(emt: AsePotential, tmp_path: Path) -> None:
    outcome = next(md([copper()], emt, NVE))
    written = read_trajectory(frames(outcome))
    write(tmp_path / "md.traj", written)
    again = read(tmp_path / "md.traj", ":")
    assert len(again) == 13
    assert again[-1].get_potential_energy() == frames(outcome)["potential"][-1]
    assert again[-1].positions == pytest.approx(outcome.atoms.positions)
    assert again[3].get_temperature() == pytest.approx(
        2 * frames(outcome)["kinetic"][3] / (48 * units.kB), rel=1e-6
    )


def test_langevin_samples_the_temperature(emt: AsePotential) -> None:
    settings = LANGEVIN.model_copy(
        update={"steps": 900, "equilibration": 150, "stride": 3, "friction": 50.0, "timestep": 5.0}
    )
    outcome = next(md([bulk("Cu", cubic=True)], emt, settings))
    sampled = outcome.result["temperature"]
    assert sampled["target"] == 300.0
    assert sampled["mean"] == pytest.approx(300, rel=0.15)
    # σ_T = T √(2/3N)
    assert sampled["std"] == pytest.approx(300 * np.sqrt(2 / 12), rel=0.25)
    assert abs(outcome.result["drift"]) < 5e-3


@pytest.mark.parametrize("settings", [NVE, LANGEVIN], ids=["nve", "langevin"])
@pytest.mark.parametrize("killed_after", [3, 10, 37, 59])
def test_a_killed_run_goes_on(tmp_path: Path, settings: MDSettings, killed_after: int) -> None:
    whole = next(md([copper()], AsePotential(), settings))

    broken = AsePotential()

    def kill(system: object) -> bool:
        if broken.evaluator.evaluated > killed_after:
            raise KeyboardInterrupt
        return False

    broken.evaluator.refuse = kill
    with pytest.raises(KeyboardInterrupt):
        list(md([copper()], broken, settings, checkpoints=tmp_path))
    for half in tmp_path.glob("*.frames"):  # as if killed while a frame was written
        with open(half, "ab") as file:
            file.write(b"half a frame")

    again = AsePotential()
    rest = next(md([copper()], again, settings, checkpoints=tmp_path))
    assert again.evaluator.evaluated <= 61 - killed_after // 10 * 10
    for key, values in frames(whole).items():
        assert frames(rest)[key] == pytest.approx(values, abs=1e-9), key
    assert rest.result["drift"] == pytest.approx(whole.result["drift"], abs=1e-9)
    assert rest.n_evaluations >= 61


def test_a_process_killed_while_it_writes_goes_on(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from tests.properties.stub import AsePotential
from tests.properties.test_md import LANGEVIN, copper
from pet_flows.properties.md import md
often = LANGEVIN.model_copy(update={{"steps": 100000, "checkpoint_every": 1, "stride": 1}})
print("ready", flush=True)
list(md([copper()], AsePotential(), often, checkpoints=Path({str(tmp_path)!r})))
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "ready" in process.stdout.readline() or process.stdout.readline()
    for _ in range(3000):
        written = list(tmp_path.glob("*.frames"))
        if written and written[0].stat().st_size > 20_000:
            break
        try:
            process.wait(0.02)
            break
        except subprocess.TimeoutExpired:
            pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (checkpoint,) = tmp_path.glob("*.checkpoint.npz")
    with np.load(checkpoint) as state:
        step, n_frames = int(state["step"]), int(state["n_frames"])
        positions = state["positions"]
    assert step + 1 == n_frames > 10
    settings = LANGEVIN.model_copy(update={"steps": step, "stride": 1})
    whole = next(md([copper()], AsePotential(), settings))
    assert frames(whole)["positions"][-1] == pytest.approx(positions, abs=1e-9)


def test_company_changes_nothing() -> None:
    alone = next(md([copper()], AsePotential(), LANGEVIN))
    structures = [bulk("Ni", cubic=True), copper(), bulk("Al", cubic=True)]
    together = {o.index: o for o in md(structures, AsePotential(), LANGEVIN)}
    one, other = frames(alone)["positions"], frames(together[1])["positions"]
    assert other == pytest.approx(one, abs=1e-10)
    seeds = [MDSettings(**{**LANGEVIN.model_dump(), "seed": s}) for s in (1, 2)]
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
