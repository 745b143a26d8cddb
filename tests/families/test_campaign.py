"""A potential of another family through a whole campaign: EMT, beside itself."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.flows import ScreenMaker
from pet_flows.inputs.structure import make_input, make_source
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

NAME = "ase:ase.calculators.emt.EMT()"


@pytest.fixture
def store():
    job_store = open_job_store()
    atoms = bulk("Cu", a=3.7)
    given = make_input(AseAtomsAdaptor.get_structure(atoms), make_source(material_id="Cu"))
    properties = {name: {} for name in ("relax", "static", "elastic", "eos")}
    maker = ScreenMaker(
        name="emt", potential=NAME, properties={**properties, "phonon": {"min_length": 12}}
    )
    run_locally(maker.make([given]), store=job_store, log=False, ensure_success=True)
    yield ResultStore.from_job_store(job_store)
    job_store.close()


def test_every_property_of_a_crystal(store):
    records = {record["property"]: record for record in store.query({})}
    assert {name: r["state"] for name, r in records.items()} == dict.fromkeys(records, "ok")
    potential = records["relax"]["potential"]
    assert (potential["name"], potential["symmetrization"]) == ("EMT", "none")
    assert potential["model"] == NAME
    relaxed = records["relax"]["structure"]["lattice"]
    a = (4 * relaxed["volume"]) ** (1 / 3)
    atoms = bulk("Cu", a=a)
    atoms.calc = EMT()
    assert abs(atoms.get_stress()).max() < 1e-4
    # C11 - C12 and the bulk modulus from finite differences of EMT's own stress
    tensor = np.array(records["elastic"]["result"]["tensor"])
    step = 1e-4
    moduli = np.zeros((6, 6))
    for k in (0, 1):
        stresses = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[k, k] += sign * step
            strained = bulk("Cu", a=a)
            strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
            strained.calc = EMT()
            stresses.append(strained.get_stress())
        moduli[k] = (stresses[0] - stresses[1]) / (2 * step) * 160.21766
    assert tensor[0, 0] == pytest.approx(moduli[0, 0], rel=0.01)
    assert tensor[0, 1] == pytest.approx(moduli[0, 1], rel=0.01)
