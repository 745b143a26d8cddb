"""Reference lattices: the same from any basis, in any orientation, after any small strain."""

import json

import numpy as np
import pytest

from pet_flows.crystallography.lattice import closed
from pet_flows.symmetrization.reference import CrystalReference, make_reference
from pet_flows.symmetrization.setting import find_setting, smallest_setting, traceless_strain
from tests.symmetrization.systems import crystals, orthogonal

LATTICES = {
    **{name: atoms.cell.array for name, (atoms, _) in crystals().items()},
    "orthorhombic": np.diag([3.0, 4.1, 5.5]),
    "long": np.diag([3.0, 3.1, 12.0]),
    "centred": np.array([[2.0, 3.1, 0], [-2.0, 3.1, 0], [0, 0, 5.2]]),
}


def unimodular(rng):
    while True:
        matrix = rng.integers(-3, 4, (3, 3))
        if abs(round(np.linalg.det(matrix))) == 1:
            return matrix


@pytest.mark.parametrize("name", LATTICES)
def test_any_basis_and_orientation_gives_the_same_reference(name):
    rng = np.random.default_rng(3)
    lattice = LATTICES[name]
    reference, basis = make_reference(lattice)
    strain = traceless_strain(np.linalg.solve(reference.h0, basis))
    assert strain <= reference.kept + 1e-9
    for seed in range(4):
        other = unimodular(rng) @ lattice @ orthogonal(seed)
        again, basis = make_reference(other)
        np.testing.assert_allclose(again.h0, reference.h0, atol=1e-11)
        np.testing.assert_array_equal(again.integers, reference.integers)
        setting = smallest_setting(other @ np.linalg.inv(basis), reference)
        np.testing.assert_array_equal(find_setting(reference, other), setting)
        assert traceless_strain(np.linalg.solve(setting @ reference.h0, other)) < 0.03


@pytest.mark.parametrize(
    ("name", "order"),
    [("fcc", 48), ("bcc", 48), ("hcp", 24), ("quartz", 24), ("P4mm", 48), ("rhombohedral", 12),
     ("orthorhombic", 8), ("centred", 8), ("monoclinic", 4), ("triclinic", 2)],
)  # fmt: skip
def test_holohedry(name, order):
    """Of the lattice, not of the crystal; nearly cubic P4mm keeps the cubic one."""
    reference, _ = make_reference(LATTICES[name])
    assert len(reference.integers) == order
    g = reference.holohedry
    np.testing.assert_allclose(
        g @ g.transpose(0, 2, 1), np.eye(3)[None].repeat(order, 0), atol=1e-13
    )
    np.testing.assert_allclose(reference.integers @ reference.h0, reference.h0 @ g, atol=1e-9)
    np.testing.assert_array_equal(reference.integers[0], np.eye(3))
    a, b = 1, order - 1
    np.testing.assert_allclose(g[reference.table[a, b]], g[a] @ g[b], atol=1e-12)


def test_survives_json():
    reference, _ = make_reference(LATTICES["hcp"], source="abc")
    again = CrystalReference.from_dict(json.loads(json.dumps(reference.as_dict())))
    assert again.digest == reference.digest
    assert again.source == "abc"
    np.testing.assert_array_equal(again.h0, reference.h0)


def test_ties_are_recorded_and_warned_about():
    near_cubic, _ = make_reference(np.diag([4.0, 4.0, 4.08]))
    assert near_cubic.kept == pytest.approx(0.0198, abs=1e-3)
    assert "inherit this one" in near_cubic.warnings[0]
    beyond, _ = make_reference(np.diag([4.0, 4.0, 4.2]))
    assert beyond.dropped == pytest.approx(0.05, abs=2e-3)
    assert "higher symmetry" in beyond.warnings[0]
    clear, _ = make_reference(np.diag([4.0, 4.0, 5.0]))
    assert clear.warnings == ()


@pytest.mark.parametrize("tolerance", [1e-12, 1e-9, 1e-7, 1e-6])
def test_a_tiny_tolerance_still_gives_a_group(tolerance):
    rng = np.random.default_rng(5)
    for strain in 10 ** rng.uniform(-9, -5, 60):
        noise = np.eye(3) + strain * rng.normal(size=(3, 3))
        reference, _ = make_reference(LATTICES["fcc"] @ noise, tolerance)
        assert closed(reference.integers)
        assert reference.table.max() < len(reference.integers)


def test_setting_of_a_strained_supercell_is_found():
    reference, basis = make_reference(LATTICES["fcc"])
    matrix = np.array([[2, 0, 0], [1, 2, 0], [0, 0, 3]])
    strain = np.eye(3) + 0.03 * np.random.default_rng(0).uniform(-1, 1, (3, 3))
    setting = find_setting(reference, matrix @ basis @ strain @ orthogonal(1))
    assert abs(round(np.linalg.det(setting))) == 12
    assert find_setting(reference, np.diag([1.0, 1.0, 9.0])) is None
