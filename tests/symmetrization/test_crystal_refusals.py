"""What the crystal symmetrization refuses, and what it warns about."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from pet_flows.errors import StructureError
from tests.symmetrization.systems import crystals, strategy_of


def refusal(atoms, inherited=None, spec="crystal"):
    with pytest.raises(StructureError) as caught:
        strategy_of(spec).bind(atoms, inherited)
    assert caught.value.reason == "symmetrization_refused"
    return caught.value.message


def test_refuses_what_is_no_crystal():
    assert "three independent" in refusal(molecule("H2O"))
    assert "three independent" in refusal(fcc111("Cu", (1, 1, 3), vacuum=8))
    flat = bulk("Cu")
    flat.set_cell([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert "three independent" in refusal(flat)
    boxed = molecule("CH4", cell=[12, 12, 12], pbc=True)
    assert "molecules in a box" in refusal(boxed)


def test_refuses_strain_beyond_the_reference():
    atoms, _ = crystals()["fcc"]
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    far = atoms.copy()
    far.set_cell(atoms.cell.array @ np.diag([1.3, 1.0, 1.0]), scale_atoms=True)
    assert "it is another crystal by now" in refusal(far, inherited)
    bound = strategy_of("crystal").bind(atoms, inherited)
    with pytest.raises(StructureError, match="another crystal"):
        bound.plan(torch.tensor(far.positions), torch.tensor(far.cell.array))
    near = atoms.copy()
    near.set_cell(atoms.cell.array @ np.diag([1.15, 1.0, 1.0]), scale_atoms=True)
    assert "is strained by" in strategy_of("crystal").bind(near, inherited).warnings[0]


def test_refuses_a_setting_that_is_none():
    atoms, _ = crystals()["fcc"]
    reference = strategy_of("crystal").bind(atoms).as_dict()["reference"]
    for bad in ([[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[0.5, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0]]):
        assert "must be 3×3 integers" in refusal(atoms, {"reference": reference, "N": bad})
    other = crystals()["triclinic"][0]
    assert "not a supercell" in refusal(other, {"reference": reference})


@pytest.mark.parametrize("name", ["fcc", "diamond", "hcp"])
def test_refuses_a_carried_symmetry_that_is_no_group(name):
    atoms, _ = crystals()[name]
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    strategy_of("crystal").bind(atoms, inherited)
    # as phonons have it: the noise hides the symmetry, so that the inherited one would count
    noisy = atoms.copy()
    noisy.positions += 1e-7 * np.random.default_rng(1).normal(size=noisy.positions.shape)
    group = inherited["group"]
    some = {k: group[k][:-1] for k in ("operations", "permutations")}
    assert "is not a group" in refusal(noisy, inherited | {"group": group | some})
    beyond = {"operations": [0, 99], "permutations": group["permutations"][:2]}
    assert "is not a group" in refusal(noisy, inherited | {"group": group | beyond})


def test_warns_about_melts():
    melt = bulk("Al", a=4.2, cubic=True) * (2, 1, 1)
    assert strategy_of("crystal").bind(melt).warnings == ()
    melt.rattle(0.45, seed=8)
    assert "melt or glass" in strategy_of("crystal").bind(melt).warnings[-1]
    salt = bulk("NaCl", "rocksalt", a=5.64) * (2, 2, 2)
    parent = strategy_of("crystal").bind(salt).as_dict()
    salt.rattle(0.3, seed=1)
    # of a distorted crystal the inherited reference says where it comes from
    assert strategy_of("crystal").bind(salt, parent).warnings == ()
    assert "inherit the reference" in strategy_of("crystal").bind(salt).warnings[-1]
    # a triclinic crystal of few formula units is no melt
    assert strategy_of("crystal").bind(crystals()["triclinic"][0]).warnings == ()


def test_warns_about_slabs():
    slab = fcc111("Cu", (1, 1, 3), vacuum=8, periodic=True)
    assert "slab in vacuum" in strategy_of("crystal").bind(slab).warnings[0]
    wire = Atoms("Cu", cell=[2.5, 15, 15], pbc=True)
    assert "chain in vacuum" in strategy_of("crystal").bind(wire).warnings[0]
