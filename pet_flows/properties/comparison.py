"""What is compared of a property: two results of one material → values with their differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from pet_flows.properties.settings import unit_of

if TYPE_CHECKING:
    import numpy as np
    from pymatgen.core import Structure


#: quantities whose zero is a convention, or where they belong: parts of such a value say nothing
WITHOUT_SCALE = frozenset(
    {
        "energy_per_atom", "potential_energy_per_atom", "pressure", "max_force", "f_300K",
        "min_frequency", "min_eigenvalue", "alpha", "beta", "gamma", "operations_1e-2",
        "operations_1e-5",
    }
)  # fmt: skip


def _no_arrays(name: str) -> Mapping[str, np.ndarray]:
    raise KeyError(name)


@dataclass(frozen=True)
class Side:
    """One of the two results: of a record, or of a reference.

    Parameters
    ----------
    result
        As in a record; a reference may lack fields.
    structure
        Final geometry: of a record its cell, of a reference the primitive one.
    settings
        Of the record; empty for a reference.
    arrays
        Name of a blob → its arrays, loaded when called; KeyError where there is none.
    """

    result: Mapping[str, Any]
    structure: Structure
    settings: Mapping[str, Any] = field(default_factory=dict)
    arrays: Callable[[str], Mapping[str, np.ndarray]] = _no_arrays


@dataclass(frozen=True)
class Value:
    """One quantity on both sides.

    Parameters
    ----------
    name
        As in the result, or of the metric (``rmsd``).
    unit
        Of `pet`, `dft` and `difference`.
    pet, dft
        None for a metric that is itself a distance.
    difference
        `pet` − `dft`, or the distance; None where a side is no number.
    """

    name: str
    unit: str
    pet: Any
    dft: Any
    difference: float | None

    @property
    def relative(self) -> float | None:
        """Difference over reference; 0.01 is 1 %. None of zero, labels, and what has no scale."""
        if self.name in WITHOUT_SCALE:
            return None
        if self.difference is None or not isinstance(self.dft, int | float) or not self.dft:
            return None
        return self.difference / abs(self.dft)

    def document(self) -> dict[str, Any]:
        """Give it as plain data."""
        names = ("name", "unit", "pet", "dft", "difference", "relative")
        return {name: getattr(self, name) for name in names}


class NotComparable(Exception):
    """Both results are there, but are not of the same thing; the text says why."""


def number(name: str, unit: str, pet: Any, dft: Any) -> Value | None:
    """Value of two finite numbers; None where a side has none."""
    for side in (pet, dft):
        if isinstance(side, bool) or not isinstance(side, int | float) or not math.isfinite(side):
            return None
    return Value(name, unit, float(pet), float(dft), float(pet) - float(dft))


def distance(name: str, unit: str, value: float) -> Value:
    """Value of a metric that compares both sides by itself."""
    return Value(name, unit, None, None, float(value))


def numbers(model: type[BaseModel], ours: Side, theirs: Side) -> list[Value]:
    """All single numbers of a kind of result that both results have."""
    found = []
    for name, about in model.model_fields.items():
        one = partial(number, name, unit_of(about))
        if value := one(ours.result.get(name), theirs.result.get(name)):
            found.append(value)
    return found
