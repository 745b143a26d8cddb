"""ASE databases, trajectories and extended XYZ, as ASE itself writes them."""

import gzip
import shutil

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.units import GPa

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.kinds import kind_of
from pet_flows.dft.importers.options import Options
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

PBE = Options(level={"functional": "PBE", "spin": False})


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def frames():
    """A sheared cell with a displaced atom, and another crystal: every component is another."""
    first = bulk("Cu", cubic=True)
    first.set_cell(first.cell @ (np.eye(3) + 0.01 * np.arange(9).reshape(3, 3)), scale_atoms=True)
    first.positions[0] += [0.05, 0.0, 0.02]
    second = bulk("Al")
    found = []
    for atoms, name in ((first, "mp-30"), (second, "mp-134")):
        atoms.calc = EMT()
        results = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        atoms.calc = SinglePointCalculator(atoms, **results)
        atoms.info["material_id"] = name
        found.append(atoms)
    return found


def written(path, what):
    """The frames in a file of one kind."""
    if path.suffix in (".db", ".json"):
        with ase.db.connect(path) as database:
            for atoms in what:
                database.write(atoms, key_value_pairs={"uid": atoms.info["material_id"]})
    elif path.suffix == ".gz":
        plain = path.with_suffix("")
        ase.io.write(plain, what, format="extxyz")
        with plain.open("rb") as file, gzip.open(path, "wb") as packed:
            shutil.copyfileobj(file, packed)
    else:
        ase.io.write(path, what)
    return str(path)


@pytest.mark.parametrize("name", ["dft.extxyz", "dft.extxyz.gz", "dft.db", "dft.traj", "dft.json"])
def test_energies_forces_and_stresses(store, tmp_path, name):
    what = frames()
    file = written(tmp_path / name, what)
    kind = "ase" if name == "dft.json" else None  # JSON may be anything
    assert kind or kind_of(file) == "ase"
    assert str(import_references(store, file, kind, PBE)) == "2 new, 0 changed, 0 the same"
    for atoms in what:
        (found,) = store.references.find({"material_ids": atoms.info["material_id"]})
        result = found["result"]
        assert found["property"] == "static"
        # extended XYZ has eight decimals
        energy = atoms.get_potential_energy() / len(atoms)
        assert result["energy_per_atom"] == pytest.approx(energy, abs=1e-7)
        largest = np.linalg.norm(atoms.get_forces(), axis=1).max()
        assert result["max_force"] == pytest.approx(largest, abs=1e-7)
        assert np.array(result["stress"]) == pytest.approx(
            atoms.get_stress(voigt=False) / GPa, abs=1e-5
        )
        assert result["pressure"] == pytest.approx(-atoms.get_stress()[:3].mean() / GPa, abs=1e-5)
        forces = store.references.blob(found, "static")["forces"]
        assert np.abs(forces).max() == pytest.approx(np.abs(atoms.get_forces()).max(), abs=1e-7)
        assert len(forces) == found["nsites_primitive"]
        assert found["formula_pretty"] == atoms.get_chemical_formula(empirical=True)
        assert found["level"]["functional"] == "PBE"
        assert found["level"]["spin"] is False
        assert found["source"]["database"] == file
        assert found["entry"]["energy"] == pytest.approx(energy * found["nsites_primitive"])
    # the same again
    assert str(import_references(store, file, kind, PBE)) == "0 new, 0 changed, 2 the same"


def test_keys_with_other_names(store, tmp_path):
    first, second = frames()
    for atoms in (first, second):
        results = atoms.calc.results
        atoms.info["REF_energy"] = results["energy"]
        atoms.arrays["REF_forces"] = results["forces"]
        atoms.info["REF_stress"] = atoms.get_stress(voigt=False)
        atoms.calc = None
    del second.info["REF_energy"]
    file = written(tmp_path / "dft.extxyz", [first, second])
    found = import_references(store, file, options=PBE)
    assert found.new == 0
    assert "name the key that holds it with --map KEY=energy (its numbers are REF_energy)." in (
        found.problems[0].reason
    )
    columns = {f"REF_{name}": name for name in ("energy", "forces", "stress")}
    options = Options(level=PBE.level, columns=columns)
    found = import_references(store, file, options=options)
    assert (found.new, [p.name for p in found.problems]) == (1, ["dft-1"])
    assert found.problems[0].reason == "It has no REF_energy: correct --map, or leave it out."
    (one,) = store.references.find({})
    assert one["result"]["energy_per_atom"] == pytest.approx(first.info["REF_energy"] / 4)
    assert np.array(one["result"]["stress"]) == pytest.approx(first.info["REF_stress"] / GPa)


def test_one_bad_frame_stops_no_other(store, tmp_path):
    first, second = frames()
    molecule = Atoms("H2", [[0, 0, 0], [0, 0, 0.8]])
    crowded = bulk("Cu", cubic=True)
    crowded.positions[1] = crowded.positions[0]
    for atoms in (molecule, crowded):
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    endless = second.copy()
    endless.calc = SinglePointCalculator(endless, energy=float("nan"))
    file = tmp_path / "mixed.extxyz"
    written(file, [first, molecule, crowded, endless, second])
    lines = file.read_text().splitlines()
    broken = [*lines[:6], "2", *lines[1:2], "Cu 0 0 zero", "Cu 1 1 1", *lines[6:], "4", lines[1]]
    file.write_text("\n".join(broken) + "\n")
    found = import_references(store, str(file), options=PBE)
    assert found.new == 2
    said = {problem.name: problem.reason for problem in found.problems}
    assert set(said) == {"mixed-1", "mixed-2", "mixed-3", "mixed-4", "mixed-6"}
    assert "cannot be read as extended XYZ" in said["mixed-1"]
    assert "three lattice vectors" in said["mixed-2"]
    assert "on top of each other" in said["mixed-3"]
    assert "finite" in said["mixed-4"]
    assert "lacks its last 4 lines" in said["mixed-6"]


def test_without_a_level_nothing_is_read(store, tmp_path):
    file = written(tmp_path / "dft.extxyz", frames())
    with pytest.raises(SystemExit, match="give it, as with --level functional=PBE"):
        main(["reference", "add", file])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.db", b"not a database", "cannot be read as ASE database"),
        ("a.traj", b"- of Ulmnothing", "cannot be read as ASE trajectory"),
        ("a.xyz", b"<html></html>", "is a web page"),
        ("a.extxyz.gz", b"4\n", "is not compressed"),
    ],
)
def test_a_damaged_file_is_a_sentence(store, tmp_path, name, content, said):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(PetFlowsError, match=said):
        import_references(store, str(file), options=PBE)


def test_columns_that_a_frame_does_not_have(store, tmp_path):
    file = written(tmp_path / "dft.extxyz", frames())
    with pytest.raises(PetFlowsError, match="--map names 'charge', which a frame does not have"):
        import_references(store, file, options=Options(PBE.level, columns={"q": "charge"}))
