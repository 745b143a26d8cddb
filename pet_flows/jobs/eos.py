"""EOSMaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import job

from pet_flows.jobs.base import STORE_EXPOSED, PropertyMaker
from pet_flows.jobs.items import JobInput
from pet_flows.properties.settings import EOSSettings

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.outcome import Outcome


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

    @job(config=STORE_EXPOSED)
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Fit one structure or a list of them; ``prev_dir`` is unused."""
        return self.run(structure)

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
    ) -> Iterator[Outcome]:
        """See :func:`pet_flows.properties.eos.eos`."""
        from pet_flows.properties.eos import eos

        return eos(structures, potential, self.settings(), carried)
