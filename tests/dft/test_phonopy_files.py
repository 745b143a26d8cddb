"""Folders that phonopy and phono3py leave: the same phonons as theirs, in a record's arrays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.file_IO import write_BORN, write_FORCE_CONSTANTS, write_FORCE_SETS
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.interface.vasp import write_vasp
from phonopy.structure.atoms import PhonopyAtoms

from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.kinds import kind_of
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.phonon_result import phonon_result
from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.store.results import ResultStore
from tests.properties.phonon.test_phonon_compare import lopsided
from tests.symmetrization.systems import crystals

PBE = Options(level={"functional": "PBE"}, material_id="mp-30")
VASPRUN = Path(__file__).parent / "data" / "Si64_displaced.vasprun.xml.gz"
QPOINTS = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.1, 0.2, 0.3]]


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def of(atoms: Atoms) -> PhonopyAtoms:
    return PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )


def forces_of(cell: PhonopyAtoms) -> np.ndarray:
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
    atoms.calc = EMT()
    return atoms.get_forces()


@pytest.fixture(scope="module")
def copper():
    """Phonons of fcc copper from its conventional cell, as phonopy's users make them."""
    made = Phonopy(of(bulk("Cu", cubic=True)), np.diag([2, 2, 2]), primitive_matrix="F")
    made.generate_displacements(distance=0.02)
    made.forces = [forces_of(cell) for cell in made.supercells_with_displacements]
    made.produce_force_constants(fc_calculator="symfc")
    return made


def write_params(made, folder):
    made.save(folder / "phonopy_params.yaml")


def write_force_sets(made, folder):
    made.save(folder / "phonopy_disp.yaml", settings={"force_sets": False})
    write_FORCE_SETS(made.dataset, filename=folder / "FORCE_SETS")


def write_constants(made, folder):
    made.save(
        folder / "phonopy.yaml",
        settings={"force_sets": False, "displacements": False, "force_constants": False},
    )
    write_FORCE_CONSTANTS(
        made.force_constants, filename=folder / "FORCE_CONSTANTS", p2s_map=made.primitive.p2s_map
    )


def write_inside(made, folder):
    made.save(folder / "phonopy.yaml", settings={"force_constants": True})


@pytest.mark.parametrize("write", [write_force_sets, write_constants, write_inside])
def test_the_phonons_are_those_of_phonopy(store, tmp_path, copper, write):
    folder = tmp_path / "deep" / "cu"
    folder.mkdir(parents=True)
    write(copper, folder)
    assert kind_of(str(tmp_path)) == "phonopy"
    found = import_references(store, str(tmp_path), options=PBE)
    assert str(found) == "1 new, 0 changed, 0 the same"
    (document,) = store.references.find({})
    assert (document["property"], document["material_ids"]) == ("phonon", ["mp-30"])
    assert document["nsites_primitive"] == 1
    assert document["level"]["functional"] == "PBE"
    arrays = store.references.blob(document, "phonon")
    ours = to_phonopy(arrays).run_qpoints(QPOINTS).frequencies
    theirs = copper.run_qpoints(QPOINTS).frequencies
    # phonopy's files hold 15 digits of force constants, and 10 of forces
    assert ours == pytest.approx(theirs, abs=1e-4)
    result = document["result"]
    copper.run_mesh([16, 16, 16])
    copper.run_thermal_properties(temperatures=[300.0])
    thermal = copper.get_thermal_properties_dict()
    (warm,) = [point for point in result["thermal"] if point["T"] == 300.0]
    # meshes differ: of records it has 60 Å
    assert warm["cv"] == pytest.approx(thermal["heat_capacity"][0], abs=0.02)
    assert warm["f"] == pytest.approx(thermal["free_energy"][0], abs=0.02)
    assert result["max_frequency"] == pytest.approx(arrays["mesh_frequencies"].max())
    assert np.linalg.det(result["supercell_matrix"]) == pytest.approx(32)
    assert not result["has_imaginary_modes"]
    assert not result["has_nac"]


def test_what_has_not_changed_is_not_read_again(store, tmp_path, copper):
    write_force_sets(copper, tmp_path)
    assert import_references(store, str(tmp_path), options=PBE).new == 1
    assert import_references(store, str(tmp_path), options=PBE).same == 1
    later = (tmp_path / "FORCE_SETS").stat().st_mtime + 5
    os.utime(tmp_path / "FORCE_SETS", (later, later))
    assert import_references(store, str(tmp_path), options=PBE).changed == 1


def test_born_charges_beside_it(store, tmp_path):
    salt = bulk("NaCl", "rocksalt", a=5.69)
    made = Phonopy(of(salt), np.diag([2, 2, 2]), primitive_matrix="P")
    made.generate_displacements(distance=0.03)

    def springs(cell):
        """Between neighbours, by their change of length."""
        atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
        vectors = atoms.get_all_distances(mic=True, vector=True)
        lengths = np.linalg.norm(vectors, axis=2)
        near = (lengths > 0) & (lengths < 3.3)
        pull = np.where(near, 3.0 * (lengths - 5.69 / 2) / np.where(near, lengths, 1.0), 0.0)
        return (pull[:, :, None] * vectors).sum(1)

    made.forces = [springs(cell) for cell in made.supercells_with_displacements]
    made.save(tmp_path / "phonopy_params.yaml")
    charges = np.array([np.eye(3) * 1.1, -np.eye(3) * 1.1])
    write_BORN(made.primitive, charges, 2.43 * np.eye(3), filename=tmp_path / "BORN")
    assert import_references(store, str(tmp_path), options=PBE).new == 1
    (document,) = store.references.find({})
    assert document["result"]["has_nac"]
    arrays = store.references.blob(document, "phonon")
    assert arrays["born_charges"] == pytest.approx(charges, abs=1e-6)
    assert arrays["dielectric"] == pytest.approx(2.43 * np.eye(3), abs=1e-6)
    # the longitudinal mode is above the transversal ones near Γ
    near = to_phonopy(arrays).run_qpoints([[1e-3, 1e-3, 0.0]]).frequencies[0]
    theirs = phonopy.load(
        tmp_path / "phonopy_params.yaml", born_filename=tmp_path / "BORN", fc_calculator="symfc"
    )
    assert near == pytest.approx(theirs.run_qpoints([[1e-3, 1e-3, 0.0]]).frequencies[0], abs=1e-4)
    assert near[5] - near[4] > 1.0


def test_units_of_other_codes(store, tmp_path, copper):
    """Quantum ESPRESSO: Bohr, and Rydberg per Bohr."""
    bohr, rydberg = 0.529177210903, 13.605693122994
    given = copper.unitcell
    cell = PhonopyAtoms(
        numbers=given.numbers, cell=given.cell / bohr, scaled_positions=given.scaled_positions
    )
    made = Phonopy(cell, np.diag([2, 2, 2]), primitive_matrix="F", calculator="qe")
    made.generate_displacements(distance=0.02 / bohr)
    made.forces = np.array(copper.forces) / rydberg * bohr
    made.save(tmp_path / "phonopy_params.yaml")
    assert import_references(store, str(tmp_path), options=PBE).new == 1
    (document,) = store.references.find({})
    ours = to_phonopy(store.references.blob(document, "phonon")).run_qpoints(QPOINTS).frequencies
    assert ours == pytest.approx(copper.run_qpoints(QPOINTS).frequencies, abs=1e-4)
    assert document["structure"]["lattice"]["volume"] == pytest.approx(given.volume / 4, rel=1e-6)


def test_phono3py_leaves_phonons_and_conductivities(store, tmp_path, copper, monkeypatch):
    phono3py = pytest.importorskip("phono3py")
    made = phono3py.Phono3py(
        of(bulk("Cu", cubic=True)), np.diag([1, 1, 1]), primitive_matrix="F",
        phonon_supercell_matrix=np.diag([2, 2, 2]),
    )  # fmt: skip
    made.generate_displacements()
    made.generate_fc2_displacements(distance=0.02)
    made.phonon_forces = [forces_of(c) for c in made.phonon_supercells_with_displacements]
    made.save(tmp_path / "phono3py_params.yaml")
    made.forces = [forces_of(c) for c in made.supercells_with_displacements]
    made.produce_fc2()
    made.produce_fc3()
    made.mesh_numbers = [3, 3, 3]
    made.init_phph_interaction()
    monkeypatch.chdir(tmp_path)
    made.run_thermal_conductivity(temperatures=[0.0, 300.0], write_kappa=True)
    assert kind_of(str(tmp_path)) == "phonopy"
    assert import_references(store, str(tmp_path), options=PBE).new == 2
    found = {document["property"]: document for document in store.references.find({})}
    arrays = store.references.blob(found["phonon"], "phonon")
    ours = to_phonopy(arrays).run_qpoints(QPOINTS).frequencies
    assert ours == pytest.approx(copper.run_qpoints(QPOINTS).frequencies, abs=1e-3)
    result = found["kappa"]["result"]
    assert result["mesh"] == [3, 3, 3]
    (point,) = result["kappa"]
    theirs = made.thermal_conductivity.kappa.reshape(2, 6)[1]
    assert point["T"] == 300.0
    assert point["mean"] == pytest.approx(theirs[:3].mean())
    # cubic
    assert np.array(point["tensor"]) == pytest.approx(theirs[0] * np.eye(3), abs=1e-3 * theirs[0])
    # phono3py's order is xx, yy, zz, yz, xz, xy
    (file,) = tmp_path.glob("kappa-m*.hdf5")
    with h5py.File(file, "r+") as held:
        held["kappa"][1] = [1.0, 2.0, 3.0, 0.4, 0.5, 0.6]
    assert import_references(store, str(tmp_path), options=PBE, again=True).new == 0
    (document,) = store.references.find({"property": "kappa"})
    tensor = [[1.0, 0.6, 0.5], [0.6, 2.0, 0.4], [0.5, 0.4, 3.0]]
    assert document["result"]["kappa"] == [{"T": 300.0, "tensor": tensor, "mean": 2.0}]


def test_one_damaged_folder_stops_no_other(store, tmp_path, copper):
    for name in ("good", "without", "cut", "other"):
        (tmp_path / name).mkdir()
    write_params(copper, tmp_path / "good")
    write_force_sets(copper, tmp_path / "without")
    (tmp_path / "without" / "FORCE_SETS").unlink()
    write_force_sets(copper, tmp_path / "cut")
    sets = tmp_path / "cut" / "FORCE_SETS"
    sets.write_text("\n".join(sets.read_text().splitlines()[:20]))
    (tmp_path / "other" / "phonopy.yaml").write_text("a: [1, 2")
    found = import_references(store, str(tmp_path), options=PBE)
    assert found.new == 1
    said = {problem.name.split(os.sep)[-2]: problem.reason for problem in found.problems}
    assert "has no forces, and there is neither FORCE_SETS nor FORCE_CONSTANTS" in said["without"]
    assert set(said) == {"without", "cut", "other"}
    for name in ("cut", "other"):
        assert said[name].startswith("It is damaged or of another kind"), said[name]


def write_bare(made, folder, cell="POSCAR-unitcell"):
    """FORCE_SETS beside a POSCAR, and no YAML."""
    write_vasp(folder / cell, made.unitcell)
    write_FORCE_SETS(made.dataset, filename=folder / "FORCE_SETS")


@pytest.mark.parametrize("cell", ["POSCAR-unitcell", "POSCAR"])
def test_forces_beside_a_poscar(store, tmp_path, copper, cell):
    write_bare(copper, tmp_path, cell)
    # of the displaced supercell; it is no static calculation of a crystal
    shutil.copy(VASPRUN, tmp_path / "vasprun_disp-001.xml.gz")
    assert kind_of(str(tmp_path)) == kind_of(str(tmp_path / "FORCE_SETS")) == "phonopy"
    assert import_references(store, str(tmp_path), options=PBE).new == 1
    (document,) = store.references.find({})
    assert np.linalg.det(document["result"]["supercell_matrix"]) == pytest.approx(32)
    ours = to_phonopy(store.references.blob(document, "phonon")).run_qpoints(QPOINTS).frequencies
    assert ours == pytest.approx(copper.run_qpoints(QPOINTS).frequencies, abs=1e-4)
    found = import_references(store, str(tmp_path), "vasp", PBE)
    assert (found.new, found.left_out) == (0, {"displaced cell": 1})


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "of the primitive cell"])
def test_force_constants_beside_a_poscar(store, tmp_path, copper, whole):
    write_vasp(tmp_path / "POSCAR", copper.unitcell)
    first = None if whole else copper.primitive.p2s_map
    constants = copper.force_constants
    if whole and len(constants) == 1:
        constants = compact_fc_to_full_fc(copper.primitive, constants)
    write_FORCE_CONSTANTS(constants, filename=tmp_path / "FORCE_CONSTANTS", p2s_map=first)
    assert kind_of(str(tmp_path)) == kind_of(str(tmp_path / "FORCE_CONSTANTS")) == "phonopy"
    answer = import_references(store, str(tmp_path), options=PBE)
    assert answer.new == 1, answer.problems
    (document,) = store.references.find({})
    ours = to_phonopy(store.references.blob(document, "phonon")).run_qpoints(QPOINTS).frequencies
    assert ours == pytest.approx(copper.run_qpoints(QPOINTS).frequencies, abs=1e-4)
    # what is said of the supercell decides whether anything changed
    given = Options(level=PBE.level, columns={"dim": "2x2x2"})
    assert import_references(store, str(tmp_path), options=given).changed == 1
    assert import_references(store, str(tmp_path), options=given).same == 1


def test_a_supercell_that_could_be_several_is_asked_for(store, tmp_path, copper):
    cell = copper.unitcell
    long = PhonopyAtoms(
        numbers=cell.numbers, cell=cell.cell * [1, 1, 1.1], scaled_positions=cell.scaled_positions
    )
    made = Phonopy(long, np.diag([2, 2, 2]), primitive_matrix="auto")
    made.generate_displacements(distance=0.02)
    made.forces = [forces_of(one) for one in made.supercells_with_displacements]
    write_bare(made, tmp_path)
    (problem,) = import_references(store, str(tmp_path), options=PBE).problems
    assert problem.reason == (
        "The supercell of 32 atoms could be 1x1x8 or 2x2x2 of the 4 in POSCAR-unitcell: give it "
        "with --map dim=2x2x2, as it was for phonopy."
    )
    given = Options(level=PBE.level, columns={"dim": "2 2 2"})
    assert import_references(store, str(tmp_path), options=given).new == 1
    # phonopy's own supercell says it as well
    write_vasp(tmp_path / "SPOSCAR", made.supercell)
    assert import_references(store, str(tmp_path), options=PBE).changed == 1
    for wrong in ("2x2", "0x2x2", "a"):
        bad = Options(level=PBE.level, columns={"dim": wrong})
        (problem,) = import_references(store, str(tmp_path), options=bad, again=True).problems
        assert "--map dim must be three whole numbers" in problem.reason


def test_forces_without_a_cell_of_theirs(store, tmp_path, copper):
    write_bare(copper, tmp_path)
    (tmp_path / "POSCAR-unitcell").unlink()
    (problem,) = import_references(store, str(tmp_path), options=PBE).problems
    assert "neither a YAML file of phonopy nor POSCAR-unitcell or POSCAR" in problem.reason
    write_vasp(tmp_path / "POSCAR", copper.supercell)
    (problem,) = import_references(store, str(tmp_path), options=PBE).problems
    assert "is of 32 atoms, and POSCAR holds 32, which make no supercell" in problem.reason


def test_a_folder_without_phonopy_says_so(store, tmp_path):
    with pytest.raises(PetFlowsError, match="holds nothing of phonopy at any depth"):
        import_references(store, str(tmp_path), "phonopy", PBE)


def test_a_mesh_is_reduced_by_no_symmetry_that_is_not_exact():
    """A perovskite but for 1e-5 Å, whose force constants are those of no symmetry."""
    atoms = crystals()["perovskite"][0].copy()
    atoms.rattle(1e-5, seed=1)
    made = lopsided(atoms)
    _, arrays = phonon_result(made, PhononSettings(mesh=(4, 4, 4)))
    made.run_mesh([4, 4, 4], is_gamma_center=True, is_mesh_symmetry=False)
    weights = arrays["mesh_weights"]
    mean = weights @ arrays["mesh_frequencies"].mean(1) / weights.sum()
    assert mean == pytest.approx(made.mesh.frequencies.mean(), rel=1e-6)
