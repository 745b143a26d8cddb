"""ElasticMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.settings import ElasticSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


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

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Tensors of one structure or a list of them; ``prev_dir`` is unused."""
        return self.run(structure)

    def spec(self) -> PotentialSpec:
        """Potential in float64: a strain of 0.1 % changes the stress by some 0.1 GPa only."""
        return super().spec().with_(dtype="float64")

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.elastic.elastic`."""
        from pet_flows.properties.elastic import elastic

        return elastic(structures, potential, self.settings(), carried)
