"""Spec strings."""

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.symmetrization.spec import canonical_spec, parse_spec, serving
from pet_flows.symmetrization.strategies import parse_strategy

SPECS = [
    "none",
    "grid:tetrahedral", "grid:octahedral", "grid:icosahedral", "grid:icosahedral:inversion",
    "grid:lebedev:4",
    "crystal", "crystal:tetrahedral", "crystal:icosahedral", "crystal:orientation",
    "ecse", "ecse:structure", "ecse:atom", "ecse:tetrahedral", "ecse:atom:icosahedral",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_canonical_specs_are_their_strategy_s_own(spec):
    strategy = parse_strategy(spec)
    assert strategy.spec == spec
    assert strategy.configure(4.5, 2).spec == spec


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("ECSE:local", "ecse"),
        (" Crystal ", "crystal"),
        ("ecse:local:Icosahedral", "ecse:icosahedral"),
        ("grid:lebedev:05", "grid:lebedev:5"),
    ],
)
def test_one_spelling(given, canonical):
    assert canonical_spec(given) == canonical


@pytest.mark.parametrize(
    "spec",
    ["", "symmetric", "grid", "grid:lebedev", "grid:lebedev:0", "grid:lebedev:200", "none:none",
     "crystal:octahedral", "crystal:orientation:tetrahedral", "ecse:global",
     "ecse:local:structure", "ecse:tetrahedral:icosahedral"],
)  # fmt: skip
def test_unknown_specs_say_what_exists(spec):
    with pytest.raises(PetFlowsError, match=r"There is no symmetrization .*; choose one of: none;"):
        parse_strategy(spec)


@pytest.mark.parametrize("spec", SPECS)
def test_only_crystal_changes_with_what_it_serves(spec):
    expected = {"dynamics": "crystal:orientation", "phases": "crystal:icosahedral"}
    for purpose in ("derivatives", "dynamics", "phases"):
        wanted = expected.get(purpose, spec) if spec == "crystal" else spec
        assert serving(spec.upper(), purpose) == wanted
    with pytest.raises(ValueError, match="no purpose 'speed'"):
        serving(spec, "speed")


def test_what_strategies_are_good_for():
    """By fields: each is true of these specs and of no others."""
    crystals = {spec for spec in SPECS if spec.split(":")[0] == "crystal"}
    true = {
        "frame_follows_cell": crystals,
        "compares_phases": {"crystal:tetrahedral", "crystal:icosahedral"},
        "evaluates_whole_structures": {spec for spec in SPECS if "ecse" not in spec},
    }
    for field, expected in true.items():
        assert {spec for spec in SPECS if getattr(parse_spec(spec), field)} == expected, field
