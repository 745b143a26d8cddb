"""Special positions written with few digits, and magnetic CIFs: where the atoms are."""

from __future__ import annotations

import numpy as np
import pytest
from ase.spacegroup import crystal
from pymatgen.core import Element, Lattice

from pet_flows.inputs.cif import symmetry
from pet_flows.inputs.cif.cell import rounding
from pet_flows.inputs.cif.operations import parse
from pet_flows.inputs.cif.sites import Row
from pet_flows.inputs.cif.structure import build_structure
from tests.inputs.input_files import write_cif

HCP = (2.49, 2.49, 4.02, 90, 90, 120)
HM = "_symmetry_space_group_name_H-M "
COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")


@pytest.mark.parametrize(
    "position",
    [
        ".333 .667 .25",
        "0.33 0.67 0.25",
        ".333 .666 .25",  # cut off
        "0.3333 0.6667 .250",
        "0.33333 0.66667 .25",
        "0.334(1) 0.667(1) .25",
        "-.333 .333 .75",
        "0.667(2) .333(2) .7500(3)",
    ],
)
def test_an_atom_on_a_special_position_is_one(tmp_path, position):
    found = write_cif(
        tmp_path / "x.cif", [f"Ni1 Ni {position}"], cell=HCP, listed=(), said=f"{HM}'P 63/m m c'"
    )
    assert found.problem is None, found.problem
    truth = crystal("Ni", basis=[(1 / 3, 2 / 3, 0.25)], spacegroup=194, cellpar=HCP)
    assert len(found.structure) == 2
    assert found.structure.get_distance(0, 1) == pytest.approx(
        truth.get_distance(0, 1, mic=True), abs=1e-6
    )


def test_an_eighth_and_what_depends_on_itself(tmp_path):
    cubic = (5.43, 5.43, 5.43, 90, 90, 90)
    said = f"{HM}'F d -3 m :2'"
    found = write_cif(tmp_path / "a.cif", ["Si1 Si .13 .13 .13"], cell=cubic, listed=(), said=said)
    assert len(found.structure) == 8
    # x, 2x, z: 0.156 and 0.31 are rounded differently
    cell = (5.6, 5.6, 4.5, 90, 90, 120)
    said = f"{HM}'P 63/m m c'"
    found = write_cif(tmp_path / "b.cif", ["A Ni .156 .31 .25"], cell=cell, listed=(), said=said)
    assert len(found.structure) == 6


def test_atoms_that_are_apart_stay_apart(tmp_path):
    """Exact numbers, and images farther apart than any rounding makes them, are no rounding."""
    for position in (".3 .6 .25", ".36 .67 .25"):
        found = write_cif(
            tmp_path / "x.cif", [f"A Ni {position}"], cell=HCP, listed=(), said=f"{HM}'P 63/m m c'"
        )
        assert len(found.structure) > 2
    rows = ["A Ni .33333 .66667 .25", "B Ni .33333 .66667 .26"]  # two that are listed
    found = write_cif(tmp_path / "x.cif", rows, cell=HCP, listed=(), said=f"{HM}'P 63/m m c'")
    assert found.problem[0] == "overlapping_atoms"


@pytest.mark.parametrize("digits", [2, 3, 4])
def test_special_positions_of_many_settings(digits):
    """The fixed points of one operation of each setting, rounded, make as many atoms as exact."""
    random = np.random.default_rng(digits)
    n_special = 0
    for row in symmetry._table()[digits::9]:
        operations = parse(tuple(row["symops"]))
        skew = np.array([[40, 5, 4], [5, 46, 3], [4, 3, 59.0]])
        metric = np.mean([r.T @ skew @ r for r in operations.rotations], axis=0)
        lattice = Lattice(np.linalg.cholesky(metric))
        position = random.random(3)
        chosen = random.integers(len(operations))
        for _ in range(40):  # half of the way to the image converges to a fixed point
            shift = operations.images(position)[chosen] - position
            position = position + (shift - np.round(shift)) / 2
        shift = operations.images(position)[chosen] - position
        if np.abs(shift - np.round(shift)).max() > 1e-9:
            continue  # a screw axis or a glide plane

        def build(at, precision, operations=operations, lattice=lattice):
            rows = [Row("A", Element("Si"), 1.0, at, precision)]
            return build_structure(lattice, rows, operations)

        exact = build(position, np.zeros(3))
        if (exact.distance_matrix + 9 * np.eye(len(exact))).min() < 0.5:
            continue
        texts = [f"{x:.{digits}f}" for x in position]
        numbers = np.array([float(text) for text in texts])
        rounded = build(numbers, np.array([rounding(text) for text in texts]))
        assert len(rounded) == len(exact), (row["universal_h_m"], texts)
        n_special += len(exact) < len(operations)
    assert n_special > 15


MAGNETIC = """_space_group_magn.number_BNS 83.50
_space_group_magn.name_BNS "P_C 4/m"
{listed}loop_
_atom_site_moment.label
_atom_site_moment.crystalaxis_x
_atom_site_moment.crystalaxis_y
_atom_site_moment.crystalaxis_z
Ni 0 0 1.2
"""
LISTED = """loop_
_space_group_symop_magn_operation.id
_space_group_symop_magn_operation.xyz
1 x,y,z,+1
2 -x,-y,z,+1
loop_
_space_group_symop_magn_centering.id
_space_group_symop_magn_centering.xyz
1 x,y,z,+1
2 x,y+1/2,z+1/2,+1
3 x+1/2,y,z+1/2,-1
4 x+1/2,y+1/2,z,-1
"""
NICKEL = (3.52, 3.52, 3.52, 90, 90, 90)


def read_magnetic(path, rows, said, listed=()):
    return write_cif(path / "x.mcif", rows, cell=NICKEL, listed=listed, said=said, columns=COLUMNS)


def test_magnetic_operations_move_atoms(tmp_path):
    found = read_magnetic(tmp_path, ["Ni Ni 0 0 0 1"], MAGNETIC.format(listed=LISTED))
    assert found.problem is None
    assert found.structure.formula == "Ni4"
    assert found.structure.get_distance(0, 1) == pytest.approx(3.52 / 2**0.5)
    assert found.dropped == ["magnetic moments"]


def test_a_mixed_site_with_moments_has_the_reason_of_mixed_sites(tmp_path):
    rows = ["Ni Ni 0 0 0 .5", "Cu Cu 0 0 0 .5"]
    found = read_magnetic(tmp_path, rows, MAGNETIC.format(listed=LISTED))
    plain = write_cif(tmp_path / "y.cif", rows, cell=NICKEL, columns=COLUMNS)
    assert found.problem[0] == "partial_occupancy"
    assert found.problem == plain.problem


def test_a_magnetic_group_may_be_named_only(tmp_path):
    said = MAGNETIC.format(listed="").replace("83.50", "123.345").replace("P_C 4/m", "P4/mm'm'")
    found = read_magnetic(tmp_path, ["Ni Ni .5 0 0 1"], said)
    assert found.problem is None, found.problem
    assert found.structure.formula == "Ni2"
    unknown = said.replace("P4/mm'm'", "P 9/q")
    assert "'P 9/q'" in read_magnetic(tmp_path, ["Ni Ni .5 0 0 1"], unknown).problem[1]


def test_moments_beside_ordinary_operations(tmp_path):
    moments = "loop_" + MAGNETIC.format(listed="").partition("loop_")[2]
    found = read_magnetic(tmp_path, ["Ni Ni .1 .2 .3 1"], moments, ("x,y,z", "-x,-y,-z"))
    assert found.structure.formula == "Ni2"  # pymatgen: one, as if no operations were there
    assert found.dropped == ["magnetic moments"]


@pytest.mark.parametrize("said", ["_cell_modulation_dimension 1", "_cell_wave_vector_seq_id 1"])
def test_a_modulated_crystal_is_not_its_mean(tmp_path, said):
    found = write_cif(tmp_path / "x.cif", ["A Ni 0 0 0"], said=said)
    assert found.problem[0] == "unreadable"
    assert "modulated" in found.problem[1]
