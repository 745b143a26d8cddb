"""Functions that a property could name for its comparison."""

from __future__ import annotations

import math

from pet_flows.properties.comparison import NotComparable, Side, Value, distance


def strange(ours: Side, theirs: Side) -> list[Value]:
    return [distance("one", "eV", 1.0), distance("none", "eV", math.nan)]


def refusing(ours: Side, theirs: Side) -> list[Value]:
    raise NotComparable("ions were clamped on one side")


def broken(ours: Side, theirs: Side) -> list[Value]:
    return [distance("one", "THz", float(ours.arrays("phonon")["one"]))]
