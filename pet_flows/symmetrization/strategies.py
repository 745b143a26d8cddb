"""Spec strings → strategies, which bring torch."""

from __future__ import annotations

from pet_flows.symmetrization.crystal import Crystal
from pet_flows.symmetrization.ecse import Ecse
from pet_flows.symmetrization.grid import Grid
from pet_flows.symmetrization.spec import parse_spec
from pet_flows.symmetrization.strategy import Strategy


def parse_strategy(spec: str) -> Strategy:
    """Strategy of a spec string; its ``spec`` attribute is the canonical form.

    Raises
    ------
    PetFlowsError
        No strategy has this spec; the sentence lists those that exist.
    """
    parsed = parse_spec(spec)
    if parsed.kind == "crystal":
        return Crystal(parsed.group, parsed.oriented)
    if parsed.kind == "ecse":
        return Ecse(parsed.scope, parsed.group)
    return Grid(parsed.canonical)
