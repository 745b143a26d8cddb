from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.alignment import PrimitiveCell, align, group_and_order


def quartz(a: float = 4.91, c: float = 5.40, u: float = 0.47) -> Structure:
    return Structure.from_spacegroup(
        "P3_221", Lattice.hexagonal(a, c), ["Si", "O"], [[u, 0, 2 / 3], [0.41, 0.27, 0.785]]
    )


def perovskite(a: float, b: float, c: float) -> Structure:
    return Structure(
        Lattice.orthorhombic(a, b, c),
        ["Ca", "Ti", "O", "O", "O"],
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0.02], [0.5, 0.03, 0.5], [0.04, 0.5, 0.5]],
    )


def written_otherwise(structure: Structure, seed: int = 0) -> Structure:
    """The same crystal in another orientation, setting, order and origin, twice as large."""
    generator = np.random.default_rng(seed)
    turned = structure.lattice.matrix @ Rotation.random(rng=seed).as_matrix()
    order = generator.permutation(len(structure))
    other = Structure(
        turned,
        [structure[int(n)].specie for n in order],
        structure.frac_coords[order] + generator.uniform(size=3),
    )
    return other.make_supercell([[1, 1, 0], [0, 1, -1], [0, 0, 2]], in_place=False)


@pytest.mark.parametrize("crystal", [quartz(), perovskite(3.9, 3.8, 4.0)], ids=["quartz", "three"])
def test_one_crystal_written_in_two_ways_is_laid_onto_itself(crystal: Structure) -> None:
    other = written_otherwise(crystal)
    one, onto = PrimitiveCell.of(other), PrimitiveCell.of(crystal)
    found = align(one, onto)
    assert found is not None
    assert abs(np.linalg.det(found.basis)) == pytest.approx(1)
    assert found.strain < 1e-9
    assert found.distance < 1e-9
    # vectors and atoms really lie there: rotated positions differ by one shift and lattice vectors
    rotation = found.rotation(one.cell, onto.cell)
    assert found.basis @ one.cell @ rotation == pytest.approx(onto.cell, abs=1e-8)
    assert (one.numbers[found.atoms] == onto.numbers).all()
    apart = (one.positions[found.atoms] @ rotation - onto.positions) @ np.linalg.inv(onto.cell)
    apart -= apart[0]
    assert np.abs(apart - np.rint(apart)).max() < 1e-8


def test_axes_are_told_apart_by_atoms_not_by_lengths() -> None:
    """A cell of three nearly equal axes: the lattice alone would lay a onto b."""
    theirs, ours = perovskite(3.90, 3.91, 3.92), perovskite(3.92, 3.91, 3.90)
    found = align(PrimitiveCell.of(ours), PrimitiveCell.of(theirs))
    assert found is not None
    assert np.abs(found.basis).tolist() == np.eye(3).tolist()
    assert found.atoms.tolist() == [0, 1, 2, 3, 4]


def test_a_strained_crystal_and_its_distances() -> None:
    theirs, ours = quartz(), quartz(5.01, 5.45, 0.475)
    found = align(PrimitiveCell.of(written_otherwise(ours)), PrimitiveCell.of(theirs))
    assert found is not None
    # of c/a: the volume is no strain
    size = (theirs.volume / ours.volume) ** (1 / 3)
    assert found.strain == pytest.approx(abs(size * 5.01 / 4.91 - 1) * 2, rel=0.1)
    assert 0.005 < found.distance < 0.05


def test_other_crystals_are_not_laid_onto_each_other() -> None:
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3]
    )
    caesium = Structure(Lattice.cubic(3.5), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    blende = Structure.from_spacegroup(
        "F-43m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.25] * 3]
    )
    cells = [PrimitiveCell.of(s) for s in (salt, caesium, blende)]
    assert align(cells[0], cells[1]) is None
    laid = align(cells[0], cells[2])
    assert laid is None or laid.distance > 0.5
    assert align(cells[0], PrimitiveCell.of(quartz())) is None


def test_operations_are_counted_in_the_primitive_cell() -> None:
    conventional = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    assert group_and_order(conventional, 1e-2) == (225, 48, 1)
    assert group_and_order(written_otherwise(quartz()), 1e-5) == (154, 6, 9)
    moved = written_otherwise(quartz())
    moved.translate_sites([0], [1e-3, 0, 0], frac_coords=False)
    assert group_and_order(moved, 1e-5)[0] != 154
    assert group_and_order(moved, 1e-2)[0] == 154
