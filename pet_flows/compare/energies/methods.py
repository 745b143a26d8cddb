"""Which DFT energies have one zero: calculated in one way, whatever their elements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pet_flows.dft.level import LevelOfTheory
from pet_flows.records.keys import digest


class Method:
    """A level of theory of several materials: potentials and U by element are put together."""

    def __init__(self, level: LevelOfTheory):
        self.level = level
        self._potentials: dict[str, str] = {}
        self._u: dict[str, float] = {}

    def takes(self, level: LevelOfTheory) -> bool:
        """Whether a level is this one; what it says of more elements is then known too."""
        theirs = level.pseudopotentials
        potentials = theirs if isinstance(theirs, Mapping) else {}
        u = level.u or {}
        for known, said in ((self._potentials, potentials), (self._u, u)):
            if any(known.get(element, value) != value for element, value in said.items()):
                return False
        self._potentials |= potentials
        self._u |= u
        return True


def methods(levels: Iterable[LevelOfTheory], *, mix_u: bool = False) -> dict[str, str]:
    """Sort levels of theory by whose energies can be set against each other.

    Parameters
    ----------
    levels
        Of materials of any elements.
    mix_u
        Whether energies with and without U count as one, as they do with corrections.

    Returns
    -------
    dict
        Digest of a level → name of its method, the digest of the first such level.
    """
    found: dict[str, str] = {}
    kinds: dict[str, list[Method]] = {}
    for level in levels:
        if level.digest in found:
            continue
        alike = kinds.setdefault(_kind(level, mix_u), [])
        method = next((one for one in alike if one.takes(level)), None)
        if method is None:
            method = Method(level)
            method.takes(level)
            alike.append(method)
        found[level.digest] = method.level.digest
    return found


def _kind(level: LevelOfTheory, mix_u: bool) -> str:
    content: dict[str, Any] = level.model_dump(mode="json", exclude={"u", "pseudopotentials"})
    by_element = isinstance(level.pseudopotentials, Mapping)
    content["pseudopotentials"] = "by element" if by_element else level.pseudopotentials
    content["u"] = None if mix_u else bool(level.u)
    if mix_u:
        content["u_with"] = None
    return digest(content)
