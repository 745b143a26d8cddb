"""QHAMaker: its record, its arrays, its place in a campaign."""

import json

import numpy as np
import pytest
from ase.build import bulk
from jobflow import Flow, run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.errors import PetFlowsError
from pet_flows.flows import ScreenMaker
from pet_flows.jobs import QHAMaker, RelaxMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

QUICK = {
    "volume_step": 0.02, "n_compressed": 2, "n_expanded": 3, "min_length": 5.0, "mesh": (5, 5, 5),
    "temperatures": (0.0, 300.0),
}  # fmt: skip


def test_survives_json():
    whole = QHAMaker(potential=PotentialSpec(model="pet-mvl", dtype="float32"), **QUICK)
    again = json.loads(json.dumps(whole, cls=MontyEncoder), cls=MontyDecoder)
    assert again.physics() == whole.physics()
    assert again.physics().mesh == (5, 5, 5)
    assert again.spec() == whole.spec()
    assert whole.spec().dtype == "float64"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"n_compressed": 1, "n_expanded": 2}, "5 volumes"),
        ({"temperatures": (300.0, 100.0)}, "ascend"),
        ({"volume_step": 0.05, "n_compressed": 6}, "0.3"),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, said):
    with pytest.raises(PetFlowsError, match=said):
        QHAMaker(**wrong).physics()


def test_record_and_arrays():
    niobium = AseAtomsAdaptor.get_structure(bulk("Nb"))
    relax = RelaxMaker().make([niobium])
    maker = QHAMaker(**QUICK)
    flow = Flow([relax, job := maker.make(relax.output)])
    store = open_job_store()
    (slim,) = run_locally(flow, store=store, log=False, ensure_success=True)[job.uuid][1].output
    results = ResultStore.from_job_store(store)
    record = results.get(slim["key"])
    blob = results.blob(slim["key"], "qha")
    store.close()
    assert record["state"] == "ok"
    assert record["property"] == "qha"
    assert any("feel their own images" in w for w in record["warnings"])
    assert record["parent"] is not None
    assert record["result"]["temperatures"] == [0.0, 300.0]
    assert blob["free_energies"].shape == (2, 6)
    assert blob["mode_gruneisen"].shape == blob["gruneisen_frequencies"].shape
    at_zero = blob["free_energies"][0] - np.array(record["result"]["energies"])
    assert (at_zero > 0).all()  # zero-point energy


def test_a_campaign_can_ask_for_it():
    maker = ScreenMaker(name="hot", properties=["qha", "relax"], makers={"qha": QHAMaker(**QUICK)})
    assert maker.properties == ("relax", "qha")
    assert maker.maker("qha").physics() == QHAMaker(**QUICK).physics()
    assert maker.maker("qha").campaign == "hot"
