"""Which properties there are: the packages of this folder, and those of other distributions."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import Property
from pet_flows.validate import unknown

#: entry point group under which other distributions name theirs: ``toughness = "mine:PROPERTY"``
GROUP = "pet_flows.properties"
#: the distribution whose properties no other replaces
OURS = "pet-flows"

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _found() -> tuple[dict[str, Property], dict[str, str]]:
    """Properties by name; and why others cannot be used, so that one package stops no other."""
    found: dict[str, Property] = {}
    broken: dict[str, str] = {}
    origin: dict[str, str] = {}
    for folder in sorted(Path(__file__).parent.iterdir()):
        if (folder / "declaration.py").is_file():
            declared = import_module(f"{__package__}.{folder.name}.declaration").PROPERTY
            found[declared.name], origin[declared.name] = declared, OURS
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.value
        if entry.name in origin:
            said = (
                f"The packages {origin[entry.name]} and {package} both have a property "
                f"{entry.name!r}: uninstall one of them."
            )
            logger.warning(said)
            if origin[entry.name] != OURS:
                found.pop(entry.name, None)
                broken[entry.name] = said
            continue
        origin[entry.name] = package
        try:
            declared = entry.load()
        except Exception as error:  # whatever somebody else's module raises when it is imported
            broken[entry.name] = (
                f"The property {entry.name!r} of the package {package} cannot be imported "
                f"({type(error).__name__}: {error}): repair or uninstall that package."
            )
            continue
        if isinstance(declared, Property) and declared.name == entry.name:
            found[entry.name] = declared
        else:
            broken[entry.name] = (
                f"The entry point {entry.name!r} of the package {package} does not give the "
                f"Property {entry.name!r}: repair its {entry.value}, or uninstall that package."
            )
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0]))), broken


def properties() -> dict[str, Property]:
    """All properties by name, in the order in which a campaign computes them."""
    return _found()[0]


def forget() -> None:
    """Look for the properties again when they are next asked for."""
    _found.cache_clear()


def get_property(name: str) -> Property:
    """Property of a name.

    Raises
    ------
    PetFlowsError
        There is none, and the nearest is named; or its package cannot be used.
    """
    known, broken = _found()
    if name in known:
        return known[name]
    if name in broken:
        raise PetFlowsError(broken[name])
    raise PetFlowsError(unknown(name, list(known), "property"))
