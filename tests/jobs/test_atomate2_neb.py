"""A nudged elastic band of atomate2 on a symmetrized potential, named in what it writes."""

import json
from copy import deepcopy

import numpy as np
import pytest
from ase.build import bulk
from atomate2.forcefields.jobs import ForceFieldStaticMaker
from atomate2.forcefields.neb import ForceFieldNebFromImagesMaker
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.errors import PetFlowsError
from pet_flows.jobs.force_field import force_field, potential_name
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.spec import PotentialSpec
from tests.rough import save_checkpoint


def run(job):
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    return run_locally(job, store=store, log=False, raise_immediately=True)[job.uuid][1].output


def vacancy_hop():
    """Two neighbouring vacancies of bcc molybdenum and the cell half way, off the saddle."""
    crystal = bulk("Mo", cubic=True, a=3.17) * (2, 2, 2)
    distances = crystal.get_distances(0, range(len(crystal)), mic=True)
    neighbour = int(np.argsort(distances)[1])
    hop = crystal.get_distance(neighbour, 0, mic=True, vector=True)
    start = crystal.copy()
    images = []
    for part in (0.0, 0.5, 1.0):
        image = start.copy()
        image.positions[neighbour] += part * hop
        del image[0]
        images.append(image)
    images[1].rattle(0.02, seed=1)
    return [AseAtomsAdaptor.get_structure(image) for image in images]


def test_band_on_a_symmetrized_potential(pet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = force_field("pet-mvl")
    name = potential_name("pet-mvl")
    maker = ForceFieldNebFromImagesMaker(
        **arguments,
        relax_kwargs={"fmax": 0.2},
        steps=60,
        neb_doc_kwargs={"identifier": name},
    )
    result = run(maker.make(vacancy_hop()))
    assert pet.spec.digest in result.identifier
    assert result.state == "successful"
    calculator = SymmetrizedCalculator(pet)
    energies, forces = [], []
    for image in result.images:
        atoms = image.to_ase_atoms(msonable=False)
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    assert result.energies == pytest.approx(energies, abs=1e-8)
    assert energies[0] == pytest.approx(energies[2], abs=1e-6)
    assert result.forward_barrier > 0.1
    # at the climbing image nothing pulls any more: that is the potential's own force
    assert np.linalg.norm(forces[1], axis=1).max() < 0.2


def test_documents_of_atomate2s_makers_name_the_potential(pet, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maker = ForceFieldStaticMaker(**force_field("pet-mvl", symmetrization="none"))
    again = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    document = run(again.make(AseAtomsAdaptor.get_structure(bulk("Si"))))
    plain = pet.with_(symmetrization="none")
    assert not set(force_field("pet-mvl")) - {"calculator_meta", "calculator_kwargs"}
    assert document.forcefield_name == f"pet_flows:pet-mvl:{plain.spec.digest}"
    atoms = bulk("Si")
    atoms.calc = SymmetrizedCalculator(plain)
    assert document.output.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)


def test_a_model_s_name_may_have_any_letters(tmp_path, monkeypatch):
    """atomate2 imports the class by what follows the last dot."""
    path = save_checkpoint(tmp_path / "100% mine.v1.0.2.ckpt")
    monkeypatch.setenv("PET_FLOWS_TRUSTED", sha256_of(path))
    name = potential_name(str(path))
    assert name.startswith("pet_flows:100% mine.v1.0.2:")
    maker = ForceFieldStaticMaker(**force_field(str(path)))
    assert maker.ase_calculator_name == name


def test_other_weights_are_refused():
    wrong = PotentialSpec(model="pet-mvl", sha256="0" * 64)
    with pytest.raises(PetFlowsError, match="pet-mvl"):
        SymmetrizedCalculator(wrong)


def test_copies_share_the_weights(pet):
    calculator = SymmetrizedCalculator(pet)
    silicon = bulk("Si")
    silicon.calc = calculator
    silicon.get_potential_energy()
    copy = deepcopy(calculator)
    assert copy.potential is calculator.potential
    assert copy.results is not calculator.results
    moved = bulk("Si")
    moved.rattle(0.05, seed=2)
    moved.calc = copy
    moved.get_forces()
    assert calculator.results["energy"] != copy.results["energy"]
