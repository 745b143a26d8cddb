"""Makers: what they hash, what they are when JSON brings them back, what one structure gives."""

import json

import pytest
from ase.build import bulk
from jobflow import run_locally
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.errors import PetFlowsError
from pet_flows.jobs import EOSMaker, MDMaker, PhononMaker, RelaxMaker, StaticMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

MAKERS = [RelaxMaker, StaticMaker, EOSMaker, PhononMaker, MDMaker]


@pytest.mark.parametrize("maker", MAKERS)
def test_survives_json(maker):
    whole = maker(potential=PotentialSpec(model="pet-mvl"), campaign="c", tags=["a"])
    again = json.loads(json.dumps(whole, cls=MontyEncoder), cls=MontyDecoder)
    assert type(again) is maker
    assert again.physics() == whole.physics()
    assert again.spec() == whole.spec()


def test_each_property_uses_the_potential_it_must():
    assert PhononMaker(dtype="float32").spec().dtype == "float64"
    assert StaticMaker(phase_comparison=True).spec().symmetrization == "crystal:icosahedral"
    assert StaticMaker(phase_comparison=True, symmetrization="none").spec().symmetrization == "none"
    assert MDMaker().spec().symmetrization == "crystal:orientation"
    assert RelaxMaker().spec().symmetrization == "crystal"


def test_fields_reach_the_settings():
    assert RelaxMaker(relax_cell=False, steps=7, fmax=0.02).physics().steps == 7
    assert EOSMaker(n_volumes=9).physics().n_volumes == 9
    assert PhononMaker(min_length=8.0).physics().min_length == 8.0
    assert MDMaker(ensemble="nve", steps=5).physics().ensemble == "nve"


@pytest.mark.parametrize(
    ("maker", "said"),
    [
        (EOSMaker(n_volumes=3), "EOSMaker: n_volumes must be at least 5 (got 3)"),
        (MDMaker(ensemble="nvx"), "MDMaker: ensemble must be 'nve', 'nvt_langevin'"),
        (RelaxMaker(fmax=-1.0), "RelaxMaker: fmax must be greater than 0 (got -1.0)"),
        (
            PhononMaker(mesh=(0, 4, 4)),
            "PhononMaker: entry 1 of mesh must be greater than 0 (got 0)",
        ),
        (MDMaker(settings={"temprature": 3}), "MDMaker: there is no setting 'temprature': did"),
        (MDMaker(steps=3, settings={"steps": 4}), "MDMaker: steps is given twice"),
        (MDMaker(traj_file="md.foo"), "No trajectory can be written to 'md.foo'"),
        (MDMaker(traj_file="POSCAR"), "No trajectory can be written to 'POSCAR'"),
        (
            RelaxMaker(relax_cell=False, pressure=1.0),
            "RelaxMaker: pressure needs a cell whose volume relaxes",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(maker, said):
    with pytest.raises(PetFlowsError) as caught:
        maker.make([])
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith((".", "?"))


@pytest.mark.parametrize("given", [bulk("Si"), [bulk("Si")]])
def test_structures_of_ase_are_refused_with_what_to_do(given):
    with pytest.raises(PetFlowsError, match="AseAtomsAdaptor"):
        StaticMaker().make(given)
    StaticMaker().make(RelaxMaker().make([]).output)  # what is not known yet is not refused


def test_a_potential_that_cannot_be_is_one_sentence():
    with pytest.raises(PetFlowsError, match=r"dtype must be 'float32' or .* \(got 'half'\)"):
        StaticMaker(dtype="half").spec()


def test_one_structure_that_fails_fizzles():
    xenon = AseAtomsAdaptor.get_structure(bulk("Xe", "fcc", a=6.0))
    job = RelaxMaker().make(xenon)
    store = open_job_store()
    with pytest.raises(Exception, match="Xe"):
        run_locally(job, store=store, log=False, raise_immediately=True)
    (record,) = ResultStore.from_job_store(store).query({})
    store.close()
    assert record["reason"] == "unknown_element"


def test_md_record_and_trajectory():
    silicon = AseAtomsAdaptor.get_structure(bulk("Si"))
    job = MDMaker(ensemble="nve", steps=20, temperature=300.0, seed=1).make(silicon)
    store = open_job_store()
    record = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    results = ResultStore.from_job_store(store)
    assert record["state"] == "ok"
    assert record["potential"]["symmetrization"] == "crystal:orientation"
    assert record["result"]["time"] == pytest.approx(0.02)
    assert results.blob(record["_id"], "trajectory")
    store.close()
