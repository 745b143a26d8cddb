"""Ab-initio molecular dynamics as reference: files and documents of VASP, trajectories of ASE."""

from __future__ import annotations

import warnings

import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.geometry.rdf import get_rdf
from ase.units import GPa
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references, store_all
from pet_flows.dft.importers.jobflow_store import read_job_store
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.properties.md.trajectory import read_trajectory
from pet_flows.store.locate import embedded_job_store
from pet_flows.store.results import ResultStore
from tests.compare.stored import put_reference
from tests.dft.dynamics import STEPS, TIMESTEP, bare, run, write_vasprun
from tests.dft.jobs import OUTCAR, bring_in
from tests.store.examples import crystal

PBE = {"functional": "PBE", "spin": False}
RUN = {"timestep": TIMESTEP, "ensemble": "nve"}


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def the_one(store):
    (found,) = store.references.find()
    return found


def blob(store, document, name):
    return store.blobs.read(document["blobs"][name])


def mean_of(values):
    return pytest.approx(np.mean(values), rel=1e-6)


def test_a_trajectory_is_measured_as_a_run_of_ours(store, tmp_path):
    frames = run()
    ase.io.write(tmp_path / "cu.traj", list(frames))
    options = Options(level=PBE, md=RUN)
    assert import_references(store, str(tmp_path / "cu.traj"), options=options).new == 1
    found = the_one(store)
    assert (found["property"], found["nsites_primitive"], found["formula_pretty"]) == (
        "md",
        1,
        "Cu",
    )
    assert found["spacegroup"]["loose"] == 225
    result = found["result"]
    # ASE's temperature counts three degrees of freedom for each atom, of which the run has 3N - 3
    ratio = 3 * len(frames[0]) / (3 * len(frames[0]) - 3)
    assert result["temperature"]["mean"] == mean_of([f.get_temperature() * ratio for f in frames])
    energies = [frame.get_potential_energy() / 32 for frame in frames]
    assert result["potential_energy_per_atom"]["mean"] == mean_of(energies)
    pressures = [-frame.get_stress(include_ideal_gas=True)[:3].mean() / GPa for frame in frames]
    assert result["pressure"]["mean"] == mean_of(pressures)
    assert result["time"] == pytest.approx((STEPS - 1) * TIMESTEP * 1e-3)
    assert abs(result["drift"]) < 1e-4
    observed = blob(store, found, "observables")
    r = observed["rdf_r"]
    assert r[-1] + 0.025 == pytest.approx(3.65)  # half of the cell's 7.26 Å, in whole bins
    edge, bins = 3.6, 72
    theirs = np.mean([get_rdf(frame, edge, bins)[0] for frame in frames], axis=0)
    assert observed["rdf"][0][:bins] == pytest.approx(theirs, abs=1e-6)
    kept = read_trajectory(dict(blob(store, found, "trajectory")))
    assert len(kept) == STEPS
    assert kept[7].get_forces() == pytest.approx(frames[7].get_forces())
    assert kept[7].get_momenta() == pytest.approx(frames[7].get_momenta())


def test_velocities_come_from_positions_and_forces_of_neighbouring_frames(store, tmp_path):
    """Wrapped positions without velocities: the true ones are known here."""
    frames = run()
    ase.io.write(tmp_path / "cu.extxyz", bare(frames))
    import_references(store, str(tmp_path / "cu.extxyz"), options=Options(level=PBE, md=RUN))
    found = the_one(store)
    inner = frames[1:-1]
    ratio = 96 / 93
    measured = found["result"]["temperature"]["mean"]
    # Verlet's own velocities err by (ωΔ)²/6: 0.1 % at 7 THz and 2 fs
    true_temperature = np.mean([f.get_temperature() * ratio for f in inner])
    assert measured == pytest.approx(true_temperature, rel=3e-3)
    held = blob(store, found, "trajectory")
    true = np.array([frame.get_momenta() for frame in inner])
    apart = held["momenta"][1:-1] - true
    assert np.sqrt((apart**2).mean() / (true**2).mean()) < 2e-3
    # no atom jumps through the cell
    assert np.abs(np.diff(held["positions"], axis=0)).max() < 0.2


def test_sparse_frames_have_the_temperature_that_was_given(store, tmp_path):
    path = tmp_path / "sparse.extxyz"
    ase.io.write(path, bare(run())[::10])
    given = {"timestep": TIMESTEP, "stride": "10", "ensemble": "nvt"}
    refused = import_references(store, str(path), options=Options(level=PBE, md=given))
    assert "give its temperature with --md temperature=300" in refused.problems[0].reason
    said = "timestep=2,stride=10,temperature=300,equilibration=40"
    arguments = ["reference", "add", str(path), "--md", said, "--level", "functional=PBE"]
    with pytest.raises(SystemExit, match="0"):
        main(arguments)
    found = the_one(store)
    assert found["result"]["temperature"] == {"target": 300.0, "mean": 300.0}
    assert "the temperature is the one that was given" in found["problems"][0]
    observed = blob(store, found, "observables")
    assert "rdf" in observed
    assert "vdos" not in observed
    assert len(blob(store, found, "trajectory")["step"]) == 12
    with pytest.raises(SystemExit, match="kelvin"):
        main(["reference", "add", str(path), "--md", "timestep=2,kelvin=3"])


@pytest.mark.parametrize("whole", [True, False], ids=["with OUTCAR", "vasprun.xml alone"])
def test_a_vasprun_of_dynamics(store, tmp_path, whole):
    frames = run()
    folder = tmp_path / "md"
    write_vasprun(folder / "vasprun.xml", frames)
    if whole:
        (folder / "OUTCAR").write_text(OUTCAR)
        ase.io.write(folder / "CONTCAR", frames[-1], format="vasp")
    answer = import_references(store, str(folder))
    assert str(answer) == "1 new, 0 changed, 0 the same", answer.problems
    check_vasp(store, frames)
    assert import_references(store, str(folder)).same == 1
    # what is said of the run decides what "unchanged" is
    said = Options(md={"equilibration": "60"})
    assert import_references(store, str(folder), options=said).changed == 1
    after = the_one(store)["result"]["potential_energy_per_atom"]["mean"]
    energies = [frame.get_potential_energy() / 32 for frame in frames]
    assert after == pytest.approx(np.mean(energies[60:-1]), rel=1e-6)


def check_vasp(store, frames):
    found = the_one(store)
    assert found["property"] == "md"
    assert found["level"]["functional"] == "PBE"
    result = found["result"]
    assert result["ensemble"] == "nvt_nose_hoover"
    assert (result["timestep"], result["temperature"]["target"]) == (TIMESTEP, 300.0)
    inner = frames[1:-1]  # the velocities of the others are not known
    temperatures = [frame.get_temperature() * 96 / 93 for frame in inner]
    assert result["temperature"]["mean"] == pytest.approx(np.mean(temperatures), rel=3e-3)
    pressures = [-frame.get_stress(include_ideal_gas=True)[:3].mean() / GPa for frame in inner]
    assert result["pressure"]["mean"] == pytest.approx(np.mean(pressures), rel=3e-3)
    assert "drift" not in result  # nobody knows the heat of the thermostat
    held = blob(store, found, "trajectory")
    assert held["forces"][5] == pytest.approx(frames[5].get_forces(), abs=1e-8)
    assert held["potential"][5] == pytest.approx(frames[5].get_potential_energy())
    return found


def test_the_list_tells_what_a_run_gave(monkeypatch, capsys):
    with ResultStore.open() as store:
        given = {"temperature": {"target": 300.0, "mean": 301.25, "std": 9.0}, "drift": 1e-6}
        put_reference(store, "md", crystal(), "mp-1", **given)
    with pytest.raises(SystemExit):
        main(["reference", "list"])
    said = " ".join(capsys.readouterr().out.split())
    assert "temperature.mean 301.25 K, drift 1e-06 eV/atom/ps" in said


@pytest.mark.parametrize("trajectory", ["no", "partial"])
def test_a_document_of_atomate2(store, tmp_path, trajectory):
    """As atomate2's MDMaker stores it: frames in the document, or beside it in ``data``."""
    from emmet.core.tasks import TaskDoc
    from jobflow import Flow, job, run_locally
    from pymatgen.core.trajectory import Trajectory

    frames = run()
    folder = tmp_path / "md"
    write_vasprun(folder / "vasprun.xml", frames, NSW=STEPS + 50)
    (folder / "OUTCAR").write_text(OUTCAR)
    ase.io.write(folder / "CONTCAR", frames[-1], format="vasp")

    def molecular_dynamics():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return TaskDoc.from_directory(folder, store_trajectory=trajectory)

    made = job(molecular_dynamics, data=[Trajectory])()
    jobs = embedded_job_store()
    jobs.connect()
    run_locally(Flow([made]), store=jobs, log=False, ensure_success=True)
    with ResultStore.from_job_store(jobs) as results:

        def read():
            known = Known(results.references, Options())
            return store_all(results, read_job_store(jobs, Options(), known))

        answer = read()
        assert answer.new == 1, answer.problems
        found = check_vasp(results, frames)
        assert found["problems"] == [f"it ended after {STEPS} of {STEPS + 50} steps"]
        assert read().same == 1
    jobs.close()


@pytest.mark.parametrize("ensemble", ["nvt", "npt"])
def test_dynamics_of_a_force_field_are_no_relaxation(ensemble):
    """A document of atomate2's says of a hot frame that its cell was relaxed, and no timestep."""
    from atomate2.forcefields.md import ForceFieldMDMaker
    from jobflow import Flow, run_locally

    npt = {
        "dynamics": "berendsen", "pressure": 0.0, "ase_md_kwargs": {"compressibility_au": 0.01}
    }  # fmt: skip
    more = npt if ensemble == "npt" else {}
    emt = {"@module": "ase.calculators.emt", "@callable": "EMT"}
    maker = ForceFieldMDMaker(
        force_field_name=emt, n_steps=3, ensemble=ensemble, mb_velocity_seed=0, **more
    )
    made = maker.make(AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True) * (2, 2, 2)))
    jobs = embedded_job_store()
    jobs.connect()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run_locally(Flow([made]), store=jobs, log=False, ensure_success=True)
    with ResultStore.from_job_store(jobs) as results:
        found = bring_in(results, jobs)
        assert found.new == 0
        assert "molecular dynamics" in found.problems[0].reason
    jobs.close()


def test_an_ensemble_of_no_known_kind():
    with pytest.raises(SystemExit) as refused:
        main(["reference", "add", "run.xyz", "--md", "timestep=1,ensemble=warm"])
    assert "ensemble" in str(refused.value.code)
