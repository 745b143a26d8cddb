"""What a user can name: folders, patterns, files, prototypes; and the mistakes in naming."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from pet_flows.dft import acwf
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.prototypes import build_prototypes, guess_volume
from pet_flows.inputs.sources import read_inputs

GOOD = ["Li", "Si", "Ni", "Cu", "Ge", "Nb", "Mo", "Ta", "W", "Al"]


@pytest.fixture
def folder(tmp_path):
    """Ten good files, and five that fail for five reasons (xenon only later, at the model)."""
    where = tmp_path / "campaign"
    (where / "more" / ".hidden").mkdir(parents=True)
    for number, element in enumerate(GOOD):
        name = f"{element}.extxyz" if number % 2 else f"more/{element}.vasp"
        write(where / name, bulk(element))
    write(where / "Xe.extxyz", bulk("Xe"))
    (where / "broken.cif").write_text("data_global\nloop_\n _atom_site_label\n Si1 Si 0\n")
    (where / "empty.cif").write_text("")
    text = """data_half
_cell_length_a 4
_cell_length_b 4
_cell_length_c 4
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
 _atom_site_label
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 Si1 0 0 0 0.7
"""
    (where / "half.cif").write_text(text)
    double = bulk("Si")
    double.positions[1] = double.positions[0] + [0.0, 0.0, 1e-3]
    write(where / "double.extxyz", double)
    (where / "notes.txt").write_text("not a structure")
    (where / "settings.json").write_text('{"fmax": 0.01}')
    write(where / "more" / ".hidden" / "old.extxyz", bulk("Ag"))
    return where


def test_a_folder_with_broken_files(folder):
    found = {item.label: item for item in read_inputs([str(folder)])}
    assert {label: item.problem[0] for label, item in found.items() if item.problem} == {
        "broken": "unreadable",
        "empty": "empty_file",
        "half": "partial_occupancy",
        "double": "overlapping_atoms",
    }
    assert {label for label, item in found.items() if not item.problem} == {*GOOD, "Xe"}
    assert "0.001 Å" in found["double"].problem[1]


def test_order_is_that_of_names_and_repeats_itself(folder):
    first = [item.source["path"] for item in read_inputs([str(folder)])]
    assert first == sorted(first)
    assert first == [item.source["path"] for item in read_inputs([str(folder)])]


def test_patterns_and_files_are_read_once(folder):
    found = read_inputs([str(folder / "*.extxyz"), str(folder / "Si.extxyz"), str(folder)])
    assert len(found) == len(read_inputs([str(folder)]))
    assert len(read_inputs([str(folder / "**" / "*.vasp")])) == 5
    assert len(read_inputs([str(folder / "mor*")])) == 5


def test_one_crystal_under_two_names_stays_two_inputs(tmp_path):
    write(tmp_path / "mp-1.vasp", bulk("Si"))
    write(tmp_path / "icsd-2.vasp", bulk("Si"))
    assert [item.label for item in read_inputs([str(tmp_path)])] == ["icsd-2", "mp-1"]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("nowhere.cif", "There is no 'nowhere.cif'"),
        ("nothing*.cif", "No file matches 'nothing"),
        (".", "holds no structure files"),
        ("prototypes:", "No element was named"),
        ("prototypes:Si,Xx", "'Xx' is not an element"),
    ],
)
def test_mistakes_in_naming_are_one_sentence(tmp_path, monkeypatch, argument, sentence):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PetFlowsError, match=sentence.replace("*", r"\*")):
        read_inputs([argument])


def test_no_arguments():
    with pytest.raises(PetFlowsError, match="No input was given"):
        read_inputs([])


def test_a_named_file_of_unknown_kind_is_a_problem(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (found,) = read_inputs([str(tmp_path / "notes.txt")])
    assert found.problem[0] == "unknown_format"


def test_prototypes_have_their_symmetry_and_names():
    found = read_inputs(["prototypes:Si,Li"])
    assert [item.label for item in found[:5]] == [
        f"Si-{phase}" for phase in ("sc", "bcc", "fcc", "hcp", "diamond")
    ]
    assert found[4].source["tags"] == ["prototype:diamond", "element:Si"]
    for item, number, atoms in zip(
        found, [221, 229, 225, 194, 227] * 2, [1, 1, 1, 2, 2] * 2, strict=True
    ):
        assert item.problem is None
        assert len(item.structure) == atoms
        guess = guess_volume(*item.label.split("-"))
        assert item.structure.volume / atoms == pytest.approx(guess)
        analyzer = SpacegroupAnalyzer(item.structure, symprec=1e-6)
        assert analyzer.get_space_group_number() == number
    distances = found[3].structure.get_neighbor_list(1.01 * found[3].structure.lattice.a)[3]
    assert len(distances) == 24
    assert np.allclose(distances, distances[0])


def test_guessed_volumes_are_where_a_relaxation_can_start():
    far = {}
    for element, phase in [(e, p) for e in acwf.GROUND_STATES for p in ("sc", "bcc", "fcc")]:
        truth = acwf.find(element, phase).result["v0_per_atom"]
        error = guess_volume(element, phase) / truth - 1
        if abs(error) > 0.08:
            far[f"{element} {phase}"] = round(error, 2)
    assert far == {"Li sc": 0.1, "Ge bcc": -0.1, "Ge fcc": -0.11}


def test_every_element_of_the_reference_has_a_guess():
    elements = sorted({element for element, _ in acwf.crystals()})
    assert all(item.structure.volume > 0 for item in build_prototypes(elements))


def test_unknown_prototype():
    with pytest.raises(PetFlowsError, match="no prototype 'hpc'"):
        build_prototypes(["Si"], ["hpc"])
