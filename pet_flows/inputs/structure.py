"""One input: a structure reduced to what a potential sees, and where it came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from monty.json import MSONable
from pymatgen.core import Structure

from pet_flows.errors import StructureError
from pet_flows.geometry.electrons import electrons_of
from pet_flows.inputs.clean import find_problem, strip
from pet_flows.records.structures import said_of_electrons

_NOT_KEPT = ("not_finite", "unknown_species", "bad_electrons")

SOURCE_KEYS = ("material_id", "task_id", "database", "collection", "path", "tags")
"""The keys of a record's ``sources`` that are known when a structure is read."""


@dataclass(frozen=True)
class InputStructure(MSONable):
    """A structure to compute, with its identifiers; or the reason why it cannot be computed.

    Whatever could not be read is one of these too, so that a broken file becomes a failed
    record and never stops the others. ``problem`` decides: with a problem, ``structure`` is only
    what could be understood of the input (None where it was nothing, holds NaN or no elements).

    Parameters
    ----------
    structure
        Elements, cell (Å) and positions, nothing else; the order of atoms is the input's.
    source
        The keys of `SOURCE_KEYS`, all present; None where unknown, ``tags`` a list.
    dropped
        What the input held besides, as one would say it (``"oxidation states"``).
    problem
        (reason code, sentence for a person), or None.
    """

    structure: Structure | None
    source: dict[str, Any]
    dropped: list[str] = field(default_factory=list)
    problem: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        """Restore the pair that JSON made a list."""
        if self.problem is not None:
            object.__setattr__(self, "problem", (str(self.problem[0]), str(self.problem[1])))

    @cached_property
    def label(self) -> str:
        """A short name for people, told after each step: identifier, else path, else formula."""
        formula = self.structure.composition.reduced_formula if self.structure else "unnamed input"
        return str(self.source.get("material_id") or self.source.get("path") or formula)


def make_source(**known: Any) -> dict[str, Any]:
    """Make a ``source`` with every key of `SOURCE_KEYS`.

    Parameters
    ----------
    **known
        Any of `SOURCE_KEYS`; identifiers become strings, ``tags`` a list of strings.
    """
    source: dict[str, Any] = dict.fromkeys(SOURCE_KEYS)
    source["tags"] = []
    for key, value in known.items():
        if key not in source:
            raise TypeError(f"a source has no {key!r}, only {', '.join(SOURCE_KEYS)}")
        if key == "tags":
            source["tags"] = [_storable(tag) for tag in value or []]
        elif value is not None:
            source[key] = _storable(value)
    return source


def _storable(value: Any) -> str:
    """Make of a name text that a database takes; file names may hold bytes that are no UTF-8."""
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def make_input(
    structure: Structure, source: Mapping[str, Any], also_dropped: Iterable[str] = ()
) -> InputStructure:
    """Strip a structure, check it, and keep what was found.

    Parameters
    ----------
    structure
        As read; left as it is.
    source
        From `make_source`.
    also_dropped
        What the reader itself left behind before there was a `Structure`.
    """
    bare, dropped = strip(structure)
    dropped = [*also_dropped, *(name for name in dropped if name not in set(also_dropped))]
    problem = find_problem(bare) or _problem_of_electrons(structure)
    # NaN can be neither stored nor hashed, what is no element has no mass and no formula, and
    # without its charge it would be another structure; all else of a bad input is worth keeping
    kept = None if problem and problem[0] in _NOT_KEPT else bare
    return InputStructure(kept, dict(source), dropped, problem)


def _problem_of_electrons(structure: Structure) -> tuple[str, str] | None:
    try:
        electrons_of(said_of_electrons(structure))
    except StructureError as error:
        return error.reason, error.message
    return None


def as_input(structure: Structure) -> InputStructure:
    """Make the input of a structure given in Python; it may name its own ``material_id``."""
    return make_input(structure, make_source(material_id=structure.properties.get("material_id")))


def failed_input(source: Mapping[str, Any], reason: str, message: str) -> InputStructure:
    """Make the input that stands for something that could not be read at all."""
    return InputStructure(None, dict(source), [], (reason, message))
