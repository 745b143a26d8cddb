"""The example of alloys: which orderings there are, and what is above their hull."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition

WORKFLOWS = Path(__file__).parents[2] / "workflows"


@pytest.fixture(scope="module")
def alloys():
    spec = spec_from_file_location("alloy_hull", WORKFLOWS / "alloy_hull.py")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.mark.parametrize(("n", "count"), [(1, 2), (2, 2), (3, 6), (4, 19)])
def test_as_many_binary_orderings_as_are_published(alloys, n, count):
    # G. L. W. Hart and R. W. Forcade, Phys. Rev. B 77, 224115 (2008): of fcc and bcc alike
    assert len(list(alloys.orderings(n, 2))) == count


def test_no_two_are_alike(alloys):
    found = [s for s in alloys.alloys(["Mo", "Ta"], 4) if s.reduced_formula == "TaMo"]
    groups = StructureMatcher(primitive_cell=True).group_structures(found)
    assert len(groups) == len(found)
    assert len({s.properties["material_id"] for s in found}) == len(found)


def test_energies_above_the_hull(alloys):
    energies = {
        "a": (Composition("Mo"), -10.0),
        "b": (Composition("Ta"), -11.0),
        "ab": (Composition("MoTa"), -10.7),
        "aab": (Composition("Mo2Ta"), -10.4),
    }
    found = alloys.above_hull(energies)
    assert found["ab"] == pytest.approx((-0.2, 0.0))
    # a third of the way from Mo to MoTa it would be -0.4/3
    assert found["aab"] == pytest.approx((-10.4 + 31 / 3, -10.4 + 31 / 3 + 0.4 / 3))
