"""ElasticMaker: alone, in a campaign, and on the command line."""

import json

import numpy as np
import pytest
from ase.build import bulk
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.cli import main
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.jobs import ElasticMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.report.listing import headline
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore


def test_survives_json_and_keeps_its_settings():
    maker = ElasticMaker(
        potential=PotentialSpec(model="pet-mvl", dtype="float32"),
        relax_ions=False,
        strain_magnitudes=[-0.01, -0.005, 0.005, 0.01],
    )
    again = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    assert again.physics() == maker.physics()
    assert again.physics().strain_magnitudes == (0.005, 0.01)
    assert again.physics().relax_ions is False
    assert again.spec().dtype == "float64"


NAMES = {"Cu-fcc", "Cu-bcc"}


def test_a_campaign_relaxes_first():
    """Stable or not, in one batch."""
    inputs = [i for i in build_prototypes(["Cu"]) if i.source["material_id"] in NAMES]
    maker = ScreenMaker(name="stiff", properties=["elastic", "relax"])
    assert maker.properties == ("relax", "elastic")
    job_store = open_job_store()
    flow = maker.make(inputs)
    responses = run_locally(flow, store=job_store, log=False, ensure_success=True)
    slim = responses[flow.jobs[-1].uuid][1].output
    store = ResultStore.from_job_store(job_store)
    records = {
        r["sources"][0]["material_id"]: r
        for r in store.query({"property": "elastic", "sources.campaign": "stiff"})
    }
    relaxed = {
        r["sources"][0]["material_id"]: r for r in store.query({"property": "relax", "state": "ok"})
    }
    job_store.close()
    assert set(records) == set(relaxed) == NAMES
    assert len(slim) == 2
    for name, record in records.items():
        assert record["parent"] == relaxed[name]["_id"]
        assert record["reference"] == relaxed[name]["reference"]
    copper, cube = records["Cu-fcc"], records["Cu-bcc"]
    assert copper["state"] == cube["state"] == "ok"
    assert copper["result"]["stable"] is True
    assert np.shape(copper["result"]["tensor"]) == (6, 6)
    assert headline(copper) == (
        f"K {copper['result']['k_vrh']:.1f}, G {copper['result']['g_vrh']:.1f} GPa"
    )
    assert cube["result"]["stable"] is False  # bcc copper shears into fcc
    assert cube["result"]["k_vrh"] is None
    assert headline(cube).startswith("unstable: smallest eigenvalue -")


def test_one_structure_gives_its_record():
    silicon = AseAtomsAdaptor.get_structure(bulk("Si", a=5.43))
    job = ElasticMaker(relax_ions=False, max_stress=5.0).make(silicon)
    store = open_job_store()
    record = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    store.close()
    assert record["property"] == "elastic"
    assert record["settings"]["relax_ions"] is False
    assert record["result"]["ions_relaxed"] is False
    np.testing.assert_allclose(
        record["structure"]["lattice"]["matrix"], silicon.lattice.matrix, atol=1e-9
    )


def test_one_structure_under_stress_fizzles():
    job = ElasticMaker().make(AseAtomsAdaptor.get_structure(bulk("Si", a=5.1)))
    store = open_job_store()
    with pytest.raises(Exception, match="relax its cell first"):
        run_locally(job, store=store, log=False, raise_immediately=True)
    (record,) = ResultStore.from_job_store(store).query({})
    store.close()
    assert record["reason"] == "not_relaxed"
    assert not record["retryable"]


def test_command_line(capsys):
    for words, codes in (
        # ions of the hexagonal close packing fall
        (["screen", "prototypes:W", "-p", "relax,elastic", "-n", "hard"], (3,)),
        (["query", "hard", "--filter", '{"result.g_vrh": {"$gt": 100}}'], (0, None)),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code in codes
    listed = capsys.readouterr().out
    assert "4 ok, 1 failed" in listed
    assert "elastic" in listed
    assert "GPa" in listed
