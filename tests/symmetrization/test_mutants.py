"""The checks notice each of the plausible mistakes: broken code must fail them."""

from functools import partial
from itertools import count

import numpy as np
import pytest
from ase.build import make_supercell

from pet_flows.crystallography import group
from pet_flows.crystallography.primitive import Primitive
from pet_flows.symmetrization import crystal, crystal_batch, crystal_bound, ecse, ecse_axial
from pet_flows.symmetrization.crystal_bound import CrystalBound
from pet_flows.symmetrization.ecse import EcseBound
from pet_flows.symmetrization.polar import Polar
from tests.symmetrization import checks
from tests.symmetrization.systems import crystals, molecules, sheared, strategy_of


def stress_from_the_symmetric_part(patch):
    patch.setattr(Polar, "gradient", lambda self, of_rotation: 0 * of_rotation)


def transposed_frames(patch):
    true = ecse.frame_weights

    def transposed(*args):
        found = true(*args)
        return type(found)(found.frames.transpose(1, 2), found.weights, found.linear)

    patch.setattr(ecse, "frame_weights", transposed)


def group_before_holohedry(patch):
    def swapped(self, symmetry):
        own, following = self.reference.holohedry, self._following
        return (following[:, None] @ own[None]).reshape(-1, 3, 3)

    patch.setattr(CrystalBound, "representatives", swapped)


def point_group_instead_of_holohedry(patch):
    def representatives(self, symmetry):
        return np.eye(3)[None]

    patch.setattr(CrystalBound, "representatives", representatives)


def setting_found_again(patch):
    true, calls = crystal.smallest_setting, count()

    def any_setting(setting, reference):
        first = next(calls) % len(reference.integers)
        return np.rint(true(setting, reference)).astype(int) @ reference.integers[first]

    def bind(self, atoms, inherited=None, group=None):
        return true_bind(self, atoms, None, group)

    true_bind = crystal.Crystal.bind
    patch.setattr(crystal, "smallest_setting", any_setting)
    patch.setattr(crystal.Crystal, "bind", bind)


def inversion_as_mirror(patch):
    def init(self, strategy, atoms):
        true(self, strategy, atoms)
        self._mirror[1] = -self._mirror[0]

    true = EcseBound.__init__
    patch.setattr(EcseBound, "__init__", init)


def one_hop(patch):
    true = ecse.axial_frames
    patch.setattr(ecse, "axial_frames", lambda e, linear, s, c, n: true(e, linear, s, c, 1))


def as_many_hops_as_layers(patch):
    true = ecse.axial_frames
    patch.setattr(ecse, "axial_frames", lambda e, linear, s, c, n: true(e, linear, s, c, n - 1))


def one_turn(patch):
    patch.setattr(ecse_axial, "ANGLES", 1)


def loose_operations(patch):
    patch.setattr(crystal_bound, "EXACT", 0.05)


def loose_keeping(patch):
    patch.setattr(crystal_batch, "KEPT", 0.05)


def supercell_snapping(patch):
    def whole(numbers, *_):
        return Primitive(np.arange(len(numbers)), np.eye(3), np.arange(len(numbers)))

    def operations_of_the_supercell(atoms, primitive, tolerance):
        found = true(atoms, primitive, tolerance)
        if found is None:  # spglib lists each rotation once for every translation
            monkey_rotations = np.eye(3, dtype=int)[None]
            n = len(atoms)
            fractional = atoms.get_scaled_positions(wrap=False)
            return group.SpaceGroup(
                1, "P1", primitive, monkey_rotations, np.arange(n)[None],
                np.zeros((1, n, 3)), fractional,
            )  # fmt: skip
        return found

    true = group._group
    patch.setattr(group, "find_primitive", whole)
    patch.setattr(group, "_group", operations_of_the_supercell)


def reduced_cell_without_pseudo_symmetry(patch):
    true = crystal.make_reference
    patch.setattr(crystal, "make_reference", lambda p, tolerance, s="": true(p, 1e-5, s))


def oriented_under_shear():
    atoms, _ = crystals()["zincblende"]
    inherited = strategy_of("crystal:orientation").bind(atoms).as_dict()
    checks.covariance("crystal:orientation", sheared(atoms, 0.01, 0.0), inherited)
    checks.finite_differences("crystal:orientation", sheared(atoms, 0.01, 0.02), inherited)


def group_and_settings():
    """With a group as well: the long axis of nearly cubic P4mm written first or last."""
    atoms, _ = crystals()["P4mm"]
    other = make_supercell(atoms, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    one, two = (
        checks.evaluate("crystal:tetrahedral", a, forces=False).energy for a in (atoms, other)
    )
    assert abs(one - two) < 1e-12 * len(atoms)


MUTANTS = [
    (stress_from_the_symmetric_part, checks.stress_under_shear),
    (stress_from_the_symmetric_part, partial(checks.stress_under_shear, "crystal:orientation")),
    (transposed_frames, partial(checks.covariance, "ecse", molecules()["water"])),
    (group_before_holohedry, group_and_settings),
    (point_group_instead_of_holohedry, partial(checks.same_in_all_settings, "zincblende")),
    (point_group_instead_of_holohedry, partial(checks.same_in_all_settings, "quartz")),
    (setting_found_again, oriented_under_shear),
    (inversion_as_mirror, checks.chiral_molecule),
    (one_hop, partial(checks.covariance, "ecse", checks.lonely_atom_on_bent_chain())),
    (
        as_many_hops_as_layers,
        partial(checks.covariance, "ecse", checks.lonely_atom_before_a_far_bend()),
    ),
    (one_turn, checks.smooth_through_collinearity),
    (loose_operations, checks.displaced_atom_covariance),
    (loose_keeping, checks.carried_symmetry_and_noise),
    (supercell_snapping, checks.snapped_supercell),
    (reduced_cell_without_pseudo_symmetry, checks.rederived_after_strain),
]


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutants_are_noticed(mutant, check, monkeypatch):
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        check()


@pytest.mark.parametrize(
    "check",
    [checks.smooth_through_collinearity, oriented_under_shear, group_and_settings],
)
def test_the_code_itself_passes(check):
    check()
