"""The campaign in this process: real model, real engines, the embedded store of the test."""

import numpy as np
import pytest
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from scipy.spatial.transform import Rotation

from pet_flows.errors import PetFlowsError
from pet_flows.flows import ScreenMaker
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.jobs import PhononMaker
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore


@pytest.fixture
def job_store():
    store = open_job_store()
    yield store
    store.close()


def run(inputs, job_store, name="test", makers=None, **kwargs):
    maker = ScreenMaker(
        name=name, makers={"phonon": PhononMaker(min_length=7.0), **(makers or {})}, **kwargs
    )
    flow = maker.make(inputs)
    responses = run_locally(flow, store=job_store, log=False, ensure_success=True)
    outputs = {job.name: responses[job.uuid][1].output for job in flow.jobs}
    return outputs, ResultStore.from_job_store(job_store)


def crystal(atoms, **source):
    return make_input(AseAtomsAdaptor.get_structure(atoms), make_source(**source))


def test_campaign_writes_records_and_repeats_nothing(job_store):
    inputs = build_prototypes(["Si", "Cu"])
    outputs, store = run(inputs, job_store)
    slim = outputs["test relax"]
    assert [s["source"]["material_id"] for s in slim] == [i.source["material_id"] for i in inputs]
    records = list(store.query({"sources.campaign": "test"}))
    assert len(records) == 40
    by_name = {(r["sources"][0]["material_id"], r["property"]): r for r in records}
    for name in ("Si-diamond", "Cu-fcc"):
        for prop in ("relax", "static", "eos", "phonon"):
            assert by_name[name, prop]["state"] == "ok", by_name[name, prop]["message"]
    relaxed = by_name["Si-diamond", "relax"]
    assert relaxed["spacegroup"]["input"]["tight"] == relaxed["spacegroup"]["final"]["tight"] == 227
    assert by_name["Si-diamond", "eos"]["parent"] == relaxed["_id"]
    assert by_name["Si-diamond", "eos"]["reference"] == relaxed["reference"]
    assert by_name["Si-diamond", "static"]["potential"]["symmetrization"] == "crystal:icosahedral"
    run(inputs, job_store)
    assert {r["_id"]: r for r in store.query({})} == {r["_id"]: r for r in records}

    # another campaign over the same inputs: new sources, the first's provenance and results
    run(inputs, job_store, name="second", properties=["relax", "eos"])
    kept = ("_id", "provenance", "result", "attempts")
    assert [{k: r[k] for k in kept} for r in store.query({}, sort={"_id": 1})] == [
        {k: r[k] for k in kept} for r in sorted(records, key=lambda r: r["_id"])
    ]
    assert store.count({"sources.campaign": "second"}) == 20


def test_one_crystal_under_two_names_is_one_record(job_store):
    atoms = bulk("Si", a=5.4)
    inputs = [crystal(atoms, material_id="one"), crystal(atoms, material_id="two")]
    outputs, store = run(inputs, job_store, properties=["static"])
    keys = {slim["key"] for slim in outputs["test static"]}
    assert len(keys) == 1
    (record,) = store.query({})
    assert {s["material_id"] for s in record["sources"]} == {"one", "two"}
    for name in ("one", "two"):
        assert store.count({"sources.material_id": name}) == 1


def test_bad_structures_fail_alone(job_store):
    close = bulk("Si", a=5.4)
    close.positions[1] = close.positions[0] + [0.1, 0, 0]
    good = [crystal(bulk("Cu", a=3.5 + 0.02 * n), material_id=f"good-{n}") for n in range(3)]
    bad = [
        crystal(close, material_id="overlap"),
        crystal(bulk("Xe", "fcc", a=6.0), material_id="xenon"),
    ]
    outputs, store = run([bad[0], *good, bad[1]], job_store, properties=["relax", "static"])
    states = [slim["state"] for slim in outputs["test relax"]]
    assert states == ["failed", "ok", "ok", "ok", "failed"]
    reasons = {
        r["sources"][0]["material_id"]: r["reason"] for r in store.query({"state": "failed"})
    }
    assert reasons == {"overlap": "overlapping_atoms", "xenon": "unknown_element"}
    # nothing is computed, and nothing claimed, of what has no relaxed structure
    assert outputs["test static"][0]["reason"] == "parent_failed"
    assert store.count({"property": "static"}) == 3


def test_turned_inputs_relax_to_the_same(job_store):
    turns = Rotation.random(5, random_state=3).as_matrix()
    inputs, turned = build_prototypes(["Si"]), []
    for given, turn in zip(build_prototypes(["Si"]), turns, strict=True):
        atoms = AseAtomsAdaptor.get_atoms(given.structure, msonable=False)
        atoms.set_cell(atoms.cell.array @ turn)
        atoms.positions = atoms.positions @ turn
        turned.append(crystal(atoms, material_id=given.source["material_id"] + " turned"))
    outputs, store = run([*inputs, *turned], job_store, properties=["relax"])
    slim = outputs["test relax"]
    for a, b in zip(slim[:5], slim[5:], strict=True):
        assert a["key"] != b["key"]
        assert a["state"] == b["state"]
        if a["energy_per_atom"] is not None:
            assert a["energy_per_atom"] == pytest.approx(b["energy_per_atom"], abs=1e-6)
    for record in store.query({"state": "ok"}):
        final = store.final_structure(record)
        assert (
            SpacegroupAnalyzer(final, 1e-5).get_space_group_number()
            == (record["spacegroup"]["input"]["tight"])
        )


def test_a_parent_outside_the_batch(job_store):
    """The output of one job is the input of a later one, in another flow."""
    from pet_flows.jobs import EOSMaker

    outputs, _ = run([crystal(bulk("Cu", a=3.6))], job_store, properties=["relax"])
    job = EOSMaker(n_volumes=5).make(outputs["test relax"])
    (slim,) = run_locally(job, store=job_store, log=False, ensure_success=True)[job.uuid][1].output
    assert slim["state"] == "ok"
    record = ResultStore.from_job_store(job_store).get(slim["key"])
    assert record["parent"] == outputs["test relax"][0]["key"]
    assert len(record["result"]["volumes"]) >= 5


def test_unknown_property_is_refused():
    with pytest.raises(PetFlowsError, match="no property 'relaxation': did you mean 'relax'"):
        ScreenMaker(properties=["relaxation"])
    with pytest.raises(PetFlowsError, match="at least one"):
        ScreenMaker().make([])


def test_manifest_is_independent_of_execution():
    one, two = ScreenMaker(batch_size=2).manifest(5), ScreenMaker().manifest(5)
    assert one == two
    assert one != ScreenMaker(symmetrization="none").manifest(5)
    assert one["n_inputs"] == 5
    assert np.isfinite(one["settings"]["relax"]["fmax"])


def test_script_campaigns_are_registered_and_grow(job_store):
    crystals = [crystal(bulk("Cu", a=3.6))]
    _, store = run(crystals, job_store, name="kept", properties=["static"])
    assert store.campaigns.get("kept")["manifest"]["n_inputs"] == 1
    with pytest.raises(RuntimeError):  # jobflow's own; the sentence is in its log
        run(crystals, job_store, name="kept", properties=["relax"])
    assert store.count({"property": "relax"}) == 0
    run(crystals, job_store, name="order", properties=["static", "relax"])
    run(crystals, job_store, name="order", properties=["relax", "static", "relax"])
    run([crystal(bulk("W"))], job_store, name="kept", properties=["static", "eos"])
    found = store.campaigns.get("kept")
    assert found["manifest"]["properties"] == ["eos", "static"]
    assert len(found["keys"]) == 3


def test_settings_reach_the_makers(monkeypatch):
    from pet_flows.jobs import RelaxMaker
    from pet_flows.settings import get_settings

    monkeypatch.setenv("PET_FLOWS_DTYPE", "float32")
    monkeypatch.setenv("PET_FLOWS_SYMMETRIZATION", "grid:icosahedral")
    get_settings.cache_clear()
    maker, flow = RelaxMaker(), ScreenMaker(potential="pet-mvl")
    monkeypatch.delenv("PET_FLOWS_DTYPE")
    get_settings.cache_clear()
    for spec in (maker.spec(), flow.maker("relax").spec()):
        assert (spec.dtype, spec.symmetrization) == ("float32", "grid:icosahedral")


def test_children_of_an_unconverged_relaxation_are_skipped(job_store):
    """Neither computed nor claimed; computed once the relaxation is converged."""
    from pet_flows.cli.screen import _state
    from pet_flows.jobs import RelaxMaker

    crystals = [crystal(bulk("Cu", a=3.9))]
    short = {"properties": ["relax", "eos"], "makers": {"relax": RelaxMaker(steps=1)}}
    outputs, store = run(crystals, job_store, name="short", **short)
    assert [slim["state"] for slim in outputs["short relax"]] == ["unconverged"]
    (slim,) = outputs["short eos"]
    assert slim["reason"] == "parent_unconverged"
    assert _state(slim) == "skipped"
    assert store.count({"property": "eos"}) == 0
