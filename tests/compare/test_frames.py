"""A run of a potential beside ab-initio dynamics: its structure, and its errors on the frames."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.units import GPa
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.cli import main
from pet_flows.compare.campaign import compare_campaign
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.jobs import CompareMaker, MDMaker
from pet_flows.properties.md.compare import rdf_error
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.dft.dynamics import TIMESTEP, bare, run

LEVEL = {"functional": "PBE", "spin": False}
RUN = {"timestep": TIMESTEP, "ensemble": "nve", "temperature": 300.0}


def named(document):
    return {value["name"]: value for value in document["values"]}


@pytest.fixture
def jobs(tmp_path):
    """A store with a short run of the bundled model, and frames of EMT as if they were DFT's."""
    store = open_job_store()
    crystal = AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True, a=3.63))
    maker = MDMaker(
        temperature=300.0, steps=12, stride=2, observe_every=2, timestep=TIMESTEP,
        min_length=5.0, rdf_cutoff=6.0, campaign="hot", dtype="float32",
    )  # fmt: skip
    run_locally(maker.make([crystal]), store=store, log=False, ensure_success=True)
    ase.io.write(tmp_path / "cu.traj", list(run()))
    with ResultStore.from_job_store(store) as results:
        options = Options(level=LEVEL, md=RUN)
        assert import_references(results, str(tmp_path / "cu.traj"), options=options).new == 1
    yield store
    store.close()


def test_rdf_and_errors_on_frames(jobs, capsys):
    with ResultStore.from_job_store(jobs) as results:
        (pair,) = compare_campaign(results, "hot").documents()
        # the run ended in a snapshot; the crystal that it is of is the one it began with
        assert (pair["matched_by"], pair["reason"]) == ("structure", None)
        assert pair["spacegroup"]["loose"] == 225
        before = named(pair)
        assert "frames_forces_mae" not in before
        ours = results.blob(pair["record"], "observables")
        (document,) = results.references.find({"property": "md"})
        theirs = results.blobs.read(document["blobs"]["observables"])
        inside = ours["rdf_r"] <= theirs["rdf_r"][-1]
        r = ours["rdf_r"][inside]
        expected = rdf_error(
            r, ours["rdf"][0][inside], np.interp(r, theirs["rdf_r"], theirs["rdf"][0])
        )
        assert before["rdf"]["difference"] == pytest.approx(expected)
        assert 0 < expected < 1

        job = CompareMaker(campaigns=["hot"], frames=4).make()
        answers = run_locally(job, store=jobs, log=False, ensure_success=True)
        said = answers[job.uuid][1].output["frames"]
        assert (said["evaluated"], said["n_frames"], said["problems"]) == (1, 4, {})
        (pair,) = compare_campaign(results, "hot").documents()  # a plain comparison keeps them
        found = named(pair)
        assert found.keys() == before.keys() | {
            "frames", "frames_forces_mae", "frames_forces_rmse", "frames_energy_mae",
            "frames_stress_mae",
        }  # fmt: skip
        # independently: the same potential as calculator of ASE
        used = results.get(pair["record"])["potential"]["symmetrization"]
        calculator = pet_flows.SymmetrizedCalculator(
            "pet-mvl", dtype="float32", symmetrization=used
        )
        chosen = [run()[n] for n in np.linspace(0, len(run()) - 1, 4).round().astype(int)]
        forces, energies, stresses = [], [], []
        for frame in chosen:
            atoms = frame.copy()
            calculator.reset()  # each frame has a frame of reference of its own
            atoms.calc = calculator
            forces.append(atoms.get_forces() - frame.get_forces())
            energies.append((atoms.get_potential_energy() - frame.get_potential_energy()) / 32)
            stresses.append(atoms.get_stress() - frame.get_stress())
        assert found["frames_forces_mae"]["difference"] == pytest.approx(
            np.abs(forces).mean(), rel=1e-3
        )
        assert found["frames_forces_rmse"]["difference"] == pytest.approx(
            np.sqrt(np.mean(np.square(forces))), rel=1e-3
        )
        apart = np.array(energies) - np.mean(energies)
        assert found["frames_energy_mae"]["difference"] == pytest.approx(
            np.abs(apart).mean(), rel=2e-2
        )
        assert found["frames_stress_mae"]["difference"] == pytest.approx(
            np.abs(stresses).mean() / GPa, rel=1e-2
        )
        # as many frames again: nothing is evaluated
        again = compare_campaign(results, "hot", frames=4)
        assert (again.frames.evaluated, again.frames.confirmed) == (0, 1)
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        main(["compare", "hot", "--frames", "4"])
    assert "frames_forces_mae" in capsys.readouterr().out


def test_another_reading_of_the_reference_makes_them_stale(jobs, tmp_path):
    with ResultStore.from_job_store(jobs) as results:
        compare_campaign(results, "hot", frames=2)
        options = Options(level=LEVEL, md={**RUN, "equilibration": 20})
        assert import_references(results, str(tmp_path / "cu.traj"), options=options).changed == 1
        (pair,) = compare_campaign(results, "hot").documents()
        assert pair["frames"] is None
        assert "frames_forces_mae" not in named(pair)


def test_runs_at_another_temperature_have_errors_on_frames_all_the_same(jobs, tmp_path):
    with ResultStore.from_job_store(jobs) as results:
        sparse = tmp_path / "warm.extxyz"
        ase.io.write(sparse, bare(run())[::10])
        md = {**RUN, "temperature": 900.0, "stride": 10}
        results.references.remove({"property": "md"})
        import_references(results, str(sparse), options=Options(level=LEVEL, md=md))
        (pair,) = compare_campaign(results, "hot", frames=2).documents()
        assert "DFT at 900 K" in pair["reason"]
        assert "frames_forces_mae" in named(pair)
        assert "rdf" not in named(pair)
