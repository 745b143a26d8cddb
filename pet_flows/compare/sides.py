"""A record and a reference as they are read for a comparison."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.compare.energies.corrections import SCHEME, Refused, adjust
from pet_flows.compare.potential import level_of
from pet_flows.dft.documents import primitive_structure
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.material_ids import normalized
from pet_flows.properties.comparison import Side
from pet_flows.properties.registry import properties
from pet_flows.records.structures import structure_of_arrays

Arrays = Mapping[str, np.ndarray]
#: name of a blob → its arrays; KeyError where there is none
ReadBlob = Callable[[str], Arrays]


@dataclass(frozen=True)
class Ours:
    """A record.

    Parameters
    ----------
    record
        Whole.
    structure
        Its final one (of a property that ends in a snapshot its input), else its input, else that
        of the relaxation it starts from; None where there is none.
    keys
        Of the records of its relaxed crystal, which a reference may have been calculated for.
    read_blob
        Its arrays.
    """

    record: Mapping[str, Any]
    structure: Structure | None
    keys: frozenset[str]
    read_blob: ReadBlob

    @cached_property
    def primitive(self) -> Structure | None:
        """Primitive cell; None of what is no ordered crystal."""
        return None if self.structure is None else _primitive(self.structure)

    @cached_property
    def ids(self) -> frozenset[str]:
        """Identifiers that campaigns know its material by."""
        sources = self.record["sources"]
        return frozenset(normalized(s["material_id"]) for s in sources if s.get("material_id"))

    @cached_property
    def level(self) -> LevelOfTheory:
        """Of the potential's training data."""
        return level_of(self.record["potential"])

    @property
    def space_group(self) -> int | None:
        """Number at the loose tolerance."""
        number: int | None = (space_group_of(self.record) or {}).get("loose")
        return number

    @property
    def elements(self) -> list[str]:
        """Symbols."""
        if not self.record["elements"] and self.structure is not None:
            return sorted(element.symbol for element in self.structure.composition.elements)
        return list(self.record["elements"])

    def side(self) -> Side:
        """As its property compares it."""
        assert self.structure is not None
        return Side(self.record["result"], self.structure, self.record["settings"], self.read_blob)


@dataclass(frozen=True)
class Theirs:
    """A reference.

    Parameters
    ----------
    document
        Of ``pet_references``, whole.
    read_blob
        Its arrays.
    """

    document: Mapping[str, Any]
    read_blob: ReadBlob

    @property
    def key(self) -> str:
        """``_id``."""
        return str(self.document["_id"])

    @cached_property
    def structure(self) -> Structure:
        """Primitive cell."""
        if self.document["structure"] is not None:
            return Structure.from_dict(dict(self.document["structure"]))
        return structure_of_arrays(self.read_blob("structure"))

    @cached_property
    def primitive(self) -> Structure | None:
        """Primitive cell; None of what is no ordered crystal."""
        return self.structure if _is_crystal(self.structure) else None

    @cached_property
    def ids(self) -> frozenset[str]:
        """Identifiers that its material is known by."""
        return frozenset(normalized(name) for name in self.document["material_ids"])

    @cached_property
    def level(self) -> LevelOfTheory:
        """Level of theory."""
        content = {name: v for name, v in self.document["level"].items() if name != "digest"}
        return LevelOfTheory(**content)

    def check(self) -> None:
        """Raise what reading it raises where it is damaged."""
        for name in ("structure", "level", "ids"):
            getattr(self, name)
        for name in ("records", "result", "problems", "spacegroup", "nsites_primitive"):
            self.document[name]

    @property
    def energy(self) -> float | None:
        """eV/atom, of what it knows about energies."""
        result = self.document["result"]
        found = result.get("energy_per_atom", result.get("e0_per_atom"))
        return None if found is None else float(found)

    @property
    def updated(self) -> datetime | None:
        """When it last changed."""
        return self.document["last_updated"]

    @property
    def name(self) -> str:
        """What people call it: an identifier, else its name at its source."""
        return str(next(iter(self.document["material_ids"]), self.document["source"]["name"]))

    @cached_property
    def corrections(self) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
        """Corrections of an energy, the same for a potential beside it, and warnings.

        None where there is no entry, or where the scheme is not for such a calculation.
        """
        entry = self.document["entry"]
        if entry is None or "energy_per_atom" not in self.document["result"]:
            return None, ()
        if self.level.functional != "PBE" or self.level.dispersion is not None:
            return None, ()
        try:
            adjusted = adjust(entry)
        except Refused as refused:
            return None, (f"{SCHEME}: refused, {refused}",)
        return adjusted.document(), adjusted.warnings

    def side(self) -> Side:
        """As its property compares it."""
        return Side(self.document["result"], self.structure, {}, self.read_blob)


def begins_with_its_crystal(record: Mapping[str, Any]) -> bool:
    """Whether the input of a record says of which crystal it is, and not where it ended."""
    declared = properties().get(record["property"])
    return declared is not None and declared.crystal == "input"


def space_group_of(record: Mapping[str, Any]) -> Mapping[str, int | None] | None:
    """Space group of a record's crystal, at both tolerances."""
    groups = record["spacegroup"]
    first, other = ("input", "final") if begins_with_its_crystal(record) else ("final", "input")
    found: Mapping[str, int | None] | None = groups[first] or groups[other]
    return found


def _is_crystal(structure: Structure) -> bool:
    return bool(structure.is_ordered and all(structure.lattice.pbc))


def _primitive(structure: Structure) -> Structure | None:
    return primitive_structure(structure) if _is_crystal(structure) else None
