"""Families of potentials: each is one file, which says how a name becomes weights and a model.

Ours are the files of `pet_flows.families`; those of other distributions come by the entry point
``pet_flows.families``, ``toy = "mine:FAMILY"``. A potential of a family is called
``family:which``, such as ``sevenn:7net-0``; what has no such beginning is metatrain's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    import torch

    from pet_flows.engines.raw import RawModel
    from pet_flows.models.resolve import ResolvedPotential

#: entry point group under which other distributions name theirs
GROUP = "pet_flows.families"
_NAMED = re.compile(r"^([a-z][a-z0-9_-]*):(.*)$", re.DOTALL)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """What a family finds behind a name, nothing of it opened."""

    name: str
    """what the model is called in records"""
    model: str
    """the name with an absolute path, which finds the same from anywhere"""
    path: Path
    """file of the weights, or of the code where there are none"""
    trusted: bool
    """whether the file may be opened: it came with the package, or holds no code"""
    sha256: str | None = None
    """of all that makes the potential, where that is more than the file"""


@dataclass(frozen=True)
class Family:
    """A kind of potential."""

    name: str
    """what names of its potentials begin with"""
    needs: str | None
    """module that must be installed, by the extra of this name; None where nothing is"""
    find: Callable[[str], Weights]
    """from what follows the colon, without importing the package; raises PetFlowsError"""
    load: Callable[[ResolvedPotential, torch.device], RawModel]
    """of found weights"""
    help: str
    """what may follow the colon, with one line of what that is"""
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """what is known of its models, by their names in records"""
    symmetrization: str = "none"
    """strategy string that serves where none is given"""

    def require(self) -> None:
        """Refuse to go on without the package.

        Raises
        ------
        PetFlowsError
            It is not installed; the sentence says how to.
        """
        if self.needs is not None and find_spec(self.needs) is None:
            raise PetFlowsError(
                f"Potentials of {self.name} need the package {self.needs}, which is not "
                f"installed: run pip install 'pet-flows[{self.name}]'."
            )


@lru_cache(maxsize=1)
def families() -> dict[str, Family]:
    """All families by name; those that cannot be imported are left out with a warning."""
    found: dict[str, Family] = {}
    ours = Path(__file__).parent.parent / "families"
    for file in sorted(ours.glob("*.py")):
        declared = getattr(import_module(f"pet_flows.families.{file.stem}"), "FAMILY", None)
        if isinstance(declared, Family):
            found[declared.name] = declared
    for entry in entry_points(group=GROUP):
        try:
            declared = entry.load()
        except Exception as error:  # whatever somebody else's module raises when it is imported
            logger.warning("the family %s cannot be imported: %s", entry.name, error)
            continue
        if entry.name in found:
            logger.warning("a family %s is there already: %s is left out", entry.name, entry.value)
        elif isinstance(declared, Family) and declared.name == entry.name:
            found[entry.name] = declared
        else:
            logger.warning("%s does not give the Family %s", entry.value, entry.name)
    return dict(sorted(found.items()))


def family_of(model: str) -> tuple[Family, str] | None:
    """The family of a model's name and what follows its colon; None for metatrain's models."""
    parts = _NAMED.match(model)
    if parts is None or parts[1] not in families():
        return None
    return families()[parts[1]], parts[2]


def default_symmetrization(model: str) -> str | None:
    """Strategy that serves a model where none is given; None for metatrain's."""
    found = family_of(model)
    return None if found is None else found[0].symmetrization


def card_of_name(name: str) -> dict[str, Any] | None:
    """Card of a family's model by its name in records; None where it is not known."""
    cards = (family.cards for family in families().values())
    return next((dict(each[name]) for each in cards if name in each), None)
