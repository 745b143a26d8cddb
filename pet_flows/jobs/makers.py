"""Makers of the properties whose output is the record itself."""

from __future__ import annotations

from pet_flows.jobs.base import PropertyMaker, of_property
from pet_flows.properties.elastic.declaration import PROPERTY as ELASTIC
from pet_flows.properties.eos.declaration import PROPERTY as EOS
from pet_flows.properties.kappa.declaration import PROPERTY as KAPPA
from pet_flows.properties.qha.declaration import PROPERTY as QHA


@of_property(EOS)
class EOSMaker(PropertyMaker):
    """Equation of state of relaxed structures: V0, B0 and B0'."""

    name: str = "PET equation of state"


@of_property(ELASTIC)
class ElasticMaker(PropertyMaker):
    """Elastic tensors of relaxed structures, always in float64.

    For the same in atomate2's own documents, put ``RelaxMaker`` into its elastic flow.
    """

    name: str = "PET elastic"


@of_property(QHA)
class QHAMaker(PropertyMaker):
    """Quasi-harmonic approximation of relaxed structures, always in float64.

    Thermal expansion, volume, bulk modulus, heat capacity and Grüneisen parameter against
    temperature, from phonons at several volumes.
    """

    name: str = "PET quasi-harmonic"


@of_property(KAPPA)
class ConductivityMaker(PropertyMaker):
    """Lattice thermal conductivities of relaxed structures, always in float64.

    Needs phono3py (``pip install 'pet-flows[kappa]'``).
    """

    name: str = "PET conductivity"
