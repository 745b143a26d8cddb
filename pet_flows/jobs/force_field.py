"""Our potentials in atomate2's own force-field makers, named in the documents they write."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pet_flows.jobs.base import PropertyMaker
from pet_flows.models.choose import with_settings
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec

if TYPE_CHECKING:
    from pet_flows.engines.ase import SymmetrizedCalculator

_OURS = "pet_flows:"


def force_field(potential: str | PotentialSpec | None = None, **changes: str) -> dict[str, Any]:
    """Arguments with which any of atomate2's force-field makers uses a symmetrized potential.

    atomate2 leaves a calculator's arguments out of its documents, so that two potentials could
    not be told apart there; what it writes into ``forcefield_name`` is the name of the
    calculator's class. These arguments ask for a class called by the potential's name and digest,
    as our own makers' documents have it. A document of a nudged elastic band has no such field;
    give its maker ``neb_doc_kwargs={"identifier": potential_name(spec)}`` as well.

    Parameters
    ----------
    potential
        Model name, path or spec; what it leaves open is taken from the settings.
    changes
        ``symmetrization``, ``dtype``, ``device`` instead of those.

    Returns
    -------
    dict
        ``calculator_meta`` and ``calculator_kwargs``. The potential is resolved to the hash of its
        weights: a file that changes is refused, not used.

    Examples
    --------
    ``ForceFieldRelaxMaker(**force_field("pet-mvl"))``
    """
    found = _resolved(potential, changes)
    # atomate2 takes what is behind the last dot for the class
    name = _name(found).replace("%", "%25").replace(".", "%2E")
    return {
        "calculator_meta": f"{__name__}.{name}",
        "calculator_kwargs": {"potential": found.spec},
    }


def potential_name(potential: str | PotentialSpec | None = None, **changes: str) -> str:
    """``pet_flows:MODEL:DIGEST``, as the documents have it."""
    return _name(_resolved(potential, changes))


def potential_of(maker: object) -> PotentialSpec | None:
    """Potential of ours that a maker's jobs use, atomate2's with our calculator included."""
    if isinstance(maker, PropertyMaker):
        return with_settings(maker.potential)
    if not str(getattr(maker, "calculator_meta", "")).startswith("pet_flows."):
        return None
    given = (getattr(maker, "calculator_kwargs", None) or {}).get("potential")
    return with_settings(given) if isinstance(given, str | PotentialSpec) else None


def __getattr__(name: str) -> type[SymmetrizedCalculator]:
    """Calculator class called by a potential's name, for atomate2, which imports it by that."""
    if not name.startswith(_OURS):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _called(unquote(name))


@lru_cache(maxsize=64)
def _called(name: str) -> type[SymmetrizedCalculator]:
    from pet_flows.engines.ase import SymmetrizedCalculator

    return type(name, (SymmetrizedCalculator,), {"__doc__": SymmetrizedCalculator.__doc__})


def _name(potential: ResolvedPotential) -> str:
    return f"{_OURS}{potential.name}:{potential.digest}"


def _resolved(potential: str | PotentialSpec | None, changes: dict[str, str]) -> ResolvedPotential:
    return resolve(with_settings(potential).with_(**changes))
