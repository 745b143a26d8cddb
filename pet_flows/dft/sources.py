"""References that come with packages: this one's own, and those of other distributions."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points

from pet_flows.dft import acwf
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError

#: entry point group under which other distributions name a function that gives references:
#: ``ours = "mine:references"``
GROUP = "pet_flows.references"
#: the name of the source that comes with this package
OURS = "acwf"


def sources(elements: Iterable[str] | None = None) -> dict[str, tuple[Reference, ...]]:
    """References by the name of their source; those of other distributions come first.

    Parameters
    ----------
    elements
        References of crystals that hold others are left out. Without it there are all.

    Raises
    ------
    PetFlowsError
        A distribution's references cannot be read, or two are one.
    """
    wanted = None if elements is None else set(elements)
    found: dict[str, tuple[Reference, ...]] = {}
    package_of: dict[str, str] = {}
    for name, (package, references) in _of_others().items():
        found[name] = tuple(r for r in references if wanted is None or wanted >= _elements(r))
        package_of |= {reference.id: package for reference in found[name]}
    ours = acwf.references(wanted)
    for reference in ours:
        if reference.id in package_of:
            raise _twice(package_of[reference.id], "pet-flows", reference)
    return {**found, OURS: ours}


def names() -> list[str]:
    """Names of the sources there are."""
    return [*_of_others(), OURS]


@lru_cache(maxsize=1)
def _of_others() -> dict[str, tuple[str, tuple[Reference, ...]]]:
    """Distribution and references of each source, each reference checked."""
    found: dict[str, tuple[str, tuple[Reference, ...]]] = {}
    origin: dict[str, str] = {}
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.value
        try:
            given = tuple(_load(entry))
        except Exception as error:  # whatever somebody else's function raises
            raise PetFlowsError(
                f"The references {entry.name!r} of the package {package} cannot be read "
                f"({type(error).__name__}: {error}): repair or uninstall that package."
            ) from error
        for reference in given:
            if not isinstance(reference, Reference):
                raise PetFlowsError(
                    f"The references {entry.name!r} of the package {package} hold a "
                    f"{type(reference).__name__}, which is not a Reference: repair that package."
                )
            if reference.id in origin:
                raise _twice(origin[reference.id], package, reference)
            origin[reference.id] = package
        found[entry.name] = (package, given)
    return found


def forget() -> None:
    """Ask the other distributions again when references are next wanted."""
    _of_others.cache_clear()


def _load(entry: EntryPoint) -> Iterable[Reference]:
    given: Iterable[Reference] = entry.load()()
    return given


def _elements(reference: Reference) -> set[str]:
    return {element.symbol for element in reference.structure.composition.elements}


def _twice(first: str, second: str, reference: Reference) -> PetFlowsError:
    source = reference.source
    return PetFlowsError(
        f"The packages {first} and {second} both have the reference {reference.property} of "
        f"{source.name!r} at one level of theory: uninstall one of them, or give its references "
        "another source.database."
    )
