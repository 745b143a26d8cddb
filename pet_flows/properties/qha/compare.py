"""Thermal expansion and what goes with it beside DFT, at room temperature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pet_flows.properties.comparison import NotComparable, Side, Value, number
from pet_flows.properties.property import ROOM_TEMPERATURE
from pet_flows.properties.qha.declaration import QHAResult
from pet_flows.properties.settings import unit_of

#: lists over temperatures that are compared; energies have DFT's zero
COMPARED = ("volume_per_atom", "thermal_expansion", "bulk_modulus", "cp", "cv", "gruneisen")


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare what both have at 300 K, and the mean mode Grüneisen parameter.

    Raises
    ------
    NotComparable
        One of them ends below 300 K, or left it out.
    """
    pet, dft = _place(ours.result), _place(theirs.result)
    if pet is None or dft is None:
        which = "DFT" if dft is None else "ours"
        raise NotComparable(f"{which} has nothing at {ROOM_TEMPERATURE:g} K")
    found = []
    for name in COMPARED:
        unit = unit_of(QHAResult.model_fields[name])
        pair = _at(ours.result, name, pet), _at(theirs.result, name, dft)
        found.append(number(f"{name}_300K", unit, *pair))
    mean = "mode_gruneisen_mean"
    found.append(number(mean, "", ours.result.get(mean), theirs.result.get(mean)))
    return [value for value in found if value]


def _place(result: Mapping[str, Any]) -> int | None:
    temperatures = enumerate(result.get("temperatures") or ())
    return next((n for n, t in temperatures if abs(t - ROOM_TEMPERATURE) < 0.5), None)


def _at(result: Mapping[str, Any], name: str, place: int) -> Any:
    values = result.get(name)
    return values[place] if values is not None and len(values) > place else None
