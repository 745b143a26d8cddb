"""The reference table holds the published facts, with their source."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pet_flows.dft import acwf
from pet_flows.dft.quantity import LevelOfTheory, Reference


def test_every_crystal_has_three_values():
    crystals = acwf.crystals()
    assert len(crystals) == 384
    assert len(acwf.references()) == 3 * 384
    assert {crystal.prototype for crystal in crystals} == {"sc", "bcc", "fcc", "diamond"}
    assert len({reference.id for reference in acwf.references()}) == 3 * 384


@pytest.mark.parametrize(
    ("element", "phase", "lattice_constant", "atoms"),
    [("Si", "diamond", 5.469, 8), ("Cu", "fcc", 3.63, 4), ("W", "bcc", 3.18, 2)],
)
def test_values_are_known_lattice_constants(element, phase, lattice_constant, atoms):
    volume = acwf.find(element, phase, "v0_per_atom")
    assert (volume.value * atoms) ** (1 / 3) == pytest.approx(lattice_constant, abs=0.01)
    assert volume.unit == "Å³/atom"
    assert volume.level.functional == "PBE"


def test_absent_values():
    assert acwf.find("Si", "hcp", "b0") is None
    assert acwf.find("Xx", "fcc", "b0") is None


def test_ground_states_have_references():
    assert all(acwf.find(e, p, "b0") for e, p in acwf.GROUND_STATES.items())


def test_the_level_of_the_elements_is_written_out():
    level = acwf.find("Fe", "bcc", "b0").level
    assert str(level) == "PBE, all-electron, scalar relativistic, non-magnetic"
    assert (level.spin, level.u) == (False, {})
    with pytest.raises(ValidationError, match="must name its functional"):
        Reference(
            **{
                **acwf.find("Fe", "bcc", "b0").model_dump(),
                "level": LevelOfTheory(functional=None),
            }
        )


def test_references_are_finite_and_frozen():
    reference = acwf.find("Si", "diamond", "b0")
    with pytest.raises(ValidationError):
        reference.value = 1.0
    with pytest.raises(ValidationError):
        type(reference)(**{**reference.model_dump(), "value": float("nan")})
