"""The space group of a structure that has moved a little is the one that a search finds."""

import numpy as np
import spglib
from ase.build import bulk
from ase.spacegroup import crystal

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.nearby import number_as
from tests.crystallography.snap import snap
from tests.symmetrization.systems import crystals, orthogonal, turned

TOLERANCES = (1e-5, 0.1)


def arguments(atoms):
    return atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers


def searched(atoms):
    found = [spglib.get_symmetry_dataset(arguments(atoms), symprec=t) for t in TOLERANCES]
    return {one and one.number for one in found}


def test_what_is_said_is_what_spglib_finds():
    """Whatever moves within its group, without it, or on towards another one."""
    rng = np.random.default_rng(1)
    said = {"within": 0, "without": 0}
    for n, (atoms, *_) in enumerate(list(crystals().values())[::2]):
        before = turned(atoms, orthogonal(n))
        group = SpaceGroup.find(before, 1e-3)
        for step in (0.0, 0.01, 0.03, 0.3):
            strain = rng.normal(0, step / 5, (3, 3))
            after = before.copy()
            after.set_cell(before.cell.array @ (1.05 * np.eye(3) + strain + strain.T), True)
            after.positions += rng.normal(0, step, after.positions.shape) + rng.normal(size=3)
            for name, moved in (("within", snap(group, after)), ("without", after)):
                number = number_as(arguments(before), arguments(moved), *TOLERANCES)
                if number is not None:
                    said[name] += 1
                    assert {number} == searched(moved), (n, step, name)
    assert said["within"] > 15


def test_a_symmetry_that_rises_is_seen():
    """Operations of where it began hold throughout, and there are more at the end."""
    cubic = crystal(["Cu", "Au"], [(0, 0, 0), (0.5, 0.5, 0.5)], spacegroup=221,
                    cellpar=[3.0] * 3 + [90] * 3)  # fmt: skip
    before = cubic.copy()
    before.set_cell([3.0, 3.0, 4.0], scale_atoms=True)
    assert searched(before) == {123}
    for height in (3.5, 3.2, 3.08, 3.0001, 3.0):
        after = cubic.copy()
        after.set_cell([3.0, 3.0, height], scale_atoms=True)
        number = number_as(arguments(before), arguments(after), *TOLERANCES)
        assert number is None or {number} == searched(after)
    assert number is None
    rutile = {"spacegroup": 136, "cellpar": [4.6, 4.6, 2.96, 90, 90, 90]}
    first, last = (crystal(["Ti", "O"], [(0, 0, 0), (x, x, 0)], **rutile) for x in (0.305, 0.3051))
    assert number_as(arguments(first), arguments(last), *TOLERANCES) == 136


def test_atoms_that_change_places_are_not_near():
    before = bulk("NaCl", "rocksalt", a=5.6)
    after = before.copy()
    after.positions = before.positions[::-1]
    after.positions[0] += [0.0, 0.0, 0.4]
    assert number_as(arguments(before), arguments(after), *TOLERANCES) is None
