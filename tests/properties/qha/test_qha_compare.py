from __future__ import annotations

import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.properties.comparison import NotComparable, Side
from pet_flows.properties.registry import get_property

COPPER = AseAtomsAdaptor.get_structure(bulk("Cu"))
OURS = {
    "temperatures": [0.0, 150.0, 300.0],
    "volume_per_atom": [11.6, 11.7, 11.8],
    "thermal_expansion": [0.0, 4e-5, 5e-5],
    "cp": [0.0, 20.0, 24.5],
    "gruneisen": [None, 2.0, 2.1],
    "mode_gruneisen_mean": 2.2,
}
THEIRS = {
    "temperatures": [290.0, 300.0, 310.0],
    "volume_per_atom": [11.9, 12.0, 12.1],
    "thermal_expansion": [4.9e-5, 5.2e-5, 5.4e-5],
    "bulk_modulus": [140.0, 139.0, 138.0],
    "gruneisen": [1.9, 1.95, 2.0],
}


def values(ours: dict, theirs: dict) -> dict:
    sides = Side(ours, COPPER), Side(theirs, COPPER)
    return {value.name: value for value in get_property("qha").compare(*sides)}


def test_what_both_have_at_300_kelvin_is_compared() -> None:
    found = values(OURS, THEIRS)
    assert set(found) == {"volume_per_atom_300K", "thermal_expansion_300K", "gruneisen_300K"}
    assert found["volume_per_atom_300K"].difference == pytest.approx(11.8 - 12.0)
    assert found["thermal_expansion_300K"].relative == pytest.approx(5 / 5.2 - 1)
    assert found["thermal_expansion_300K"].unit == "1/K"
    assert found["gruneisen_300K"].dft == 1.95
    means = values(OURS, {**THEIRS, "mode_gruneisen_mean": 2.0})
    assert means["mode_gruneisen_mean"].difference == pytest.approx(0.2)


@pytest.mark.parametrize(("which", "place"), [("ours", 0), ("DFT", 1)])
def test_one_that_ends_below_300_kelvin_is_not_comparable(which: str, place: int) -> None:
    both = [OURS, THEIRS]
    both[place] = {**both[place], "temperatures": [100.0, 200.0]}
    with pytest.raises(NotComparable, match=f"{which} has nothing at 300 K"):
        values(*both)
