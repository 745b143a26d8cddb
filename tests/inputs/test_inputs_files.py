"""Every file format keeps atoms, cell and identifiers; every broken file becomes a problem."""

from __future__ import annotations

import gzip
import json

import ase.db
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.constraints import FixAtoms
from ase.io import read, write
from ase.io.trajectory import Trajectory
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.vasp.inputs import Poscar

from pet_flows.inputs.sources import InputStructure, read_inputs
from tests.inputs.input_files import cif, only, same

# extended XYZ, ASE -------------------------------------------------------------------------------


def test_extxyz_frames_identifiers_and_tags(tmp_path):
    frames = [bulk("Si"), bulk("Cu", cubic=True), bulk("Al")]
    frames[0].info.update(material_id="mp-149", task_id="mp-149-t", tags="semi, demo")
    frames[1].info.update(id=30)
    frames[1].set_initial_magnetic_moments([1, 0, 0, 0])
    frames[2].set_initial_charges([0.5])
    frames[2].set_constraint(FixAtoms([0]))
    write(tmp_path / "some.extxyz", frames)
    found = read_inputs([str(tmp_path / "some.extxyz")])
    assert [item.source["material_id"] for item in found] == ["mp-149", "30", "some-2"]
    assert found[0].source["task_id"] == "mp-149-t"
    assert found[0].source["tags"] == ["semi", "demo"]
    assert [item.dropped for item in found] == [
        [],
        ["magnetic moments"],
        ["charges", "constraints"],
    ]
    for item, atoms in zip(found, frames, strict=True):
        assert same(item.structure, AseAtomsAdaptor.get_structure(atoms))


def test_extxyz_with_one_bad_frame_and_a_torn_end(tmp_path):
    write(tmp_path / "good.extxyz", [bulk("Si"), bulk("Cu"), bulk("Ni")])
    lines = (tmp_path / "good.extxyz").read_text().splitlines()
    lines[2] = "Si 0.0 nonsense 0.0"
    (tmp_path / "a.xyz").write_text("\n".join(lines[:-1]))
    found = read_inputs([str(tmp_path / "a.xyz")])
    assert [item.problem and item.problem[0] for item in found] == [
        "unreadable",
        None,
        "unreadable",
    ]
    assert found[1].structure.formula == "Cu1"
    assert [item.label for item in found] == ["a-0", "a-1", "a-2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda atoms: atoms.positions.fill(np.nan), "not_finite"),
        (lambda atoms: atoms.set_cell(None), "no_lattice"),
        (lambda atoms: atoms.set_pbc(False), "not_periodic"),
        (lambda atoms: atoms.set_cell([[3, 0, 0], [0, 3, 0], [3, 3, 1e-9]]), "degenerate_cell"),
        (lambda atoms: atoms.set_cell([0.3, 30, 30]), "overlapping_atoms"),
    ],
)
def test_impossible_geometries(tmp_path, change, reason):
    atoms = bulk("Si")
    change(atoms)
    with Trajectory(tmp_path / "x.traj", "w") as trajectory:
        trajectory.write(atoms)
    found = only(tmp_path / "x.traj")
    assert found.problem[0] == reason
    assert (found.structure is None) == (reason in ("not_finite", "no_lattice"))


def test_slabs_keep_their_periodicity(tmp_path):
    atoms = bulk("Cu", cubic=True)
    atoms.pbc = (True, True, False)
    write(tmp_path / "slab.extxyz", atoms)
    found = only(tmp_path / "slab.extxyz")
    assert found.problem is None
    assert found.structure.lattice.pbc == (True, True, False)


@pytest.mark.parametrize("name", ["some.db", "some.json", "some.json.gz", "some.db.gz"])
def test_ase_database(tmp_path, name):
    plain = tmp_path / name.removesuffix(".gz")
    with ase.db.connect(plain) as database:
        database.write(bulk("Si"), material_id="mp-149", task_id="t-1")
        database.write(bulk("Cu"), data={"tags": ["metal"]})
        database.write(Atoms("N2", positions=[[0, 0, 0], [0, 0, 1.1]]), uid="n2")
    if name.endswith(".gz"):
        (tmp_path / name).write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    found = read_inputs([str(tmp_path / name)])
    assert [item.source["material_id"] for item in found] == ["mp-149", "some-2", "n2"]
    assert found[0].source["task_id"] == "t-1"
    assert found[1].source["tags"] == ["metal"]
    assert found[2].problem[0] == "no_lattice"
    assert same(found[0].structure, AseAtomsAdaptor.get_structure(bulk("Si")))


def test_a_cell_that_repeats_too_soon(tmp_path):
    write(tmp_path / "a.extxyz", Atoms("Si", cell=[0.001, 30, 30], pbc=True))
    assert "repeats every 0.001 Å" in only(tmp_path / "a.extxyz").problem[1]


# all formats -------------------------------------------------------------------------------------


def test_all_formats_give_the_same_crystal(tmp_path, quartz):
    atoms = AseAtomsAdaptor.get_atoms(quartz)
    quartz.to(str(tmp_path / "a.json"))
    write(tmp_path / "b.extxyz", atoms)
    write(tmp_path / "c.traj", atoms)
    (tmp_path / "d.vasp").write_text(Poscar(quartz).get_str(significant_figures=14))
    ase.db.connect(tmp_path / "e.db").write(atoms)
    found = read_inputs([str(tmp_path)])
    assert len(found) == 5
    for item in found:
        assert item.dropped == []
        assert same(item.structure, quartz), item.label


def test_cif_gives_the_same_crystal_in_another_orientation(tmp_path, quartz):
    quartz.to(str(tmp_path / "pymatgen.cif"))
    write(tmp_path / "ase.cif", AseAtomsAdaptor.get_atoms(quartz))
    for item in read_inputs([str(tmp_path)]):
        assert item.label in ("pymatgen", "ase")
        assert np.allclose(item.structure.lattice.parameters, quartz.lattice.parameters, atol=1e-6)
        assert np.allclose(
            np.sort(item.structure.distance_matrix, axis=None),
            np.sort(quartz.distance_matrix, axis=None),
            atol=1e-5,
        )


def test_round_trips_through_ase_and_pymatgen(tmp_path, quartz):
    write(tmp_path / "a.extxyz", AseAtomsAdaptor.get_atoms(quartz))
    found = only(tmp_path / "a.extxyz")
    there = AseAtomsAdaptor.get_atoms(found.structure)
    assert np.allclose(there.positions, read(tmp_path / "a.extxyz").positions, atol=1e-12)
    write(tmp_path / "b.extxyz", there)
    assert same(only(tmp_path / "b.extxyz").structure, quartz)
    assert InputStructure.from_dict(json.loads(json.dumps(found.as_dict()))) == found
    (tmp_path / "c.json").write_text(found.structure.to_json())
    assert same(only(tmp_path / "c.json").structure, found.structure)


def test_problems_survive_json_too(tmp_path):
    (tmp_path / "x.cif").write_text("")
    found = only(tmp_path / "x.cif")
    assert InputStructure.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_torn_gzip(tmp_path, quartz):
    packed = gzip.compress(quartz.to_json().encode())
    (tmp_path / "a.json.gz").write_bytes(packed[: len(packed) // 2])
    assert only(tmp_path / "a.json.gz").problem[0] == "unreadable"


def test_a_database_of_another_program_is_left_alone(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE documents (x)")
    before = (tmp_path / "store.db").read_bytes()
    assert only(tmp_path / "store.db").problem[0] == "no_structure"
    (tmp_path / "a.cif").write_text(cif())
    assert [item.label for item in read_inputs([str(tmp_path)])] == ["a"]
    assert (tmp_path / "store.db").read_bytes() == before
