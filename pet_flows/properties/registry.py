"""Which properties there are: the packages of this folder, and those of other distributions."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import Property
from pet_flows.validate import unknown

#: entry point group under which other distributions name theirs: ``toughness = "mine:PROPERTY"``
GROUP = "pet_flows.properties"


@lru_cache(maxsize=1)
def properties() -> dict[str, Property]:
    """All properties by name, in the order in which a campaign computes them.

    Raises
    ------
    PetFlowsError
        A distribution's property cannot be imported, or has the name of another one.
    """
    found: dict[str, Property] = {}
    origin: dict[str, str] = {}
    for folder in sorted(Path(__file__).parent.iterdir()):
        if (folder / "declaration.py").is_file():
            declared = import_module(f"{__package__}.{folder.name}.declaration").PROPERTY
            found[declared.name], origin[declared.name] = declared, "pet-flows"
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            declared = entry.load()
        except Exception as error:  # whatever somebody else's module raises when it is imported
            raise PetFlowsError(
                f"The property {entry.name!r} of the package {package} cannot be imported "
                f"({type(error).__name__}: {error}): mend or uninstall that package."
            ) from error
        if not isinstance(declared, Property) or declared.name != entry.name:
            raise PetFlowsError(
                f"The entry point {entry.name!r} of the package {package} does not give the "
                f"Property {entry.name!r}: mend its {entry.value}, or uninstall that package."
            )
        if declared.name in found:
            raise PetFlowsError(
                f"The packages {origin[declared.name]} and {package} both have a property "
                f"{declared.name!r}: uninstall one of them."
            )
        found[declared.name], origin[declared.name] = declared, package
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def get_property(name: str) -> Property:
    """Property of a name.

    Raises
    ------
    PetFlowsError
        There is none; names the nearest.
    """
    known = properties()
    if name not in known:
        said = unknown(name, list(known), "property")
        raise PetFlowsError(said[0].upper() + said[1:])
    return known[name]
