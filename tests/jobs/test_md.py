"""MDMaker: what of a run is in the store, beside it, and left behind."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import MDMaker
from pet_flows.properties.md.trajectory import read_trajectory
from pet_flows.records.results import check_result
from pet_flows.settings import get_settings
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore


def test_a_batch_at_constant_pressure(tmp_path: Path) -> None:
    crystals = [AseAtomsAdaptor.get_structure(bulk(name, cubic=True)) for name in ("W", "Mo")]
    maker = MDMaker(
        ensemble="npt_langevin", cell_motion="full", pressure=5.0, final_pressure=10.0,
        temperature=300.0, final_temperature=600.0, steps=24, stride=6, timestep=2.0,
        min_length=5.0, traj_file=str(tmp_path / "run.extxyz.gz"), campaign="hot",
    )  # fmt: skip
    job = maker.make(crystals)
    store = open_job_store()
    slims = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    results = ResultStore.from_job_store(store)
    for index, slim in enumerate(slims):
        record = results.get(slim["key"])
        assert record["state"] == "ok"
        check_result("md", record["result"], complete=True)
        assert record["settings"]["final_pressure"] == 10.0
        assert record["result"]["lattice"]["a"] == pytest.approx(6.3, rel=0.05)
        written = read(tmp_path / f"run-{index}.extxyz.gz", ":")
        blob = results.blob(slim["key"], "trajectory")
        stored = read_trajectory(blob)
        assert len(written) == len(stored) == 5
        assert written[-1].positions == pytest.approx(stored[-1].positions, abs=1e-7)
        assert written[-1].get_forces() == pytest.approx(stored[-1].get_forces(), abs=1e-7)
        observed = results.blob(slim["key"], "observables")
        assert observed["elements"].tolist() == [("W", "Mo")[index]]
        assert np.isfinite(observed["rdf"]).all()
    # run again with another crystal before them: files are numbered as what is given now
    more = maker.make([AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True)), crystals[1]])
    run_locally(more, store=store, log=False, ensure_success=True)
    for index, element in enumerate(("Cu", "Mo")):
        first = read(tmp_path / f"run-{index}.extxyz.gz", "0")
        assert set(first.symbols) == {element}
    store.close()
    assert not (get_settings().store.parent / "pet_flows_md").exists()
