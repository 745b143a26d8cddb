"""Our potentials in atomate2's own force-field makers, named in the documents they write."""

from __future__ import annotations

from typing import Any

from pet_flows.jobs.base import with_settings
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec


def force_field(potential: str | PotentialSpec | None = None, **changes: str) -> dict[str, Any]:
    """Arguments with which any of atomate2's force-field makers uses a symmetrized potential.

    atomate2 leaves a calculator's arguments out of its documents, so that two potentials could
    not be told apart there. These arguments put the name with the potential's digest into
    ``forcefield_name``, as our own makers do. A document of a nudged elastic band has no such
    field; give its maker ``neb_doc_kwargs={"identifier": potential_name(spec)}`` as well.

    Parameters
    ----------
    potential
        Model name, path or spec; what it leaves open is taken from the settings.
    changes
        ``symmetrization``, ``dtype``, ``device`` instead of those.

    Returns
    -------
    dict
        ``calculator_meta``, ``calculator_kwargs`` and ``task_document_kwargs``. The potential is
        resolved to the hash of its weights: a file that changes is refused, not used.

    Examples
    --------
    ``ForceFieldRelaxMaker(**force_field("pet-mvl"))``
    """
    found = _resolved(potential, changes)
    return {
        "calculator_meta": "pet_flows.engines.ase.SymmetrizedCalculator",
        "calculator_kwargs": {"potential": found.spec},
        "task_document_kwargs": {"forcefield_name": f"pet_flows:{found.name}:{found.digest}"},
    }


def potential_name(potential: str | PotentialSpec | None = None, **changes: str) -> str:
    """``pet_flows:MODEL:DIGEST``, as the documents have it."""
    found = _resolved(potential, changes)
    return f"pet_flows:{found.name}:{found.digest}"


def _resolved(potential: str | PotentialSpec | None, changes: dict[str, str]) -> ResolvedPotential:
    return resolve(with_settings(potential).with_(**changes))
