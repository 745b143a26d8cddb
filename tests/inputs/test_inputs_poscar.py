"""POSCAR files: scaling factors, modes and numbers as VASP reads them, names, what is dropped."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pytest
from ase.io import read
from pymatgen.io.vasp.inputs import Poscar

from pet_flows.inputs.fortran import leading_numbers
from pet_flows.inputs.sources import read_inputs
from tests.inputs.input_files import only, same


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mp-149/POSCAR", "mp-149"),
        ("mp-149/CONTCAR", "mp-149"),
        ("x/POSCAR_mp-149", "mp-149"),
        ("x/POSCAR.mp-149", "mp-149"),
        ("x/mp-149.vasp", "mp-149"),
        ("x/mp-149.vasp.gz", "mp-149"),
        ("mp-149/POSCAR.gz", "mp-149"),
        ("mp-149/POSCAR.vasp", "mp-149"),
        ("mp-149/CONTCAR.vasp.gz", "mp-149"),
        ("mp-149/CONTCAR.poscar", "mp-149"),
        ("mp-149/poscar.contcar", "mp-149"),
        ("mp-149/POSCAR.orig", "mp-149"),
        ("mp-149/CONTCAR.relax2.gz", "mp-149"),
        ("x/POSCAR_mp-149.vasp", "mp-149"),
        ("x/POSCAR-mp-149.poscar.gz", "mp-149"),
        ("x/POSCAR_001", "001"),
        ("x/mp-149.POSCAR", "mp-149"),
        ("x/LiFe0.5.vasp", "LiFe0.5"),
    ],
)
def test_poscar_identifier(tmp_path, quartz, name, expected):
    path = tmp_path / name
    path.parent.mkdir()
    text = Poscar(quartz).get_str(significant_figures=12)
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    found = only(path)
    assert found.source["material_id"] == expected
    assert same(found.structure, quartz)


def test_poscar_selective_dynamics_and_velocities_are_dropped(tmp_path, quartz):
    poscar = Poscar(
        quartz,
        selective_dynamics=[[True, True, False]] * 4,
        velocities=[[0.1, 0.0, 0.0]] * 4,
    )
    poscar.write_file(tmp_path / "a.vasp", significant_figures=12)
    found = only(tmp_path / "a.vasp")
    assert set(found.dropped) == {"selective dynamics", "velocities"}
    assert not found.structure.site_properties
    assert same(found.structure, quartz)


def test_poscar_without_elements_is_refused_not_guessed(tmp_path, quartz):
    lines = Poscar(quartz).get_str().splitlines()
    bare = [" ".join(line.split()[:3]) if number > 6 else line for number, line in enumerate(lines)]
    (tmp_path / "POSCAR").write_text("\n".join([*bare[:5], *bare[6:]]))
    found = only(tmp_path / "POSCAR")
    assert found.problem[0] == "unreadable"
    assert "symbols" in found.problem[1]


CELL = "0.1 2.7 2.6\n2.7 0 2.8\n2.75 2.7 0.2\n"
ATOMS = "Si Ge\n1 2\n"
DIRECT = "Direct\n0.1 0.2 0.3\n0.35 0.45 0.6\n0.7 0.8 0.9\n"
CARTESIAN = "Cartesian\n0.1 0.2 0.3\n1.35 1.45 1.6\n2.7 2.8 2.9\n"
SELECTIVE = "Selective dynamics\n" + CARTESIAN.replace("3\n", "3 T T F\n").replace(
    "6\n", "6 F F F\n"
).replace("9\n", "9 T T T\n")


@pytest.mark.parametrize("mode", [DIRECT, CARTESIAN, SELECTIVE], ids=["direct", "cart", "sel"])
@pytest.mark.parametrize("scale", ["1.0", "1.07", "-45.0", "-45", "1.02 0.97 1.1"])
def test_scaling_factors_against_ase(tmp_path, scale, mode):
    text = f"title\n{scale}\n{CELL}{ATOMS}{mode}"
    (tmp_path / "a.vasp").write_text(text)
    truth = read(io.StringIO(text), format="vasp")
    found = only(tmp_path / "a.vasp")
    assert found.problem is None
    assert np.allclose(found.structure.lattice.matrix, truth.cell[:], atol=1e-10)
    assert np.allclose(found.structure.cart_coords, truth.positions, atol=1e-10)
    assert [site.specie.symbol for site in found.structure] == truth.get_chemical_symbols()
    assert found.dropped == (["selective dynamics"] if mode is SELECTIVE else [])


@pytest.mark.parametrize("mode", ["Cartesian", "Direct"])
def test_a_negative_factor_is_a_volume_of_one_crystal(tmp_path, mode):
    at = "0.25 0.25 0.25"  # the same in both modes: cubic vectors of length 1
    cell = "0 0.5 0.5\n0.5 0 0.5\n0.5 0.5 0\n"
    (tmp_path / "si.vasp").write_text(f"Si\n-40.0\n{cell}Si\n2\n{mode}\n0 0 0\n{at}\n")
    found = only(tmp_path / "si.vasp").structure
    assert found.volume == pytest.approx(40)
    assert found.get_distance(0, 1) == pytest.approx((4 * 40) ** (1 / 3) * 3**0.5 / 4)  # 2.351 Å


def test_a_cell_of_left_handed_vectors_has_a_volume_too(tmp_path):
    vectors = CELL.splitlines()[::-1]
    assert np.linalg.det([leading_numbers(line) for line in vectors]) < 0
    cell = "\n".join(vectors)
    (tmp_path / "a.vasp").write_text(f"x\n-45\n{cell}\n{ATOMS}{CARTESIAN}")
    found = only(tmp_path / "a.vasp").structure
    assert found.volume == pytest.approx(45)
    factor = found.lattice.matrix[0, 0] / 2.75
    assert np.allclose(found.cart_coords[2], np.array([2.7, 2.8, 2.9]) * factor)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0\n", "1.0   ! Angstrom\n"),
        ("1.0\n", "0.10D+01\n"),
        ("1.0\n", "3*1.0\n"),
        ("2.7 0 2.8\n", "2.7d0 0.d0 28.0D-1 # second\n"),
        ("2.7 0 2.8\n", "2.7, 0, 2.8\n"),
        ("0.1 0.2 0.3\n", "0.1D0 0.2E0 3.d-1 Si1\n"),
        ("Si Ge\n", "Si_pv/79d9987ad87 Ge_d/12ab\n"),
        ("Si Ge\n1 2\n", "Si Ge ! two\n1 2 # three atoms\n"),
        ("Direct", "fractional"),
    ],
)
def test_what_vasp_reads_is_read(tmp_path, old, new):
    text = f"title\n1.0\n{CELL}{ATOMS}{DIRECT}"
    assert old in text
    (tmp_path / "a.vasp").write_text(text)
    (tmp_path / "b.vasp").write_text(text.replace(old, new, 1))
    plain, other = read_inputs([str(tmp_path)])
    assert plain.problem is other.problem is None
    assert same(plain.structure, other.structure)


@pytest.mark.parametrize(
    ("scale", "reason", "words"),
    [
        ("1.0 1.1", "unreadable", "three scaling factors or one scaling factor in line 2"),
        ("1,07", "unreadable", "'1,07'"),
        ("1.0 1.0 -1.0", "degenerate_cell", "only a single one may be negative"),
        ("0", "degenerate_cell", "a factor is not 0"),
    ],
)
def test_factors_that_vasp_cannot_have_meant(tmp_path, scale, reason, words):
    (tmp_path / "a.vasp").write_text(f"title\n{scale}\n{CELL}{ATOMS}{DIRECT}")
    found = only(tmp_path / "a.vasp")
    assert found.problem[0] == reason
    assert words in found.problem[1]


@pytest.mark.parametrize("mode", [DIRECT, CARTESIAN])
def test_flat_cells(tmp_path, mode):
    flat = "1 0 0\n2 0 0\n0 0 3\n"
    (tmp_path / "a.vasp").write_text(f"title\n2\n{flat}{ATOMS}{mode}")
    assert only(tmp_path / "a.vasp").problem[0] == "degenerate_cell"


@pytest.mark.parametrize(
    ("symbols", "known"), [("Si3+ Ge", True), ("Si Qq", False), ("si Ge", False), ('Si" Ge', False)]
)
def test_symbols_that_are_no_elements(tmp_path, symbols, known):
    text = f"title\n1.0\n{CELL}{ATOMS}{DIRECT}".replace("Si Ge\n", f"{symbols}\n")
    (tmp_path / "a.vasp").write_text(text)
    found = only(tmp_path / "a.vasp")
    assert (found.problem and found.problem[0]) == (None if known else "unknown_species")


def test_symbols_behind_the_positions_serve_where_vasp_4_has_none(tmp_path):
    named = DIRECT.replace("0.3\n", "0.3 Si\n").replace("0.6\n", "0.6 Ge\n")
    for name, text in {"a": named.replace("0.9\n", "0.9 Ge\n"), "b": named}.items():
        (tmp_path / f"{name}.vasp").write_text(f"title\n1.0\n{CELL}1 2\n{text}")
    all_named, one_not = read_inputs([str(tmp_path)])
    assert all_named.structure.formula == "Si1 Ge2"
    assert "names no elements" in one_not.problem[1]
