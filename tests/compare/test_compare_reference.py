"""The reference table holds the published facts, with their source."""

from __future__ import annotations

import json

import pytest

from pet_flows.compare.matching.identify import identify
from pet_flows.dft import acwf
from pet_flows.dft.documents import document_of, reference_of


def test_every_crystal_has_three_values():
    assert len(acwf.crystals()) == 384
    assert {prototype for _, prototype in acwf.crystals()} == {"sc", "bcc", "fcc", "diamond"}
    everything = acwf.references()
    assert len({reference.id for reference in everything}) == 384
    for reference in everything:
        assert set(reference.result) == {"v0_per_atom", "b0", "b0_prime"}


@pytest.mark.parametrize(
    ("element", "phase", "lattice_constant", "atoms"),
    [("Si", "diamond", 5.469, 8), ("Cu", "fcc", 3.63, 4), ("W", "bcc", 3.18, 2)],
)
def test_values_are_known_lattice_constants(element, phase, lattice_constant, atoms):
    found = acwf.find(element, phase)
    assert (found.result["v0_per_atom"] * atoms) ** (1 / 3) == pytest.approx(
        lattice_constant, abs=0.01
    )
    assert found.level.functional == "PBE"


def test_the_structure_is_the_crystal_at_the_volume_of_its_minimum():
    for reference in acwf.references(["Cu", "O", "Cm"]):
        found = identify(reference.structure)
        assert f"{found.element}-{found.prototype}" == reference.source.name
        per_atom = reference.structure.volume / len(reference.structure)
        assert per_atom == pytest.approx(reference.result["v0_per_atom"], rel=1e-12)


def test_of_some_elements_nothing_else_is_made():
    acwf._reference.cache_clear()
    assert {r.formula for r in acwf.references(["Si", "Xx"])} == {"Si"}
    assert acwf._reference.cache_info().currsize == 4


def test_absent_values():
    assert acwf.find("Si", "hcp") is None
    assert acwf.find("Xx", "fcc") is None


def test_ground_states_have_references():
    assert all(acwf.find(e, p).result["b0"] > 0 for e, p in acwf.GROUND_STATES.items())


def test_the_level_of_the_elements_is_written_out():
    level = acwf.find("Fe", "bcc").level
    assert str(level) == "PBE, all-electron, scalar relativistic, non-magnetic"
    assert (level.spin, level.u) == (False, {})


def test_they_are_documents_like_others():
    reference = acwf.find("Si", "diamond")
    document, blobs = document_of(reference)
    assert json.loads(json.dumps(document, default=str))["nsites_primitive"] == 2
    assert not blobs
    again = reference_of(document)
    assert (again.id, again.result) == (reference.id, reference.result)
    assert again.source.doi == "10.1038/s42254-023-00655-3"
