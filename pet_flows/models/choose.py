"""Which potential is meant where a user names one, or none."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.models.spec import PotentialSpec
from pet_flows.settings import get_settings


def with_settings(potential: str | PathLike[str] | PotentialSpec | None) -> PotentialSpec:
    """Spec of a potential given as a name, a path or not at all, completed from the settings.

    Raises
    ------
    PetFlowsError
        It is something else.
    """
    get_settings()  # in any case: its paths start here, not in a run folder
    if isinstance(potential, PotentialSpec):
        return potential
    if not isinstance(potential, str | PathLike | None):
        raise PetFlowsError(
            f"potential must be a model name, a path or a PotentialSpec (got {potential!r:.60})."
        )
    return completed(model=None if potential is None else fspath(potential))


def completed(**given: Any) -> PotentialSpec:
    """Spec of some fields; what is not given, or None, is as in the settings.

    Without a symmetrization there either, it is the one that serves the model's family.
    """
    settings = get_settings()
    own = {
        "model": settings.model,
        "symmetrization": settings.symmetrization,
        "dtype": settings.dtype,
        "device": settings.device,
    }
    chosen = {name: value for name, value in given.items() if value is not None and value != ""}
    return PotentialSpec(**{**own, **chosen})
