"""Space groups found without spglib are spglib's."""

import numpy as np
import pytest
import spglib
from ase.build import bulk, make_supercell
from pymatgen.core import Structure

from pet_flows.crystallography import spacegroups
from pet_flows.crystallography.spacegroups import space_groups
from pet_flows.records.kept import Kept
from pet_flows.records.metadata import space_group
from tests.symmetrization.systems import crystals, orthogonal, turned

TOLERANCES = (1e-5, 0.1)


def cells():
    """Crystals, two of each in a row, strained and rattled by anything up to 0.3 Å."""
    rng = np.random.default_rng(0)
    for name, (atoms, *_) in crystals().items():
        for repeats in (1, 2):
            for strain in (0.0, 1e-6, 1e-4, 1e-2):
                for shift in (0.0, 1e-7, 3e-6, 3e-5, 1e-3, 0.03, 0.1, 0.3):
                    moved = make_supercell(atoms, np.diag([repeats, 1, 1]))
                    change = rng.normal(0, strain, (3, 3)) if strain else np.zeros((3, 3))
                    moved.set_cell(moved.cell.array @ (np.eye(3) + change + change.T), True)
                    moved.positions += shift * rng.normal(size=moved.positions.shape)
                    yield name, moved


def arguments(atoms):
    return atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_numbers_are_those_of_spglib(monkeypatch):
    asked = []
    own = spacegroups._spglib
    monkeypatch.setattr(spacegroups, "_spglib", lambda *a: asked.append(a) or own(*a))
    plain = 0
    for name, atoms in cells():
        before = len(asked)
        found = space_groups(*arguments(atoms), *TOLERANCES)
        plain += len(asked) == before
        expected = [spglib.get_symmetry_dataset(arguments(atoms), symprec=t) for t in TOLERANCES]
        assert [f and f.number for f in found] == [e and e.number for e in expected], name
    assert plain > 50  # and so spglib was spared


def strained_in_cells_that_lack_operations():
    """Crystals near a higher symmetry, all of whose operations in the given cell are exact."""
    a = 4.18
    hexagonal = [[0, 0, 0], [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3]]
    both = hexagonal + [[x, y, z + 0.5] for x, y, z in hexagonal]
    for change in (0.02, 0.1, 0.2):
        cell = [
            [a / 2**0.5, 0, 0],
            [-a / 8**0.5, a * (3 / 8) ** 0.5, 0],
            [0, 0, a * 3**0.5 + change],
        ]
        yield (
            f"NiO, hexagonal, {change}",
            np.array(cell),
            np.array(both),
            np.array([28] * 3 + [8] * 3),
        )
        cell = np.diag([3.2, 3.2, 3.2 * 2**0.5 + change])
        yield (
            f"fcc, tetragonal, {change}",
            cell,
            np.array([[0, 0, 0], [0.5] * 3]),
            np.array([49, 49]),
        )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_cell_that_has_only_exact_operations_may_still_be_strained():
    for name, *arguments in strained_in_cells_that_lack_operations():
        found = [answer.number for answer in space_groups(*arguments, *TOLERANCES)]
        expected = [spglib.get_symmetry_dataset(tuple(arguments), t).number for t in TOLERANCES]
        assert found == expected, name


def test_orders_of_point_groups():
    orders = {1: 1, 2: 2, 62: 8, 139: 16, 166: 12, 194: 24, 216: 24, 225: 48, 230: 48}
    assert {number: spacegroups._order(number) for number in orders} == orders


@pytest.mark.parametrize("name", sorted(crystals()))
def test_operations_map_the_structure_onto_itself(name):
    atoms = turned(crystals()[name][0], orthogonal(2))
    lattice, scaled, numbers = arguments(atoms)
    (found,) = space_groups(lattice, scaled, numbers, 1e-3)
    dataset = spglib.get_symmetry_dataset((lattice, scaled, numbers), symprec=1e-3)
    assert (found.number, found.international) == (dataset.number, dataset.international)
    assert len(found.rotations) == len(dataset.rotations)
    for rotation, shift in zip(found.rotations, found.translations, strict=True):
        offset = (scaled @ rotation + shift)[:, None] - scaled[None]
        distance = np.linalg.norm((offset - np.rint(offset)) @ lattice, axis=-1)
        assert distance.min(1).max() < 1e-6
        assert (numbers[distance.argmin(1)] == numbers).all()


@pytest.mark.parametrize(
    ("rattle", "tight", "loose"), [(0.0, 227, 227), (1e-3, 1, 227), (0.3, 1, 1)]
)
def test_large_cells(rattle, tight, loose):
    atoms = bulk("Si", cubic=True).repeat(3)
    atoms.rattle(rattle, seed=1)
    found = space_groups(*arguments(atoms), *TOLERANCES)
    assert [f and f.number for f in found] == [tight, loose]


def impossible():
    silicon = bulk("Si", cubic=True)
    cell, scaled, numbers = arguments(silicon)
    broken = {
        "NaN": (cell, np.where(np.arange(24).reshape(8, 3) == 4, np.nan, scaled), numbers),
        "infinite": (cell, np.where(np.arange(24).reshape(8, 3) == 4, np.inf, scaled), numbers),
        "no cell": (np.full((3, 3), np.nan), scaled, numbers),
        "flat": (np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]), scaled, numbers),
        "thread": (np.diag([1e-3, 1.0, 1e6]), scaled, numbers),
        "piled up": (cell, np.tile(scaled, (20, 1)), np.tile(numbers, 20)),
        "a large pile": (2 * cell, np.tile(scaled / 2, (60, 1)), np.tile(numbers, 60)),
        "empty": (cell, scaled[:0], numbers[:0]),
        "endless": (1e160 * np.eye(3), scaled, numbers),
    }
    return [pytest.param(*value, id=name) for name, value in broken.items()]


@pytest.mark.parametrize(("cell", "scaled", "numbers"), impossible())
def test_impossible_structures_have_none(cell, scaled, numbers):
    """Two of them would end the process and three would not end at all."""
    assert space_groups(cell, scaled, numbers, *TOLERANCES) == [None, None]


def test_a_split_site_of_a_large_cell_ends():
    copper = bulk("Cu", cubic=True).repeat(4)
    other = copper.copy()
    other.positions += [0.12, 0.0, 0.0]
    both = copper + other
    assert len(space_groups(*arguments(both), *TOLERANCES)) == 2


def test_skewed_cells():
    skew = np.array([[1, 0, 0], [2000, 1, 0], [0, 2000, 1]])
    found = space_groups(3.0 * skew, np.zeros((1, 3)), np.array([14]), *TOLERANCES)
    assert [f and f.number for f in found] == [221, 221]


def test_a_panic_in_moyopy_is_no_space_group():
    """Its type is no Exception: it would pass every handler and end the batch."""
    arguments = (np.eye(3) * 4, np.zeros((0, 3)), np.zeros(0, dtype=int), 1e-3)
    assert spacegroups._moyopy(*arguments) is None


def test_spglib_writes_nothing_on_a_terminal(capfd):
    """Hf2CdNi2 of WBM, between two answers at a tolerance: spglib complains of it by itself."""
    lattice = [[3.22624447, 0, 0], [0, 7.24053302, 1.175e-05], [0, 1.173e-05, 7.24053314]]
    places = [
        [0, 0.12523771, 0.37476372], [0, 0.37476561, 0.87476358], [0, 0.62523734, 0.12523508],
        [0, 0.87476609, 0.62523531], [0.5, 0.16497947, 0.66497683], [0.5, 0.33502425, 0.16497704],
        [0.5, 0.66497902, 0.8350221], [0.5, 0.83502485, 0.33502229], [0, 1.74e-06, 0.99999984],
        [0, 0.50000191, 0.49999922],
    ]  # fmt: skip
    crystal = Structure(lattice, ["Ni"] * 4 + ["Hf"] * 4 + ["Cd"] * 2, places)
    found = space_group(Kept.of(crystal))
    assert found["tight"] is not None
    assert capfd.readouterr().err == ""
