"""Where references come from: this package's own, and those of other distributions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points

from pet_flows.dft import acwf
from pet_flows.dft.differences import differences
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.quantity import Crystal, Reference
from pet_flows.errors import PetFlowsError

#: entry point group under which other distributions name a function that gives references:
#: ``ours = "mine:references"``
GROUP = "pet_flows.references"
#: name, distribution and function of a source
_Source = tuple[str, str, Callable[[], Iterable[Reference]]]


@lru_cache(maxsize=1)
def sources() -> dict[str, tuple[Reference, ...]]:
    """References by the name of their source; those of other distributions come first.

    Raises
    ------
    PetFlowsError
        A distribution's references cannot be read, or have the id of others.
    """
    found: dict[str, tuple[Reference, ...]] = {}
    origin: dict[str, str] = {}
    everything: list[_Source] = [*_of_others(), ("acwf", "pet-flows", acwf.references)]
    for name, package, give in everything:
        try:
            given = tuple(give())
        except Exception as error:  # whatever somebody else's function raises
            raise PetFlowsError(
                f"The references {name!r} of the package {package} cannot be read "
                f"({type(error).__name__}: {error}): repair or uninstall that package."
            ) from error
        for reference in given:
            if not isinstance(reference, Reference):
                raise PetFlowsError(
                    f"The references {name!r} of the package {package} hold a "
                    f"{type(reference).__name__}, which is not a Reference: repair that package."
                )
            if reference.id in origin:
                raise PetFlowsError(
                    f"The packages {origin[reference.id]} and {package} both have a reference "
                    f"{reference.id!r}: uninstall one of them, or give its references other ids."
                )
            origin[reference.id] = package
        found[name] = given
    return found


def _of_others() -> Iterator[_Source]:
    for entry in entry_points(group=GROUP):
        package = entry.dist.name if entry.dist is not None else entry.value
        yield entry.name, package, partial(_load, entry)


def _load(entry: EntryPoint) -> Iterable[Reference]:
    given: Iterable[Reference] = entry.load()()
    return given


def nearest(crystal: Crystal, name: str, level: LevelOfTheory) -> Reference | None:
    """Reference of one quantity of a crystal whose level of theory is nearest to a potential's.

    Parameters
    ----------
    crystal
        What it is of.
    name
        Of the quantity, as in the result of a record.
    level
        Of the potential.

    Returns
    -------
    Reference or None
        What its level differs in is for :func:`~pet_flows.dft.differences.differences` to say; one
        of the same functional is nearer than any other. Among equally near ones that of another
        distribution: who installs it wants it.
    """

    def distance(reference: Reference) -> tuple[bool, int]:
        found = differences(level, reference.level, [crystal.element])
        return not level.same_functional(reference.level), len(found)

    return min(known(crystal, name), key=distance, default=None)


def known(crystal: Crystal, name: str) -> tuple[Reference, ...]:
    """References of one quantity of a crystal, of whatever level of theory."""
    return _index().get((crystal, name), ())


@lru_cache(maxsize=1)
def _index() -> dict[tuple[Crystal, str], tuple[Reference, ...]]:
    index: dict[tuple[Crystal, str], tuple[Reference, ...]] = {}
    for references in sources().values():
        for reference in references:
            place = (reference.crystal, reference.property)
            index[place] = (*index.get(place, ()), reference)
    return index
