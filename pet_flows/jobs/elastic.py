"""ElasticMaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pet_flows.jobs.base import PropertyMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.elastic.declaration import ElasticSettings


@dataclass
class ElasticMaker(PropertyMaker):
    """Elastic tensors of relaxed structures, always in float64.

    Given one structure, the output is its record; given a list, slim results. For the same in
    atomate2's own documents, put ``RelaxMaker`` into its elastic flow.

    Parameters
    ----------
    relax_ions
        Relax the ions of each strained cell; otherwise they are clamped to it.
    strain_magnitudes
        As atomate2's: components of the strain tensor; each is applied with both signs.
    symprec
        Å, tolerance with which the space group is found that reduces the strains.
    max_stress
        GPa; a structure under a larger stress is refused.
    """

    name: str = "PET elastic"
    relax_ions: bool = True
    strain_magnitudes: Sequence[float] | None = None
    symprec: float | None = None
    max_stress: float | None = None

    property_name: ClassVar[str] = "elastic"
    settings_class: ClassVar[type] = ElasticSettings

    def spec(self) -> PotentialSpec:
        """Potential in float64: a strain of 0.1 % changes the stress by some 0.1 GPa only."""
        return super().spec().with_(dtype="float64")
