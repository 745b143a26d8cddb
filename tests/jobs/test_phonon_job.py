"""PhononMaker: what it leaves in its folder."""

import json
from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase.build import bulk
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import ConductivityMaker, PhononMaker
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


def test_born_charges_are_part_of_a_record() -> None:
    """As atomate2's PhononMaker takes them; the rest of a list shares its batches."""
    alloy = AseAtomsAdaptor.get_structure(bulk("NiCu", "cesiumchloride", a=2.9))
    tungsten = AseAtomsAdaptor.get_structure(bulk("W"))
    born, epsilon = [np.eye(3).tolist(), (-np.eye(3)).tolist()], (5 * np.eye(3)).tolist()
    maker = PhononMaker(min_length=5.0, mesh=(2, 2, 2), band_structure=False)
    store = open_job_store()
    plain, polar = maker.make(alloy), maker.make(alloy, born=born, epsilon_static=epsilon)
    many = maker.make([tungsten, alloy], born=[None, born], epsilon_static=[None, epsilon])
    outputs = [
        run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
        for job in (plain, polar, many)
    ]
    store.close()
    without, record, slim = outputs
    assert not without["result"]["has_nac"]
    assert record["result"]["has_nac"]
    assert record["_id"] != without["_id"]
    assert record["settings"]["nac"]["dielectric"][0][0] == 5.0
    assert [s["state"] for s in slim] == ["ok", "ok"]
    assert slim[1]["key"] == record["_id"]


def test_one_tensor_without_the_other_is_a_mistake() -> None:
    alloy = AseAtomsAdaptor.get_structure(bulk("NiCu", "cesiumchloride", a=2.9))
    job = PhononMaker().make(alloy, born=[np.eye(3).tolist()] * 2)
    store = open_job_store()
    with pytest.raises(Exception, match="both born and epsilon_static"):
        run_locally(job, store=store, log=False, raise_immediately=True)
    store.close()


def test_conductivity_maker_survives_json() -> None:
    whole = ConductivityMaker(mesh=(5, 5, 5), pair_cutoff=4.0, temperatures=(300.0,))
    again = json.loads(json.dumps(whole, cls=MontyEncoder), cls=MontyDecoder)
    assert again.physics() == whole.physics()
    assert again.physics().pair_cutoff == 4.0
    assert again.spec().dtype == "float64"


@pytest.mark.parametrize("maker", [PhononMaker, ConductivityMaker])
def test_born_charges_of_one_structure_are_not_those_of_another(maker: type) -> None:
    alloy = AseAtomsAdaptor.get_structure(bulk("NiCu", "cesiumchloride", a=2.9))
    nac = {"born_charges": [np.eye(3).tolist()] * 2, "dielectric": (5 * np.eye(3)).tolist()}
    job = maker(nac=nac).make([alloy, alloy])
    store = open_job_store()
    with pytest.raises(Exception, match="one structure, but 2 structures are given"):
        run_locally(job, store=store, log=False, raise_immediately=True)
    store.close()
