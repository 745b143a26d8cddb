from __future__ import annotations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from pet_flows.properties.comparison import NotComparable, Side, Value
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.compare import LARGE
from tests.crystallography.test_alignment import perovskite, quartz, written_otherwise

RELAX = get_property("relax")


def values(ours: Structure, theirs: Structure, **about: object) -> dict[str, Value]:
    found = RELAX.compare(Side({}, ours, **about), Side({}, theirs))
    assert all(value.document()["name"] for value in found)
    return {value.name: value for value in found}


def test_volume_cell_and_rmsd_are_pymatgens_of_the_standardized_cells() -> None:
    ours, theirs = quartz(5.01, 5.45, 0.475), quartz()
    found = values(written_otherwise(ours), written_otherwise(theirs, seed=1))
    assert found["volume_per_atom"].pet == pytest.approx(ours.volume / 9)
    assert found["volume_per_atom"].relative == pytest.approx(ours.volume / theirs.volume - 1)
    cells = [
        SpacegroupAnalyzer(s, 0.01).get_conventional_standard_structure().lattice
        for s in (ours, theirs)
    ]
    for name in ("a", "b", "c", "alpha", "beta", "gamma"):
        assert found[name].pet == pytest.approx(getattr(cells[0], name), abs=1e-6)
        assert found[name].dft == pytest.approx(getattr(cells[1], name), abs=1e-6)
    rms, _ = StructureMatcher(stol=1.0, scale=False).get_rms_dist(ours, theirs)
    assert rms > 1e-3
    assert found["rmsd"].difference == pytest.approx(rms, abs=1e-6)
    assert found["rmsd"].pet is None


def test_the_rmsd_of_a_large_cell_is_pymatgens_too() -> None:
    theirs = quartz().make_supercell([2, 2, 2], in_place=False).perturb(0.1)
    ours = theirs.copy().perturb(0.05).scale_lattice(1.05 * theirs.volume)
    found = values(written_otherwise(ours), theirs)
    rms, _ = StructureMatcher(stol=1.0, scale=False, primitive_cell=False).get_rms_dist(
        ours, theirs
    )
    assert len(theirs) > LARGE
    assert 0.01 < rms < 0.05
    assert found["rmsd"].difference == pytest.approx(rms, rel=1e-3)


def test_the_cell_of_dfts_space_group_is_measured_in_what_left_it() -> None:
    """A cubic crystal that became orthorhombic still has a, b and c to compare."""
    cubic = Structure(perovskite(3.9, 3.9, 3.9).lattice, ["Cs", "Cl"], [[0] * 3, [0.5] * 3])
    ours = Structure(perovskite(3.9, 3.95, 4.0).lattice, ["Cs", "Cl"], [[0] * 3, [0.5] * 3])
    found = values(written_otherwise(ours), cubic)
    assert sorted(found[n].pet for n in "abc") == pytest.approx([3.9, 3.95, 4.0])
    assert [found[n].dft for n in "abc"] == pytest.approx([3.9] * 3)
    assert (found["spacegroup_1e-2"].pet, found["spacegroup_1e-2"].dft) == (47, 221)
    assert found["operations_1e-2"].difference == 8 - 48


def test_operations_are_of_cells_of_equally_many_atoms() -> None:
    """An atom that leaves the centre takes away the centring, and half of the other operations."""
    body = Structure(perovskite(2.87, 2.87, 2.87).lattice, ["Fe", "Fe"], [[0] * 3, [0.5] * 3])
    moved = Structure(body.lattice, ["Fe", "Fe"], [[0] * 3, [0.5, 0.5, 0.52]])
    found = values(moved, body)
    assert (found["spacegroup_1e-2"].pet, found["spacegroup_1e-2"].dft) == (129, 229)
    assert (found["operations_1e-2"].pet, found["operations_1e-2"].dft) == (16, 96)


def test_a_thousandth_is_seen_at_one_tolerance_only() -> None:
    moved = quartz()
    moved.translate_sites([0], [1e-3, 0, 0], frac_coords=False)
    found = values(moved, quartz())
    assert found["spacegroup_1e-2"].pet == 154
    assert found["spacegroup_1e-5"].pet != 154
    assert found["operations_1e-5"].difference < 0


def test_no_match_is_an_rmsd_of_one_without_lattice() -> None:
    lattice = perovskite(4, 4, 4).lattice
    salt = Structure.from_spacegroup("Fm-3m", lattice, ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    caesium = Structure(lattice, ["Na", "Cl"], [[0] * 3, [0.5] * 3])
    found = values(salt, caesium)
    assert found["rmsd"].difference == 1.0
    assert "a" not in found
    assert "volume_per_atom" in found


def test_a_fixed_cell_has_no_volume_error_and_pressures_must_be_one() -> None:
    fixed = values(quartz(5.0), quartz(), settings={"relax_cell": False})
    assert not {"a", "gamma", "volume_per_atom"} & fixed.keys()
    assert "rmsd" in fixed
    shaped = values(quartz(5.0), quartz(), settings={"cell_constraint": "volume"})
    assert "volume_per_atom" not in shaped
    with pytest.raises(NotComparable, match="10 GPa"):
        values(quartz(), quartz(), settings={"pressure": 10.0})
    same = RELAX.compare(
        Side({"energy_per_atom": -1.0}, quartz(), {"pressure": 10.0}),
        Side({"energy_per_atom": -1.5, "pressure": 9.9}, quartz()),
    )
    assert same[0].difference == pytest.approx(0.5)


def test_shared_sites_are_refused() -> None:
    alloy = Structure(np.eye(3) * 3, [{"Cu": 0.5, "Au": 0.5}], [[0, 0, 0]])
    with pytest.raises(NotComparable, match="share"):
        values(alloy, alloy)
