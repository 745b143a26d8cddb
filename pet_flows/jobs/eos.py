"""EOSMaker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.properties.eos.declaration import EOSSettings


@dataclass
class EOSMaker(PropertyMaker):
    """Equation of state: V0, B0 and B0' of relaxed structures.

    Given one structure, the output is its record; given a list, slim results.

    Parameters
    ----------
    strain
        Largest linear strain of the volumes.
    n_volumes
        Number of volumes in the fit.
    """

    name: str = "PET equation of state"
    strain: float | None = None
    n_volumes: int | None = None

    property_name: ClassVar[str] = "eos"
    settings_class: ClassVar[type] = EOSSettings
