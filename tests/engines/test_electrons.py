"""Charges and spins reach the model that takes them, each with its own structure."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.db import connect
from ase.io import write
from jobflow import run_locally
from metatomic_ase import MetatomicCalculator
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.audit.audit import audit
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.graphs import Graphs, together
from pet_flows.engines.potential import get_potential
from pet_flows.errors import StructureError
from pet_flows.export.model import export_model
from pet_flows.flows import ScreenMaker
from pet_flows.geometry.electrons import electrons_of, told
from pet_flows.inputs.sources import read_inputs
from pet_flows.inputs.structure import as_input
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.records.kept import Kept
from pet_flows.records.keys import structure_digest
from pet_flows.records.structures import (
    atoms_of_structure,
    bare,
    structure_of_arrays,
    structure_of_atoms,
)
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.rough import build_pet, save_checkpoint

ALL = [(0, 1), (1, 2), (-2, 1), (0, 3)]


@pytest.fixture(scope="module")
def conditioned(tmp_path_factory):
    path = tmp_path_factory.mktemp("electrons") / "conditioned.ckpt"
    save_checkpoint(path, module=build_pet(system_conditioning=True))
    spec = PotentialSpec(model=str(path), symmetrization="none", device="cpu")
    return resolve(spec, trust=True)


def salt(charge=0, multiplicity=1):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.03, 0.02], 1)), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    atoms.info = {"charge": charge, "spin_multiplicity": multiplicity}
    return atoms


def values(atoms, calculator):
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


def test_each_has_the_energy_that_metatomic_gives_it(conditioned):
    ours = SymmetrizedCalculator(conditioned)
    own = MetatomicCalculator(ours.potential.raw._model, device="cpu")
    energies = []
    for electrons in ALL:
        found = values(salt(*electrons), ours)
        for one, other in zip(found, values(salt(*electrons), own), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-10)
        energies.append(found[0])
    assert np.abs(np.subtract.outer(energies, energies))[~np.eye(4, dtype=bool)].min() > 1e-3
    plain = salt()
    plain.info = {}
    assert values(plain, ours)[0] == energies[0]


def test_the_same_atoms_with_another_charge_are_calculated_anew(conditioned):
    atoms = salt()
    atoms.calc = SymmetrizedCalculator(conditioned)
    neutral = atoms.get_potential_energy()
    atoms.info["charge"] = 1
    assert abs(atoms.get_potential_energy() - neutral) > 1e-3


@pytest.mark.parametrize("symmetrization", ["none", "grid:tetrahedral", "crystal:orientation",
                                            "ecse"])  # fmt: skip
def test_a_mixed_batch_is_what_each_is_alone(conditioned, symmetrization):
    potential = get_potential(conditioned.with_(symmetrization=symmetrization))
    many = [salt(*electrons) for electrons in ALL[:2] if symmetrization == "ecse"]
    many = many or [salt(*electrons) for electrons in (*ALL, *ALL[::-1])]
    if symmetrization != "crystal:orientation":
        water = molecule("H2O")
        water.info["charge"] = -1
        many.insert(1, water)
    systems = [System.of(atoms, potential.bind(atoms)) for atoms in many]
    potential.evaluator.chunk_atoms = 5  # several to a call
    found = potential.evaluator.evaluate(systems)
    for system, one in zip(systems, found, strict=True):
        (alone,) = potential.evaluator.evaluate([system])
        assert one.energy == pytest.approx(alone.energy, abs=1e-10)
        np.testing.assert_allclose(one.forces, alone.forces, atol=1e-10)


def test_audit_finds_a_charged_crystal_as_exact_as_a_neutral_one(conditioned):
    for charge in (0, 2):
        found = audit(
            SymmetrizedCalculator(conditioned, symmetrization="crystal:orientation"),
            salt(charge), n_rotations=1,
        )  # fmt: skip
        assert found.errors["rotation"].energy < 1e-9
        assert found.errors["inversion"].energy < 1e-9
        assert found.conservation < 1e-6


def screened(conditioned, structures, properties, symmetrization="crystal:orientation"):
    store = open_job_store()
    maker = ScreenMaker(
        potential=conditioned.spec, symmetrization=symmetrization, properties=properties
    )
    run_locally(maker.make(structures), store=store, log=False, ensure_success=True)
    records = list(ResultStore.from_job_store(store).query({}))
    store.close()
    return records


def test_a_screened_charge_is_in_key_input_and_energy(conditioned, tmp_path):
    """From a file of several frames through the relaxation to what starts from it."""
    frames = [salt(*electrons) for electrons in ALL]
    for number, frame in enumerate(frames):
        frame.info["material_id"] = f"salt-{number}"
    write(tmp_path / "salts.extxyz", frames)
    given = read_inputs([str(tmp_path / "salts.extxyz")])
    fixed = {"relax_cell": False, "fmax": 100.0}
    records = screened(conditioned, given, {"relax": fixed, "static": {}})
    assert {r["state"] for r in records} == {"ok"}, [r["message"] for r in records]
    assert len({r["_id"] for r in records}) == 8
    assert len({r["structure_digest"] for r in records if r["property"] == "relax"}) == 4
    calculator = SymmetrizedCalculator(conditioned, symmetrization="crystal:orientation")
    for record in records:
        charge, multiplicity = ALL[int(record["sources"][0]["material_id"][-1])]
        asked = {"charge": charge, "spin_multiplicity": multiplicity}
        assert record["potential"]["assumed"] == asked
        assert (record["input_structure"]["charge"] or 0) == charge
        assert record["dropped"] == []
        if record["property"] == "relax":
            final = Structure.from_dict(record["structure"])
            assert electrons_of(atoms_of_structure(final).info) == asked
            energy = values(atoms_of_structure(final), calculator)[0]
            assert record["result"]["energy"] == pytest.approx(energy, abs=1e-7)


def test_neutral_singlets_keep_their_digests():
    plain = structure_of_atoms(bulk("Si"))
    assert (
        structure_digest(plain) == "ab2f1332b454e1f0c5183d4f089144f0"
    )  # as before charges counted
    said = plain.copy()
    said._charge = 0
    said.properties["spin_multiplicity"] = 1
    assert structure_digest(said) == structure_digest(plain)
    charged = plain.copy()
    charged._charge = 1
    assert structure_digest(charged) != structure_digest(plain)
    triplet = plain.copy()
    triplet.properties["spin"] = 3
    assert structure_digest(triplet) not in (structure_digest(plain), structure_digest(charged))


@pytest.mark.parametrize("make", [bare, lambda s: structure_of_arrays(Kept.of(s).arrays()),
                                  lambda s: Structure.from_dict(Kept.of(s).document()),
                                  lambda s: structure_of_atoms(Kept.of(s).atoms()),
                                  lambda s: structure_of_atoms(atoms_of_structure(s)),
                                  lambda s: as_input(s).structure,
                                  lambda s: Structure.from_dict(s.as_dict())])  # fmt: skip
def test_charge_and_spin_are_kept(make):
    atoms = salt(-1, 2)
    structure = structure_of_atoms(atoms)
    assert structure._charge == -1
    made = make(structure)
    assert electrons_of(atoms_of_structure(made).info) == {"charge": -1, "spin_multiplicity": 2}
    assert structure_digest(made) == structure_digest(structure)


def test_a_model_that_takes_none_says_so_in_the_record():
    structure = structure_of_atoms(bulk("Si"))
    structure._charge = 1
    spec = resolve(PotentialSpec(model="pet-mvl", device="cpu"))
    neutral, charged = (
        screened(spec, [one], {"static": {}}, "crystal")[-1]
        for one in (structure_of_atoms(bulk("Si")), structure)
    )
    assert charged["_id"] != neutral["_id"]
    assert charged["result"]["energy"] == neutral["result"]["energy"]
    assert charged["potential"]["assumed"] is None
    assert any("takes no charge" in warning for warning in charged["warnings"])
    assert not any("takes no charge" in warning for warning in neutral["warnings"])
    atoms = atoms_of_structure(structure)
    atoms.calc = pet_flows.SymmetrizedCalculator("pet-mvl")
    with pytest.warns(UserWarning, match=r"takes no charge.*charge \+1"):
        atoms.get_potential_energy()


def test_no_supercells_of_what_is_charged(conditioned):
    charged = bulk("NaCl", "rocksalt", a=5.6)
    charged.info["charge"] = 1
    potential = get_potential(conditioned.with_(symmetrization="crystal"))
    for name in ("phonon", "md"):
        found = pet_flows.compute(name, charged, potential)
        assert (found.state, found.reason) == ("failed", "charged_supercell"), found
        assert "has charge +1, spin multiplicity 1" in found.message
    twice = charged * (2, 1, 1)
    with pytest.raises(StructureError, match="Evaluating the primitive cell of a larger one needs"):
        potential.evaluator.evaluate([System.of(twice, potential.bind(twice))])
    assert pet_flows.compute("static", charged, potential).state == "ok"


def test_a_molecule_says_its_charge_and_spin(conditioned):
    atoms = molecule("O2", cell=[9.0, 9.0, 9.0])
    energies = []
    for info in ({}, {"spin": 3}, {"spin_multiplicity": 3}, {"charge": 1, "spin": 2}):
        atoms.info = info
        energies.append(pet_flows.static(atoms, get_potential(conditioned)).result.energy)
    assert energies[1] == energies[2]
    assert min(abs(energies[0] - e) for e in energies[1:]) > 1e-3
    assert abs(energies[1] - energies[3]) > 1e-3


@pytest.mark.parametrize("info", [{"charge": 0.5}, {"spin_multiplicity": 0}, {"spin": "up"},
                                  {"charge": np.nan}, {"charge": 1e300}])  # fmt: skip
def test_what_is_no_charge_is_refused(conditioned, info):
    atoms = salt()
    atoms.info = info
    found = pet_flows.compute("static", atoms, get_potential(conditioned))
    assert (found.state, found.reason) == ("failed", "bad_electrons")
    assert found.message.startswith(f"{next(iter(info))} must be a whole number")


def test_the_first_name_that_says_something_counts():
    assert electrons_of({"spin_multiplicity": None, "spin": 3})["spin_multiplicity"] == 3


def test_graphs_without_charges_beside_some_with():
    """Of a batch whose calls were made apart, such as clusters of atoms."""
    one = Graphs(
        torch.tensor([1]), torch.zeros(1, 3), torch.zeros(1, 3, 3), torch.zeros(1, 3, dtype=bool),
        np.array([1]), (),
    )  # fmt: skip
    both = together([one, replace(one, electrons=np.array([[2, 3]])), one])
    assert both.electrons.tolist() == [[0, 1], [2, 3], [0, 1]]
    assert together([one, one]).electrons is None


def test_an_ase_database_says_its_charges(tmp_path):
    with connect(tmp_path / "salts.db") as database:
        plain = salt()
        plain.info = {}
        database.write(plain, charge=-1, spin=2)
        database.write(plain, data={"charge": np.full(len(plain), 0.3)})  # of sites, say
        database.write(plain, spin=0)  # whether it was spin-polarized, say
        database.write(plain, charge=0.5)
    said, data, flag, wrong = read_inputs([str(tmp_path / "salts.db")])
    found = [told(atoms_of_structure(one.structure).info) for one in (said, data, flag)]
    assert found == [{"charge": -1, "spin_multiplicity": 2}, {}, {}]
    assert wrong.problem[0] == "bad_electrons"


def test_what_the_model_does_not_know_is_its_own_error(conditioned):
    found = pet_flows.compute("static", salt(30), get_potential(conditioned))
    assert found.state == "failed"
    assert "charge values must be in" in found.message


def test_an_exported_model_takes_them_too(conditioned, tmp_path):
    resolved = conditioned.with_(symmetrization="grid:tetrahedral")
    path = export_model(resolved, tmp_path / "exported.pt")
    ours = SymmetrizedCalculator(resolved)
    with torch.jit.optimized_execution(False):
        own = MetatomicCalculator(path, device="cpu")
        for electrons in ALL[:2]:
            for one, other in zip(values(salt(*electrons), ours), values(salt(*electrons), own),
                                  strict=True):  # fmt: skip
                np.testing.assert_allclose(one, other, atol=1e-7)


def test_oxidation_states_are_no_charge_after_json_either():
    """pymatgen writes their sum as the total charge, and jobs hand structures on as JSON."""
    decorated = Structure(np.eye(3) * 4.2, ["Fe3+", "O2-"], [[0, 0, 0], [0.5] * 3])
    read = Structure.from_dict(decorated.as_dict())
    assert read._charge == 1
    assert structure_digest(read) == structure_digest(decorated)
    assert atoms_of_structure(as_input(read).structure).info == {}


def test_what_ase_says_comes_through_pymatgen():
    structure = AseAtomsAdaptor.get_structure(salt(-1, 2))
    for one in (structure, Structure.from_dict(structure.as_dict())):
        found = atoms_of_structure(as_input(one).structure).info
        assert found == {"charge": -1, "spin_multiplicity": 2}


@pytest.mark.parametrize("info", [{"charge": 0.5}, {"charge": 1, "spin": 0}, {"charge": np.nan}])
def test_files_with_what_is_no_charge_are_refused(tmp_path, info):
    atoms = salt()
    atoms.info = info
    write(tmp_path / "salt.extxyz", atoms)
    (found,) = read_inputs([str(tmp_path / "salt.extxyz")])
    assert found.problem is not None
    assert found.problem[0] == "bad_electrons"
    assert found.structure is None, "it would have the key of the neutral one"


@pytest.mark.parametrize("periodic", [0, 1, 2])
def test_results_of_what_has_fewer_cell_vectors(conditioned, periodic):
    atoms = molecule("OH")
    cell = np.zeros((3, 3))
    for axis in range(periodic):
        cell[axis, axis] = 6.0
    atoms.cell, atoms.pbc = cell, [axis < periodic for axis in range(3)]
    atoms.info = {"charge": -1, "spin_multiplicity": 1}
    potential = get_potential(conditioned.with_(symmetrization="none"))
    first = pet_flows.static(atoms, potential)
    again = pet_flows.static(first, potential)
    assert again.result.energy == pytest.approx(first.result.energy, abs=1e-9)
