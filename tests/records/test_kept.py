"""What a record keeps of a structure is what pymatgen would write."""

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from pymatgen.core import Lattice, Structure

from pet_flows.records.kept import Kept
from pet_flows.records.plain import plain
from pet_flows.records.structures import atoms_of_structure, bare, structure_of_atoms
from tests.symmetrization.systems import crystals, orthogonal, turned


def cells():
    for n, (atoms, *_) in enumerate(crystals().values()):
        moved = turned(atoms, orthogonal(n))
        moved.rattle(0.3, seed=n)
        yield moved
    yield fcc111("Cu", (1, 1, 2), vacuum=5.0)
    yield molecule("H2O")
    charged = bulk("NaCl", "rocksalt", a=5.6)
    charged.info = {"charge": -1, "spin": 2}
    yield charged


def same(one, other):
    """Equal to the last digit but one of numbers that trigonometric functions have made."""
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            if name in ("alpha", "beta", "gamma", "volume"):
                assert one[name] == pytest.approx(other[name], rel=1e-14)
            else:
                same(one[name], other[name])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            same(*pair)
    else:
        assert (type(one), one) == (type(other), other)


@pytest.mark.filterwarnings("ignore:Structure charge")
def test_documents_are_those_of_pymatgen():
    for atoms in cells():
        made = structure_of_atoms(atoms)
        same(Kept.of_atoms(atoms).document(), plain(made.as_dict()))
        same(Kept.of(made).document(), plain(bare(made).as_dict()))
        assert (Kept.of(made).atoms().positions == atoms_of_structure(made).positions).all()
        assert Kept.of(made).volume == pytest.approx(made.volume, rel=1e-14)


def test_partial_sites_and_oxidation_states():
    species = [{"Fe2+": 0.25, "Ni": 0.75}, {"O2-": 1}, {"Li+": 0.5}]
    alloy = Structure(Lattice.cubic(4), species, np.eye(3) / 3)
    kept = Kept.of(alloy)
    assert kept.symbols is None
    same(kept.document(), plain(bare(alloy).as_dict()))
    assert Structure.from_dict(kept.document()) == bare(alloy) == kept.structure()
