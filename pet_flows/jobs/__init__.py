"""Jobflow makers: thin adapters over properties and store."""

from pet_flows.jobs.conductivity import ConductivityMaker
from pet_flows.jobs.elastic import ElasticMaker
from pet_flows.jobs.eos import EOSMaker
from pet_flows.jobs.md import MDMaker
from pet_flows.jobs.phonon import PhononMaker
from pet_flows.jobs.qha import QHAMaker
from pet_flows.jobs.relax import RelaxMaker
from pet_flows.jobs.static import StaticMaker

__all__ = [
    "ConductivityMaker",
    "EOSMaker",
    "ElasticMaker",
    "MDMaker",
    "PhononMaker",
    "QHAMaker",
    "RelaxMaker",
    "StaticMaker",
]
