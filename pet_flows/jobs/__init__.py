"""Jobflow makers: thin adapters over properties and store."""

from typing import Any

from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.compare import CompareMaker
from pet_flows.jobs.makers import ConductivityMaker, ElasticMaker, EOSMaker, QHAMaker
from pet_flows.jobs.md import MDMaker
from pet_flows.jobs.phonon import PhononMaker
from pet_flows.jobs.relax import RelaxMaker
from pet_flows.jobs.static import StaticMaker
from pet_flows.properties.registry import get_property

__all__ = [
    "CompareMaker",
    "ConductivityMaker",
    "EOSMaker",
    "ElasticMaker",
    "MDMaker",
    "PhononMaker",
    "PropertyMaker",
    "QHAMaker",
    "RelaxMaker",
    "StaticMaker",
    "maker_of",
]

_NAMED: tuple[Any, ...] = (
    RelaxMaker, StaticMaker, EOSMaker, ElasticMaker, PhononMaker, QHAMaker, ConductivityMaker,
    MDMaker,
)  # fmt: skip


def maker_of(name: str, **fields: Any) -> PropertyMaker:
    """Maker of a property by its name: the named one, or `PropertyMaker` for those of others.

    Raises
    ------
    PetFlowsError
        There is no such property.
    """
    get_property(name)
    for maker in _NAMED:
        if maker.property_name == name:
            found: PropertyMaker = maker(**fields)
            return found
    return PropertyMaker(property_name=name, **fields)
