"""What a table of equations of state says of one crystal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pet_flows.compare.matching.identify import Crystal
from pet_flows.dft import acwf
from pet_flows.dft.level import LevelOfTheory

COMPARED = ("v0_per_atom", "b0")
"""Quantities of an ``eos`` result that are set beside DFT."""

UNITS = {"v0_per_atom": "Å³/atom", "b0": "GPa"}


@dataclass(frozen=True)
class Pair:
    """One value next to its reference."""

    value: float
    reference: float
    level_differs: tuple[str, ...] = ()
    """what the potential's level of theory does not share with the reference's"""

    @property
    def difference(self) -> float:
        """Value minus reference."""
        return self.value - self.reference

    @property
    def relative(self) -> float:
        """Difference over reference; 0.01 is 1 %."""
        return self.difference / self.reference


@dataclass(frozen=True)
class Published:
    """Where the DFT values of a row come from."""

    level: LevelOfTheory
    citation: str | None = None
    doi: str | None = None
    licence: str | None = None

    @classmethod
    def of(cls, reference: Mapping[str, Any]) -> Published:
        """From a reference's document, at least its level and source."""
        level = {name: value for name, value in reference["level"].items() if name != "digest"}
        source = reference["source"]
        names = ("citation", "doi", "licence")
        return cls(LevelOfTheory(**level), *(source.get(name) for name in names))


@dataclass(frozen=True)
class Row:
    """One crystal of a campaign."""

    crystal: Crystal
    label: str
    """identifier of its first source"""
    potential: str | None
    state: str
    """the worst among its records"""
    reason: str | None
    ground_state: bool | None
    """None where the element's ground state is not known here"""
    in_training: bool | None
    """whether the model's training data hold this phase; None where the model does not say"""
    values: dict[str, float] = field(default_factory=dict)
    """by name in `COMPARED`, where there is a result"""
    references: dict[str, float] = field(default_factory=dict)
    comparisons: dict[str, Pair] = field(default_factory=dict)
    published: tuple[Published, ...] = ()
    """of each source that a DFT value is from"""
    level_differs: tuple[str, ...] = ()
    """what keeps the DFT values there are away from this row, or what it was asked to overlook"""
    alone: str | None = None
    """why there is no DFT value"""
    energy: float | None = None
    """eV/atom, of the final static"""
    energy_above: float | None = None
    """eV/atom above the element's ground state, or its lowest phase where that is not known"""


class Phases:
    """Energies of an element's phases, which only final statics of one potential can compare."""

    def __init__(self) -> None:
        self._kinds: dict[int, tuple[str, ...]] = {}
        self._energies: dict[tuple[str, ...], list[tuple[str, float]]] = {}

    def add(self, index: int, row: Row, static: Mapping[str, Any] | None) -> None:
        """Take the energy of a row's final static, if it has one."""
        if static is None or row.energy is None:
            return
        digest = (static.get("potential") or {}).get("digest")
        kind = (row.crystal.element, str(digest), str(static.get("settings_digest")))
        self._kinds[index] = kind
        self._energies.setdefault(kind, []).append((row.crystal.prototype, row.energy))

    def above(self, index: int, row: Row) -> float | None:
        """Give a row's energy above the ground state; None if one of the two is not there."""
        if row.energy is None or index not in self._kinds:
            return None
        alike = self._energies[self._kinds[index]]
        known = acwf.GROUND_STATES.get(row.crystal.element)
        zero = [energy for phase, energy in alike if known in (None, phase)]
        return row.energy - min(zero) if zero else None
