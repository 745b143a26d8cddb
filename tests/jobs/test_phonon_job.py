"""PhononMaker: what it leaves in its folder."""

from pathlib import Path

import phonopy
import pytest
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import PhononMaker
from pet_flows.store.locate import open_job_store


def test_phonopy_yaml_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tungsten = AseAtomsAdaptor.get_structure(bulk("W"))
    maker = PhononMaker(min_length=5.0, mesh=(4, 4, 4), write_phonopy_yaml=True)
    store = open_job_store()
    one, many = maker.make(tungsten), maker.make([tungsten])
    record = run_locally(one, store=store, log=False, ensure_success=True)[one.uuid][1].output
    (slim,) = run_locally(many, store=store, log=False, ensure_success=True)[many.uuid][1].output
    store.close()
    assert slim["key"] == record["_id"]
    for name in ("phonopy.yaml", f"phonopy-{slim['key']}.yaml"):
        loaded = phonopy.load(tmp_path / name)
        loaded.run_mesh((4, 4, 4), is_gamma_center=True)
        highest = loaded.mesh.frequencies.max()
        assert highest == pytest.approx(record["result"]["max_frequency"], abs=1e-6)
